//! What the process does with its configuration.

#[path = "../../../shared/service/tests/process/mod.rs"]
mod process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wardstream-audit");

#[test]
fn a_wrong_configuration_ends_it_before_it_opens_a_socket() {
    process::refuses_an_unknown_key(PROGRAM);
    process::refuses(PROGRAM, "WARDSTREAM_WORM__RETENTION", "1s", "worm.retention");
    process::refuses(PROGRAM, "WARDSTREAM_WORM__ENDPOINT", "s3.example", "worm.endpoint");
    process::refuses(PROGRAM, "WARDSTREAM_WORM__ACCESS_KEY_ID", "audit", "worm.secret_access_key");
    process::refuses(PROGRAM, "WARDSTREAM_WORM__MERKLE_LOG__EVERY", "0s", "worm.merkle_log.every");
    let key = "worm.merkle_log.signing_key_file";
    process::refuses(PROGRAM, "WARDSTREAM_WORM__MERKLE_LOG__SIGNING_KEY_FILE", "/no/such/key", key);
    // A file that is there, and holds no key.
    process::refuses(PROGRAM, "WARDSTREAM_WORM__MERKLE_LOG__SIGNING_KEY_FILE", file!(), key);
}

#[test]
fn print_config_masks_secrets() {
    process::masks(PROGRAM, &["WARDSTREAM_WORM__SECRET_ACCESS_KEY"]);
}
