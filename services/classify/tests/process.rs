//! What the process does with its configuration.

#[path = "../../../shared/service/tests/process/mod.rs"]
mod process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wardstream-classify");

#[test]
fn a_wrong_configuration_ends_it_before_it_opens_a_socket() {
    process::refuses_an_unknown_key(PROGRAM);
    process::refuses(PROGRAM, "WARDSTREAM_MODELS__FOLDER", "/nowhere", "models.folder");
    process::refuses(PROGRAM, "WARDSTREAM_MODELS__EMERGENT_FROM", "1.5", "models.emergent_from");
    // A file, and no table.
    process::refuses(
        PROGRAM,
        "WARDSTREAM_MODELS__CRITICAL_VALUES",
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/main.rs"),
        "models.critical_values",
    );
}

#[test]
fn print_config_masks_secrets() {
    process::masks(PROGRAM, &[]);
}
