//! What the process does with its configuration.

#[path = "../../../shared/service/tests/process/mod.rs"]
mod process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wardstream-summarize");

#[test]
fn a_wrong_configuration_ends_it_before_it_opens_a_socket() {
    process::refuses_an_unknown_key(PROGRAM);
    process::refuses(PROGRAM, "WARDSTREAM_MODELS__FOLDER", "/nowhere", "models.folder");
    process::refuses(PROGRAM, "WARDSTREAM_SUMMARIZE__SENTENCES", "0", "summarize.sentences");
}

#[test]
fn print_config_masks_secrets() {
    process::masks(PROGRAM, &[]);
}
