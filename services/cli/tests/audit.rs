//! The commands on an audit log, as an auditor types them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use worm_log::{
    Appended, Checkpoint, Context, Limits, LocalStore, Record, SegmentBuilder, Sequencer, SequencerConfig,
    SignedCheckpoint, SigningKey, VerifyingKeys, Written,
};

const NAME: &str = "ward.example/audit";
const RETENTION: i64 = 86_400;

fn run(arguments: &[&str], folder: &Path) -> Output {
    let program = env!("CARGO_BIN_EXE_wardstream");
    Command::new(program).args(arguments).current_dir(folder).output().unwrap()
}

/// What an `audit` command that must exit with `status` prints, on both streams.
fn says(status: i32, arguments: &[&str], folder: &Path) -> String {
    wardstream_says(status, &[&["audit"], arguments].concat(), folder)
}

fn wardstream_says(status: i32, arguments: &[&str], folder: &Path) -> String {
    let output = run(arguments, folder);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    text
}

fn record(offset: i64) -> Record {
    Record {
        topic: "hl7.raw".to_owned(),
        partition: 0,
        offset,
        timestamp_ms: 1_790_000_000_000 + offset,
        key: None,
        value: Some(format!("MSH|{offset}").into_bytes()),
        headers: Vec::new(),
    }
}

/// Three segments of ten records, a checkpoint after the first and after the third.
async fn write_log(folder: &Path, key: &Path) {
    let store = LocalStore::open(folder).unwrap();
    let key = SigningKey::parse(&fs::read_to_string(key).unwrap()).unwrap();
    let config = SequencerConfig { key, keys: VerifyingKeys::default(), retention_seconds: RETENTION };
    let mut sequencer = Sequencer::open(store.clone(), config).await.unwrap();
    let now = jiff::Timestamp::now();
    let mut previous = None;
    for first in [0, 10, 20] {
        let mut builder = SegmentBuilder::new("hl7.raw", 0, first, Limits::default()).unwrap();
        for offset in first..first + 10 {
            builder.push(&record(offset), 0).unwrap();
        }
        let context = Context {
            writer_version: "test".to_owned(),
            retain_until: jiff::Timestamp::from_second(now.as_second() + RETENTION).unwrap(),
            prev_manifest_sha256: previous,
        };
        let sealed = builder.finish(first + 10, &context).unwrap();
        assert_eq!(worm_log::write(&store, &sealed).await.unwrap(), Written::Created);
        assert_eq!(sequencer.append(&sealed.manifest).await.unwrap(), Appended::Taken);
        previous = Some(sealed.manifest_sha256);
        if first != 10 {
            sequencer.checkpoint(now.as_millisecond(), first).await.unwrap();
        }
    }
}

#[test]
fn an_auditor_verifies_proves_and_compares() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let printed = says(0, &["key", "--name", NAME, "--out", "signing.key"], here);
    assert!(printed.starts_with(&format!("{NAME}+")) && printed.trim_end().ends_with('Z'), "{printed}");
    fs::write(here.join("log.keys"), &printed).unwrap();
    says(64, &["key", "--name", NAME, "--out", "signing.key"], here);
    says(64, &["key", "--name", "two words", "--out", "other.key"], here);
    tokio::runtime::Runtime::new().unwrap().block_on(write_log(&here.join("log"), &here.join("signing.key")));

    let verify = ["verify", "--bundle", "log", "--keys", "log.keys"];
    let report = says(0, &verify, here);
    assert!(
        report.starts_with("audit verify: whole, topics 1, partitions 1, segments 3, records 30,"),
        "{report}"
    );
    assert!(report.trim_end().ends_with(", checkpoints 2, leaves 3"), "{report}");
    assert!(says(0, &verify[..3], here).contains("signatures not checked"));

    let ls = says(0, &["ls", "--bundle", "log"], here);
    assert!(ls.contains("hl7.raw") && ls.contains(&format!("last checkpoint: {NAME}, size 3")), "{ls}");

    let place = ["--bundle", "log", "--topic", "hl7.raw", "--partition", "0"];
    let prove = |offset: &'static str| {
        [&["prove"], &place[..], &["--offset", offset, "--out", "event.tlog-proof"]].concat()
    };
    assert!(says(1, &prove("30"), here).contains("WORM-621"));
    says(0, &prove("17"), here);
    let check = ["check-proof", "event.tlog-proof", "--keys", "log.keys"];
    let proven = says(0, &[&check[..], &["--value", "value"]].concat(), here);
    assert!(proven.starts_with("proof holds: hl7.raw/0/17\n"), "{proven}");
    assert!(!proven.contains("MSH"), "content belongs in no terminal");
    assert_eq!(fs::read(here.join("value")).unwrap(), b"MSH|17");
    let text = fs::read_to_string(here.join("event.tlog-proof")).unwrap();
    fs::write(here.join("event.tlog-proof"), text.replace("index 1", "index 2")).unwrap();
    assert!(says(1, &check, here).contains("WORM-620"));

    let diff = says(0, &["diff", "--bundle", "log", "--from", "1", "--keys", "log.keys"], here);
    assert!(diff.starts_with(&format!("consistent: {NAME} grew from 1 to 3 leaves")), "{diff}");
    assert!(diff.contains("hl7.raw"), "{diff}");
    says(64, &["diff", "--bundle", "log", "--from", "3", "--to", "1"], here);
    says(64, &["diff", "--bundle", "log", "--from", "2"], here);

    // The last checkpoint was kept elsewhere; here everything is cut back.
    fs::copy(here.join(format!("log/log/checkpoint/{:020}", 3)), here.join("kept")).unwrap();
    for gone in ["log/checkpoint/00000000000000000003", "log/tile/0/000.p/3", "log/tile/entries/000.p/3"] {
        fs::remove_file(here.join("log").join(gone)).unwrap();
    }
    assert!(says(0, &verify, here).contains(", segments not yet under a checkpoint 2"));
    let report = says(2, &[&verify[..], &["--checkpoint", "kept"]].concat(), here);
    assert!(report.contains("incomplete: rolled-back"), "{report}");
    assert!(says(1, &["diff", "--bundle", "log", "--from", "1", "--to", "kept"], here).contains("WORM-"));
    fs::remove_dir_all(here.join("log/log")).unwrap();
    assert!(says(0, &verify[..3], here).contains("no merkle log"));
    assert!(says(2, &verify, here).contains("log-missing"));
}

#[test]
fn a_witness_remembers_and_refuses_a_fork() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let keys = says(0, &["key", "--name", NAME, "--out", "signing.key"], here);
    fs::write(here.join("log.keys"), &keys).unwrap();
    let witness =
        says(0, &["key", "--witness", "--name", "elsewhere.example/w1", "--out", "witness.key"], here);
    fs::write(here.join("witness.pub"), &witness).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(write_log(&here.join("log"), &here.join("signing.key")));
    let look =
        ["witness", "--bundle", "log", "--keys", "log.keys", "--key", "witness.key", "--state", "memory"];
    assert!(wardstream_says(0, &look, here).starts_with(&format!("cosigned: {NAME}, size 3, made ")));
    assert_eq!(wardstream_says(0, &look, here), "nothing new: size 3\n");
    let kept = format!("memory/{:020}", 3);
    let verify =
        ["verify", "--bundle", "log", "--keys", "log.keys", "--witness", "witness.pub", "--checkpoint"];
    let with = |checkpoint: &str| {
        [&verify[..], &[checkpoint]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |status, arguments: &[String]| {
        says(status, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), here)
    };
    assert!(run(0, &with(&kept)).contains("audit verify: whole"));
    let last = format!("log/log/checkpoint/{:020}", 3);
    assert!(run(64, &with(&last)).contains("not cosigned"));

    // Who holds the signing key writes the log anew, with a record less.
    let text =
        SignedCheckpoint::from_bytes(&fs::read(here.join(&last)).unwrap()).unwrap().checkpoint().clone();
    let key = SigningKey::parse(&fs::read_to_string(here.join("signing.key")).unwrap()).unwrap();
    let forged = Checkpoint { root: [7; 32], ..text }.sign(&key, &VerifyingKeys::default()).unwrap();
    fs::remove_file(here.join(&last)).unwrap();
    fs::write(here.join(&last), forged.to_bytes()).unwrap();
    assert!(wardstream_says(1, &look, here).contains("WORM-622"));
    assert!(run(1, &with(&kept)).contains("forked"));
    fs::write(here.join(&kept), "half a memory").unwrap();
    assert!(wardstream_says(64, &look, here).contains("WORM-618"));
}
