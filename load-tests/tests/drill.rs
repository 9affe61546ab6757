//! Short forms of the drills, as `make drill` runs the long ones: the program itself, on real parts.

#![expect(clippy::print_stdout, reason = "a test says what it skipped")]

use std::process::{Command, Stdio};

use wardstream_load_tests::drill::VARIABLES;

/// Runs drills with 100 messages in the line at a time, and holds exit status and last line against each other.
fn drill(names: &str, arguments: &[&str], figures: &[&str]) -> String {
    if let Some(variable) = VARIABLES.iter().find(|variable| std::env::var_os(variable).is_none()) {
        println!("skipped: {variable} is not set, so no drill runs");
        return String::new();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_wardstream-drill"))
        .args([names, "--seed", "7", "--backlog", "100"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{errors}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with(&format!("drill {names} seed 7: ok, inputs ")), "{last}");
    for figure in [", duplicates 0, out of order 0, "].iter().chain(figures) {
        assert!(last.contains(figure), "{figure:?} in {last}");
    }
    last.to_owned()
}

#[test]
fn instances_are_killed_frozen_and_cut_off() {
    let last = drill(
        "kill,zombie,indeterminate",
        &["--kills", "2", "--messages", "400"],
        &[", kills 2,", ", freezes 2,", ", cuts 2,"],
    );
    assert!(!last.contains(", rebalances 0, "), "a frozen member leaves its group: {last}");
}

#[test]
fn instances_are_rolled_and_messages_broken() {
    drill("roll,poison", &["--kills", "1", "--messages", "400"], &[", rolled 14,", ", mutated 400,"]);
}

#[test]
fn dependencies_are_taken_away() {
    drill("faults", &["--kills", "1"], &[", faults 5,"]);
}

#[test]
fn brokers_are_stopped_and_killed() {
    drill("broker", &["--kills", "2"], &[", of 1 brokers stopped ", ", of 3 brokers stopped "]);
}

#[test]
fn a_log_is_tampered_with() {
    if std::env::var_os(VARIABLES[1]).is_none() {
        println!("skipped: {} is not set, so no drill runs", VARIABLES[1]);
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_wardstream-drill"))
        .args(["tamper", "--seed", "7", "--kills", "1", "--messages", "600"])
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{errors}");
    let last = said.lines().last().unwrap_or_default();
    let figures = ", tampered with 22, found and named 22, changes tried 69, refused 69, ";
    assert!(last.starts_with("drill tamper seed 7: ok, ") && last.contains(figures), "{last}");
    assert!(said.contains("drop two consecutive checkpoints"), "{said}");
}

#[test]
fn a_wrong_command_line_is_told_apart() {
    for arguments in [
        &["nonsense"][..],
        &[],
        &["kill", "--instances", "1"],
        &["kill", "--seed", "x"],
        &["kill", "--narratives", "2"],
    ] {
        let program = env!("CARGO_BIN_EXE_wardstream-drill");
        let output = Command::new(program).args(arguments).output().expect("the program can be started");
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
}
