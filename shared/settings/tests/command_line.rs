//! The command line from outside: what is printed, and the exit status.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::{Command, Output};

fn service() -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join("service"));
    command.env_clear();
    command
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_good_configuration_starts_the_service() {
    let output = service()
        .env("WARDSTREAM_SMTP__PORT", "25")
        .env("WARDSTREAM_SMTP__PASSWORD", "hunter2")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn a_secret_is_read_from_the_file_a_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "hunter2\n").unwrap();
    let output = service()
        .env("WARDSTREAM_SMTP__PORT", "25")
        .env("WARDSTREAM_SMTP__PASSWORD_FILE", &path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn a_bad_configuration_exits_64_and_names_the_key() {
    let output = service().env("WARDSTREAM_SMTP__PORT", "many").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    same(
        &err(&output),
        "error[CONF-704]: `smtp.port` from variable WARDSTREAM_SMTP__PORT must be an integer from 0 to 65535\n",
    );
}

#[test]
fn refused_values_exit_64_and_are_told_together() {
    let output = service().env("WARDSTREAM_SMTP__HOST", "a b").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    same(
        &err(&output),
        "error[CONF-710]: `smtp.host` cannot be used: a host name has no space\n\
         error[CONF-710]: `smtp.port` cannot be used: a mail server has a port\n",
    );
}

#[test]
fn a_missing_file_exits_64_and_says_why() {
    let output = service().args(["--config", "/nowhere/at/all.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let text = err(&output);
    assert!(
        text.starts_with("error[CONF-701]: cannot read configuration file /nowhere/at/all.toml\n"),
        "{text}"
    );
    assert!(text.contains("  because: "), "{text}");
}

#[test]
fn a_wrong_argument_exits_64() {
    let output = service().arg("--confg").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        err(&output).starts_with("error[CONF-700]: unexpected argument '--confg' found"),
        "{}",
        err(&output)
    );
}

#[test]
fn help_and_version_exit_0() {
    let help = service().arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("--print-config"));
    let version = service().arg("--version").output().unwrap();
    assert_eq!(version.status.code(), Some(0));
    same(
        &String::from_utf8_lossy(&version.stdout),
        &format!("wardstream-example {}\n", env!("CARGO_PKG_VERSION")),
    );
}

#[test]
fn the_printed_configuration_masks_secrets() {
    let output = service()
        .arg("--print-config")
        .env("WARDSTREAM_SMTP__HOST", "mail.example")
        .env("WARDSTREAM_SMTP__PASSWORD", "hunter2")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    same(
        &String::from_utf8_lossy(&output.stdout),
        "[smtp]\nhost = \"mail.example\"\nport = 0\npassword = \"***\"\n",
    );
}

#[track_caller]
fn same(actual: &str, expected: &str) {
    assert_eq!(actual, expected);
}
