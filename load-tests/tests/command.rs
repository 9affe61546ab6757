//! The command's contract: what it writes, and how it exits.

use std::fs;
use std::process::{Command, Output};

fn feed(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wardstream-feed")).args(arguments).output().expect("the command runs")
}

#[test]
fn a_batch_is_complete_and_reproducible() {
    let arguments = ["--seed", "7", "--messages", "200", "--damage-rate", "0.2", "--out", "-"];
    let output = feed(&arguments);
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(output.stdout, feed(&arguments).stdout);
    let items: Vec<_> = hl7v2::batch::messages(&output.stdout).collect();
    assert_eq!(items.len(), 200);
    assert!(items.iter().all(Result::is_ok), "headers, trailers and counts are right");
}

#[test]
fn a_folder_has_one_file_a_message_and_their_truth() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("feed");
    let truth = folder.path().join("truth.jsonl");
    let output = feed(&[
        "--messages",
        "50",
        "--rate",
        "100000",
        "--duplicate-rate",
        "0.2",
        "--out",
        out.to_str().unwrap(),
        "--truth",
        truth.to_str().unwrap(),
    ]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
    let files = fs::read_dir(&out).unwrap().count();
    let known = fs::read_to_string(&truth).unwrap();
    assert_eq!((files, known.lines().count()), (50, 50));
    for line in known.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["control_id"].is_string() && value["identifiers"].is_array());
    }
}

#[test]
fn wrong_usage_exits_64_and_a_failed_write_74() {
    for wrong in [
        &["--out"][..],
        &[],
        &["--out", "-", "--rate", "0"],
        &["--out", "-", "--damage-rate", "2"],
        &["--out", "-", "--narratives", "half"],
        &["--nonsense"],
    ] {
        let output = feed(wrong);
        assert_eq!(output.status.code(), Some(64), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = feed(&["--messages", "1", "--out", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(74));
    assert_eq!(feed(&["--help"]).status.code(), Some(0));
}
