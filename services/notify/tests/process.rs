//! What the process does with its configuration.

#[path = "../../../shared/service/tests/process/mod.rs"]
mod process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wardstream-notify");

#[test]
fn a_wrong_configuration_ends_it_before_it_opens_a_socket() {
    process::refuses_an_unknown_key(PROGRAM);
    process::refuses(PROGRAM, "WARDSTREAM_SMTP__SECURITY", "none", "smtp.security");
    process::refuses(PROGRAM, "WARDSTREAM_NOTIFY__FROM", "no address", "notify");
    process::refuses(PROGRAM, "WARDSTREAM_NOTIFY__ROUTING_FILE", "/nowhere", "notify.routing_file");
    process::refuses(PROGRAM, "WARDSTREAM_SMTP__CA_FILE", "/nowhere", "smtp");
}

#[test]
fn print_config_masks_secrets() {
    process::masks(PROGRAM, &["WARDSTREAM_SMTP__PASSWORD"]);
}
