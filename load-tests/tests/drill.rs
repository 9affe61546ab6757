//! Short forms of the drills, as `make drill` runs the long ones: the program itself, on real parts.

#![expect(clippy::print_stdout, reason = "a test says what it skipped")]

use std::process::{Command, Stdio};

use wardstream_load_tests::drill::VARIABLES;

/// Runs a drill, and holds its exit status and its last line against each other.
fn drill(name: &str, arguments: &[&str], figure: &str) {
    if let Some(variable) = VARIABLES.iter().find(|variable| std::env::var_os(variable).is_none()) {
        println!("skipped: {variable} is not set, so no drill runs");
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_wardstream-drill"))
        .args([name, "--seed", "7"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{errors}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with(&format!("drill {name} seed 7: ok, inputs ")), "{last}");
    assert!(last.contains(", duplicates 0, out of order 0, "), "{last}");
    assert!(last.contains(figure), "{last}");
}

#[test]
fn kill() {
    drill("kill", &["--kills", "6", "--messages", "900"], ", kills 6,");
}

#[test]
fn a_wrong_command_line_is_told_apart() {
    for arguments in [&["nonsense"][..], &["kill", "--instances", "1"], &["kill", "--seed", "x"]] {
        let program = env!("CARGO_BIN_EXE_wardstream-drill");
        let output = Command::new(program).args(arguments).output().expect("the program can be started");
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
}
