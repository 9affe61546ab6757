//! What only a whole process shows: its panics and its signals.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

fn drill(mode: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join("drill"));
    command.arg(mode).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn started(mode: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = drill(mode).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

fn next(lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -s {name} {}", child.id())).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_panic_is_logged_by_place_and_without_its_message() {
    let output = drill("panic").output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!log.contains("Quill"), "{log}");
    let line: serde_json::Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!((line["code"].as_str(), line["thread"].as_str()), (Some("TEL-810"), Some("worker")));
    assert!(line["place"].as_str().unwrap().contains("drill.rs:"), "{log}");
}

#[test]
fn a_signal_begins_the_drain_and_the_process_ends_well() {
    let (mut child, mut lines) = started("wait");
    assert_eq!(next(&mut lines), "waiting");
    signal(&child, "TERM");
    assert_eq!(next(&mut lines), "draining");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let (mut child, mut lines) = started("stubborn");
    assert_eq!(next(&mut lines), "waiting");
    signal(&child, "TERM");
    assert_eq!(next(&mut lines), "draining");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
