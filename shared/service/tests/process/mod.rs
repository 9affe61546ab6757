//! What the process of every service does with its configuration. Each service's tests include this file.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::{Command, Output};

/// Exit status of a wrong configuration (`EX_USAGE`).
const EX_USAGE: i32 = 64;
const SECRET: &str = "correct-horse-battery-staple";

fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the program can be started")
}

/// With this setting the process ends with status 64, names the key, shows no value, and has opened no socket: it
/// neither reached the listener that is its broker and registry here, nor noticed that its own port is taken.
pub(crate) fn refuses(program: &str, variable: &str, value: &str, key: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener that does not block");
    let address = listener.local_addr().expect("an address").to_string();
    let url = format!("http://{address}");
    let mut environment = vec![
        ("WARDSTREAM_TELEMETRY__LISTEN", address.as_str()),
        ("WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS", address.as_str()),
        ("WARDSTREAM_REGISTRY__URL", url.as_str()),
    ];
    environment.retain(|(name, _)| *name != variable);
    environment.push((variable, value));
    let output = run(program, &[], &environment);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(EX_USAGE), "{errors}");
    assert!(
        errors.lines().any(|line| line.starts_with("error[CONF-") && line.contains(key)),
        "{key}: {errors}"
    );
    assert!(output.stdout.is_empty(), "an error belongs on standard error");
    let reached = listener.accept().err().map(|error| error.kind());
    assert_eq!(reached, Some(ErrorKind::WouldBlock), "a socket was opened");
}

/// A key that is one letter off is refused, and the nearest one named.
pub(crate) fn refuses_an_unknown_key(program: &str) {
    refuses(
        program,
        "WARDSTREAM_KAFKA__BOOTSTRAP_SERVER",
        "127.0.0.1:1",
        "WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS",
    );
    refuses(program, "WARDSTREAM_KAFKA__TUNING__MAX_IN_FLIGHT", "many", "kafka.tuning.max_in_flight");
    refuses(program, "WARDSTREAM_REGISTRY__URL", "ftp://registry", "registry.url");
}

/// `--print-config` shows every setting, and `***` for these secrets.
pub(crate) fn masks(program: &str, secrets: &[&str]) {
    let common = ["WARDSTREAM_KAFKA__SECURITY__SASL_PASSWORD", "WARDSTREAM_REGISTRY__PASSWORD"];
    let mut environment: Vec<(&str, &str)> =
        common.iter().chain(secrets).map(|variable| (*variable, SECRET)).collect();
    environment.push(("WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS", "broker.example:9092"));
    let output = run(program, &["--print-config"], &environment);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("bootstrap_servers = \"broker.example:9092\""), "{text}");
    assert!(!text.contains(SECRET) && !errors.contains(SECRET), "a secret is shown");
    assert_eq!(text.matches("\"***\"").count(), common.len() + secrets.len(), "{text}");
}
