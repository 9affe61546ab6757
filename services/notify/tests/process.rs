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
    process::refuses(
        PROGRAM,
        "WARDSTREAM_WEBHOOKS",
        r#"{"pager": {"url": "http://pager.hospital.example/", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}"#,
        "webhooks.pager.url",
    );
    process::refuses(
        PROGRAM,
        "WARDSTREAM_WEBHOOKS__pager__URL",
        "https://pager.hospital.example/",
        "webhooks.pager.secret",
    );
    process::refuses(PROGRAM, "WARDSTREAM_SMS__URL", "http://sms.provider.example/", "sms.url");
    process::refuses(
        PROGRAM,
        "WARDSTREAM_ACKNOWLEDGE__URL",
        "http://ack.hospital.example/",
        "acknowledge.url",
    );
    process::refuses(
        PROGRAM,
        "WARDSTREAM_ACKNOWLEDGE__URL",
        "https://ack.hospital.example/",
        "acknowledge.secret",
    );
}

/// Everybody would be called, and nobody could say that it is enough.
#[test]
fn tiers_without_a_way_to_acknowledge_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("routing.toml");
    let text = "recipients.a = \"a@hospital.example\"\ntriage.to = [\"a\"]\nroute = [{ to = [\"a\"] }]\n\
                escalation.tier = [{ after = \"5m\", to = [\"a\"] }]\n";
    std::fs::write(&table, text).unwrap();
    process::refuses(PROGRAM, "WARDSTREAM_NOTIFY__ROUTING_FILE", table.to_str().unwrap(), "acknowledge.url");
}

#[test]
fn print_config_masks_secrets() {
    process::masks(
        PROGRAM,
        &[
            "WARDSTREAM_SMTP__PASSWORD",
            "WARDSTREAM_WEBHOOKS__pager__SECRET",
            "WARDSTREAM_SMS__AUTHORIZATION",
            "WARDSTREAM_ACKNOWLEDGE__SECRET",
            "WARDSTREAM_ACKNOWLEDGE__FORMER_SECRET",
        ],
    );
}
