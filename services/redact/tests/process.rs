//! What the process does with its configuration.

#[path = "../../../shared/service/tests/process/mod.rs"]
mod process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wardstream-redact");

#[test]
fn a_wrong_configuration_ends_it_before_it_opens_a_socket() {
    process::refuses_an_unknown_key(PROGRAM);
    // Without a key nothing can be a pseudonym.
    process::refuses(PROGRAM, "WARDSTREAM_DEID__TENANT", "north", "deid.key");
    process::refuses(PROGRAM, "WARDSTREAM_DEID__KEY", "0123", "deid.key");
    process::refuses(PROGRAM, "WARDSTREAM_DEID__KEY", "not hexadecimal", "deid.key");
    process::refuses(
        PROGRAM,
        "WARDSTREAM_DEID__VAULT_KEY_FILE",
        "/nowhere",
        "WARDSTREAM_DEID__VAULT_KEY_FILE",
    );
}

#[test]
fn print_config_masks_secrets() {
    process::masks(PROGRAM, &["WARDSTREAM_DEID__KEY", "WARDSTREAM_DEID__VAULT_KEY"]);
}
