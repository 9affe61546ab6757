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
    process::refuses(PROGRAM, "WARDSTREAM_MODELS__FOLDER", "/nowhere", "/nowhere has no config.json");
    process::refuses(PROGRAM, "WARDSTREAM_MODELS__CONFIDENCE", "1.5", "models.confidence");
}

#[test]
fn a_wrong_setting_is_named() {
    let key = "07".repeat(32);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redact.toml");
    for (line, named) in [
        (r#"local_formats.visit = { pattern = "V[0-9" }"#, "deid.local_formats.visit.pattern"),
        (r#"local_formats.visit = { pattern = "[0-9]*" }"#, "deid.local_formats.visit.pattern"),
        (r#"local_formats.visit = { pattern = "V", kind = "VISIT" }"#, "deid.local_formats.visit.kind"),
        (r#"local_formats.visit = { pattern = "V", checksum = "crc" }"#, "deid.local_formats.visit.checksum"),
        (&format!("former_keys.1 = {key:?}"), "deid.former_keys.1"),
        ("former_keys.one = \"0\"", "deid.former_keys.one"),
        ("confidence_floor = 1.5", "deid.confidence_floor"),
        ("former_vault_keys.old = \"0\"", "deid.former_vault_keys.old"),
        ("key_service.service = \"transit\"", "deid.key_service.transit.address"),
        ("key_service.service = \"aws-kms\"", "deid.key_service.aws_kms.key_id"),
    ] {
        std::fs::write(&file, format!("[deid]\nkey = {key:?}\nvault_key = {key:?}\n{line}\n")).unwrap();
        process::refuses(PROGRAM, "WARDSTREAM_CONFIG", file.to_str().unwrap(), named);
    }
}

#[test]
fn print_config_masks_secrets() {
    process::masks(
        PROGRAM,
        &[
            "WARDSTREAM_DEID__KEY",
            "WARDSTREAM_DEID__VAULT_KEY",
            "WARDSTREAM_DEID__KEY_SERVICE__TRANSIT__TOKEN",
        ],
    );
}
