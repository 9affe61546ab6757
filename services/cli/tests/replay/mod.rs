//! `replay` on a real Kafka and a real bucket with Object Lock.

use std::fs;
use std::path::{Path, PathBuf};

use contracts::headers::{EVENT_ID, REPLAY_OFFSET, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC};
use contracts::{ACCESS_EVENTS, AccessEvent, EventId, FhirReceived};
use fhir::Validator;
use serde_json::{Value, json};
use worm_log::testing::{Bundle, SeaweedFs, Tampering, copy, download};
use worm_log::{
    Appended, Context, Limits, Record, S3Store, SegmentBuilder, Sequencer, SequencerConfig, SigningKey,
    VerifyingKeys, Written,
};

use crate::kafka::{Bench, Ran};
use crate::{GOOD, SHAPE, message};

const RETENTION: i64 = 3_600;
const SEGMENT: i64 = 10;
const OPERATOR: &str = "d.osei@ward.example";
/// The first record's time.
const START_MS: i64 = 1_790_000_000_000;

struct Log {
    bench: Bench,
    server: SeaweedFs,
    folder: tempfile::TempDir,
    key: SigningKey,
}

impl Log {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `replay` on the bucket.
    fn replay(&self, arguments: &[&str]) -> Ran {
        self.replay_with(arguments, &[])
    }

    fn replay_with(&self, arguments: &[&str], more: &[(&str, &str)]) -> Ran {
        let keys = self.path("log.keys");
        let config = self.server.audit_config();
        let bundle = format!("s3://{}", config.bucket);
        let fixed = [
            "replay",
            "--bundle",
            &bundle,
            "--endpoint",
            self.server.endpoint(),
            "--keys",
            keys.to_str().unwrap(),
        ];
        let key = config.access_key.unwrap();
        let environment = [("AWS_ACCESS_KEY_ID", key.id.as_str()), ("AWS_SECRET_ACCESS_KEY", &key.secret)];
        let who = ["--operator", OPERATOR, "--purpose", "HOPERAT: a message is missing"];
        self.bench.run_with(&[&fixed[..], &who, arguments].concat(), &[&environment[..], more].concat())
    }

    /// Runs a command of `audit` that is recorded, on the bucket; as administrator, or as the audit principal.
    fn audit(&self, administrator: bool, command: &[&str], arguments: &[&str]) -> Ran {
        let mut config = self.server.audit_config();
        if administrator {
            config = self.server.admin_config(&config.bucket);
        }
        let (keys, bundle) = (self.path("log.keys"), format!("s3://{}", config.bucket));
        let fixed =
            ["--bundle", &bundle, "--endpoint", self.server.endpoint(), "--keys", keys.to_str().unwrap()];
        let key = config.access_key.unwrap();
        let environment = [("AWS_ACCESS_KEY_ID", key.id.as_str()), ("AWS_SECRET_ACCESS_KEY", &key.secret)];
        self.bench.run_with(&[&["audit"], command, &fixed[..], arguments].concat(), &environment)
    }

    /// Runs `replay compare` on the bucket.
    fn compare(&self, arguments: &[&str]) -> Ran {
        let (keys, config) = (self.path("log.keys"), self.server.audit_config());
        let bundle = format!("s3://{}", config.bucket);
        let endpoint = self.server.endpoint();
        let keys = keys.to_str().unwrap();
        let fixed = ["replay", "compare", "--bundle", &bundle, "--endpoint", endpoint, "--keys", keys];
        let who = ["--operator", OPERATOR, "--purpose", "HSYSADMIN: a new mapping"];
        let key = config.access_key.unwrap();
        let environment = [("AWS_ACCESS_KEY_ID", key.id.as_str()), ("AWS_SECRET_ACCESS_KEY", &key.secret)];
        self.bench.run_with(&[&fixed[..], &who, arguments].concat(), &environment)
    }

    /// Runs `replay` on a copy in a folder.
    fn replay_copy(&self, root: &Path, arguments: &[&str]) -> Ran {
        let keys = self.path("log.keys");
        let fixed = ["replay", "--bundle", root.to_str().unwrap(), "--keys", keys.to_str().unwrap()];
        let who = ["--operator", OPERATOR, "--purpose", "HCOMPL"];
        self.bench.run(&[&fixed[..], &who, arguments].concat())
    }

    fn accesses(&self) -> Vec<AccessEvent> {
        self.bench.read(ACCESS_EVENTS).iter().map(|record| self.bench.decoded(record)).collect()
    }
}

fn record(topic: &str, partition: i32, offset: i64, value: Vec<u8>) -> Record {
    Record {
        topic: topic.to_owned(),
        partition,
        offset,
        timestamp_ms: START_MS + offset * 1_000,
        key: Some(b"HARBOR|00482913".to_vec()),
        value: Some(value),
        headers: headers(topic, offset),
    }
}

/// A feed's own; those of the line for what a stage wrote.
fn headers(topic: &str, offset: i64) -> Vec<(String, Option<Vec<u8>>)> {
    let mut headers = vec![("ward", "W1".to_owned())];
    if topic != "hl7.raw" {
        headers.extend([
            (EVENT_ID, EventId::at("hl7.raw", 0, offset).to_string()),
            (SOURCE_TOPIC, "hl7.raw".to_owned()),
            (SOURCE_PARTITION, "0".to_owned()),
            (SOURCE_OFFSET, offset.to_string()),
        ]);
    }
    headers.into_iter().map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))).collect()
}

fn received(offset: i64) -> FhirReceived {
    FhirReceived {
        event_id: EventId::at("hl7.raw", 0, offset).to_string(),
        facility: "HARBOR".to_owned(),
        message_type: if offset % 2 == 0 { "ADT^A01" } else { "ORU^R01" }.to_owned(),
        received_at: START_MS + offset,
        control_id: format!("C{offset}"),
        bundle: json!({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "name": [{"family": "Carter"}]}}]})
            .to_string(),
        unmapped: Vec::new(),
    }
}

/// Two partitions of hl7.raw with three segments each and one of fhir.received; the last segment of hl7.raw/1 is under no
/// checkpoint.
async fn write(store: &S3Store, key: &SigningKey, encoded: Vec<Vec<u8>>) {
    let config =
        SequencerConfig { key: key.clone(), keys: VerifyingKeys::default(), retention_seconds: RETENTION };
    let mut sequencer = Sequencer::open(store.clone(), config).await.unwrap();
    let now = jiff::Timestamp::now();
    for (topic, partition, segments) in [("hl7.raw", 0, 3), ("hl7.raw", 1, 3), ("fhir.received", 0, 1)] {
        let mut previous = None;
        for segment in 0..segments {
            let first = segment * SEGMENT;
            let mut builder = SegmentBuilder::new(topic, partition, first, Limits::default()).unwrap();
            for offset in first..first + SEGMENT {
                let value = match topic {
                    "hl7.raw" => GOOD.replace("|C1|", &format!("|C{offset}|")).into_bytes(),
                    _ => encoded[offset as usize].clone(),
                };
                builder.push(&record(topic, partition, offset, value), 0).unwrap();
            }
            let context = Context {
                writer_version: "test".to_owned(),
                retain_until: jiff::Timestamp::from_second(now.as_second() + RETENTION).unwrap(),
                prev_manifest_sha256: previous,
            };
            let sealed = builder.finish(first + SEGMENT, &context).unwrap();
            assert_eq!(worm_log::write(store, &sealed).await.unwrap(), Written::Created);
            previous = Some(sealed.manifest_sha256);
            if (partition, segment) != (1, 2) {
                assert_eq!(sequencer.append(&sealed.manifest).await.unwrap(), Appended::Taken);
                sequencer.checkpoint(now.as_millisecond(), first).await.unwrap();
            }
        }
    }
}

fn log() -> Option<Log> {
    let bench = Bench::start()?;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(SeaweedFs::start())?;
    bench.apply(&SHAPE);
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::parse(&SigningKey::generate("ward.example/audit").unwrap()).unwrap();
    fs::write(folder.path().join("log.keys"), key.verifying_key()).unwrap();
    let encoded = (0..SEGMENT).map(|offset| bench.encoded("fhir.received", &received(offset))).collect();
    runtime.block_on(async {
        let store = S3Store::connect(server.audit_config()).await.unwrap();
        write(&store, &key, encoded).await;
        download(&store, &folder.path().join("copy")).await.unwrap();
    });
    Some(Log { bench, server, folder, key })
}

#[test]
fn records_come_once_more_and_who_read_them_is_recorded_before() {
    let Some(log) = log() else { return };
    access_comes_first(&log);
    selections_are_exact(&log);
    masks_hold_until_a_role_lifts_them(&log);
    a_file_goes_on_where_it_ended(&log);
    a_table_is_read_by_duckdb(&log);
    an_event_tells_its_story(&log);
    segments_are_listed_by_their_leaves(&log);
    holds_are_added_listed_and_released(&log);
    kafka_is_read_and_written_to(&log);
    a_stage_is_compared_with_what_the_log_has(&log);
    an_auditor_walks_through(&log);
    what_is_not_proved_stops(&log);
}

fn access_comes_first(log: &Log) {
    let missing = log.bench.run(&[
        "replay",
        "--bundle",
        ".",
        "--keys",
        "x",
        "--topic",
        "hl7.raw",
        "--operator",
        OPERATOR,
    ]);
    assert_eq!((missing.code, missing.err.contains("--purpose")), (64, true), "{}", missing.err);
    let unsigned = log.bench.run(&[
        "replay",
        "--bundle",
        ".",
        "--topic",
        "hl7.raw",
        "--operator",
        OPERATOR,
        "--purpose",
        "x",
    ]);
    assert_eq!((unsigned.code, unsigned.err.contains("--keys")), (64, true), "{}", unsigned.err);
    // Where it cannot be recorded, nothing is read.
    let away = [("WARDSTREAM_REGISTRY__URL", "http://127.0.0.1:1")];
    let away = log.replay_with(&["--topic", "hl7.raw", "--partition", "0"], &away);
    assert_eq!((away.code, away.out.as_str()), (69, ""), "{}", away.err);
    assert_eq!(log.accesses(), []);

    let ran = log.replay(&[
        "--topic",
        "hl7.raw",
        "--partition",
        "0",
        "--offsets",
        "5..12",
        "--message-type",
        "ADT",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.starts_with("by the checkpoint of ward.example/audit of size 6, made "), "{}", ran.err);
    assert!(ran.err.contains("\nreplayed: records 7, bytes "), "{}", ran.err);
    assert!(ran.err.ends_with(", not proved 0\n"), "{}", ran.err);
    let offsets: Vec<_> = ran.lines().iter().map(|line| line["offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, (5..12).collect::<Vec<_>>());
    assert_eq!((&ran.lines()[0]["leaf"], &ran.lines()[6]["leaf"]), (&json!(0), &json!(1)));
    let [access] = &log.accesses()[..] else { panic!("{:?}", log.accesses()) };
    assert_eq!(
        (access.operator.as_str(), access.kind.as_str(), access.role.as_deref()),
        (OPERATOR, "replay", None)
    );
    assert_eq!(access.purpose, "HOPERAT: a message is missing");
    assert_eq!(access.query, "topic=hl7.raw&partition=0&first-offset=5&next-offset=12&message-type=ADT");
    let audit: Value = serde_json::from_str(&access.audit_event).unwrap();
    assert!(Validator::r4().validate(access.audit_event.as_bytes()).is_valid(), "{audit}");
    assert_eq!(audit["agent"][1]["who"]["display"], "s3://audit");
}

fn selections_are_exact(log: &Log) {
    let count = |arguments: &[&str]| {
        let ran = log.replay(&[&["--topic", "fhir.received"], arguments].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        ran.lines().len()
    };
    let event = EventId::at("hl7.raw", 0, 3).to_string();
    let time =
        |offset: i64| jiff::Timestamp::from_millisecond(START_MS + offset * 1_000).unwrap().to_string();
    assert_eq!(count(&[]), 10);
    assert_eq!(count(&["--event-id", &event]), 1);
    assert_eq!(count(&["--message-type", "ORU^R01"]), 5);
    assert_eq!(count(&["--facility", "ELSEWHERE"]), 0);
    assert_eq!(count(&["--urgency", "emergent"]), 0, "it is not judged yet");
    assert_eq!(count(&["--from", &time(2), "--to", &time(5), "--facility", "HARBOR"]), 3);
    assert_eq!(count(&["--pseudonym", "p-7"]), 0, "the topic has none");
    let patient: Value = serde_json::from_str(&log.accesses().last().unwrap().audit_event).unwrap();
    assert_eq!(patient["entity"][2]["what"]["identifier"]["value"], "p-7");
    // The id of a feed's record is that of its place.
    let raw = log.replay(&["--topic", "hl7.raw", "--partition", "0", "--event-id", &event]);
    assert_eq!(raw.lines()[0]["offset"], 3, "{}", raw.err);

    let dry =
        log.replay(&["--topic", "fhir.received", "--topic", "hl7.raw", "--partition", "0", "--dry-run"]);
    let rows: Vec<Vec<&str>> = dry.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["topic", "partition", "first", "last", "records", "bytes", "not", "proved"]);
    assert_eq!(rows[1][..5], ["fhir.received", "0", "0", "9", "10"], "{}", dry.out);
    assert_eq!(rows[2][..5], ["hl7.raw", "0", "0", "29", "30"]);
    assert!(dry.err.contains("\nwould replay: records 40, bytes "), "{}", dry.err);
    let by = |marks: &str| {
        let ran = log.replay(&[
            "--topic",
            "fhir.received",
            "--topic",
            "hl7.raw",
            "--partition",
            "0",
            "--dry-run",
            "--by",
            marks,
        ]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let rows = ran.out.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect());
        rows.map(|mut row: Vec<String>| row.drain(..row.len() - 1).collect()).collect::<Vec<Vec<String>>>()
    };
    // What a feed calls its facility may be anything.
    assert_eq!(by("topic,facility"), [["fhir.received", "HARBOR", "10"], ["hl7.raw", "***", "30"]]);
    assert_eq!(by("message-type"), [["ADT^A01", "35"], ["ORU^R01", "5"]]);
    assert_eq!(by("urgency"), [["-", "40"]]);
    let gone = log.replay(&["--topic", "hl7.elsewhere"]);
    assert_eq!((gone.code, gone.err.contains("nothing of topic hl7.elsewhere")), (64, true), "{}", gone.err);
}

fn masks_hold_until_a_role_lifts_them(log: &Log) {
    let both = ["--topic", "hl7.raw", "--topic", "fhir.received", "--partition", "0"];
    let ran = log.replay(&both);
    assert_eq!(ran.lines().len(), 40);
    for name in ["Carter", "00482913", "W1"] {
        assert!(!ran.out.contains(name), "{name} is masked");
    }
    assert!(ran.out.contains("ADT^A01^ADT_A01") && ran.out.contains("resourceType"), "{}", ran.out);

    let before = log.accesses().len();
    let refused = log.replay(&[&both[..], &["--unmask"]].concat());
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{}", refused.err);
    assert!(refused.err.contains("no role that may unmask"), "{}", refused.err);
    assert_eq!(log.accesses().len(), before);

    let config = log.path("wardstream.toml");
    fs::write(&config, format!("[access.unmask]\n\"{OPERATOR}\" = \"privacy-officer\"\n")).unwrap();
    let shown = log.replay(&[&both[..], &["--unmask", "--config", config.to_str().unwrap()]].concat());
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("00482913^^^HARBOR") && shown.out.contains("Carter"));
    let accesses = log.accesses();
    let kinds: Vec<_> =
        accesses[before..].iter().map(|access| (access.kind.as_str(), access.role.as_deref())).collect();
    assert_eq!(kinds, [("replay", None), ("unmask", Some("privacy-officer"))]);
    assert_eq!(accesses[before].access_id, accesses[before + 1].access_id);
}

fn a_file_goes_on_where_it_ended(log: &Log) {
    let out = log.path("out.ndjson");
    let arguments = [
        "--topic",
        "hl7.raw",
        "--topic",
        "fhir.received",
        "--partition",
        "0",
        "--out",
        out.to_str().unwrap(),
    ];
    assert_eq!(log.replay(&arguments).code, 0);
    let whole = fs::read_to_string(&out).unwrap();
    assert_eq!(log.replay(&arguments).code, 64, "it is there");
    for length in [0, 10, whole.len() / 3, whole.len() - 1, whole.len()] {
        fs::write(&out, &whole[..length]).unwrap();
        let ran = log.replay(&[&arguments[..], &["--resume"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(fs::read_to_string(&out).unwrap() == whole, "resumed at byte {length}");
    }
}

/// What DuckDB makes of a query, as a JSON list of rows; none where it is not installed.
fn duckdb(query: &str) -> Option<Value> {
    let Some(module) = std::env::var_os("WARDSTREAM_DUCKDB") else {
        eprintln!("SKIPPED  DuckDB: WARDSTREAM_DUCKDB names no folder with its module for Python");
        return None;
    };
    let program =
        "import duckdb, json, sys; print(json.dumps(duckdb.sql(sys.argv[1]).fetchall(), default=str))";
    let ran = std::process::Command::new("python3")
        .args(["-c", program, query])
        .env("PYTHONPATH", module)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(serde_json::from_slice(&ran.stdout).unwrap())
}

fn a_table_is_read_by_duckdb(log: &Log) {
    let out = log.path("out.parquet");
    let file = out.to_str().unwrap();
    let arguments = [
        "--topic",
        "hl7.raw",
        "--topic",
        "fhir.received",
        "--partition",
        "0",
        "--rate",
        "1000",
        "--out",
        file,
    ];
    let ran = log.replay(&arguments);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert!(ran.err.contains("\nreplayed: records 40, bytes "), "{}", ran.err);
    assert_eq!(log.replay(&arguments).code, 64, "it is there");
    let again = log.replay(&["--topic", "hl7.raw", "--out", file, "--resume"]);
    assert_eq!((again.code, again.err.contains("--format ndjson")), (64, true), "{}", again.err);
    assert_eq!(log.replay(&["--topic", "hl7.raw", "--rate", "0"]).code, 64);

    let Some(columns) =
        duckdb(&format!("select column_name, column_type from (describe select * from '{file}')"))
    else {
        return;
    };
    for column in [
        ["topic", "VARCHAR"],
        ["partition", "INTEGER"],
        ["offset", "BIGINT"],
        ["timestamp", "TIMESTAMP WITH TIME ZONE"],
        ["masked", "BOOLEAN"],
        ["message", "VARCHAR"],
        ["received_at", "TIMESTAMP WITH TIME ZONE"],
        ["message_type", "VARCHAR"],
        ["unmapped", "VARCHAR"],
    ] {
        assert!(columns.as_array().unwrap().contains(&json!(column)), "{column:?} in {columns}");
    }
    let counted = duckdb(&format!(
        "select topic, message_type, count(*), min(\"offset\"), max(\"offset\"), bool_and(masked), count(leaf) from '{file}' \
         group by all order by all"
    ));
    let expected = json!([
        ["fhir.received", "ADT^A01", 5, 0, 8, true, 5],
        ["fhir.received", "ORU^R01", 5, 1, 9, true, 5],
        ["hl7.raw", null, 30, 0, 29, true, 30],
    ]);
    assert_eq!(counted, Some(expected));
    let times = duckdb(&format!(
        "select epoch_ms(timestamp), epoch_ms(received_at), bundle ->> '$.entry[0].resource.resourceType' \
         from '{file}' where topic = 'fhir.received' and \"offset\" = 3"
    ));
    // When it was received says nothing of a patient, and is shown masked too.
    assert_eq!(times, Some(json!([[START_MS + 3_000, START_MS + 3, "Patient"]])));
    let names = duckdb(&format!(
        "select count(*) from '{file}' where bundle like '%Carter%' or message like '%00482913%'"
    ));
    assert_eq!(names, Some(json!([[0]])));
}

fn an_event_tells_its_story(log: &Log) {
    let who = ["--operator", OPERATOR, "--purpose", "HCOMPL: case 7"];
    let explain =
        |named: &str, more: &[&str]| log.audit(false, &["explain", named], &[&who[..], more].concat());
    let event = EventId::at("hl7.raw", 0, 3).to_string();
    for named in [event.as_str(), "hl7.raw/0/3", "fhir.received/0/3"] {
        let ran = explain(named, &["--json"]);
        assert_eq!(ran.code, 0, "{named}: {}", ran.err);
        let story = ran.json();
        assert_eq!((&story["event_id"], &story["checkpoint"]["size"]), (&json!(event), &json!(6)));
        let [fed, received] = story["records"].as_array().unwrap().as_slice() else { panic!("{story:#}") };
        assert_eq!((&fed["topic"], &fed["step"]["what"]), (&json!("hl7.raw"), &json!("fed")));
        assert_eq!(fed["step"]["fate"], json!(["emitted"]));
        assert_eq!(
            (&received["step"]["stage"], &received["step"]["from"]),
            (&json!("ingest"), &json!("hl7.raw/0/3"))
        );
        assert_eq!(received["step"]["fate"], json!([]), "validate has not read it");
        assert_eq!((&received["leaf"], &received["proved"]), (&json!(5), &json!(true)));
        assert_eq!(received["segment"], "seg/fhir.received/0/00000000000000000000.avro");
        assert!(received["retain_until"].is_string() && received["segment_sha256"].is_string());
        assert!(!ran.out.contains("Carter") && !ran.out.contains("00482913") && ran.out.contains("ADT^A01"));
    }
    let access = log.accesses().pop().unwrap();
    assert_eq!((access.kind.as_str(), access.purpose.as_str()), ("explain", "HCOMPL: case 7"));
    assert_eq!(access.query, "topic=fhir.received&partition=0&first-offset=3&next-offset=4");

    let table = explain(&event, &[]);
    let rows: Vec<Vec<&str>> = table.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 4, "{}", table.out);
    assert!(table.out.starts_with(&format!(
        "event {event}: records 2, not proved 0, by the checkpoint of ward.example/audit of size 6"
    )));
    assert_eq!(rows[2][1..7], ["hl7.raw/0/3", "fed", "-", "-", "emitted", "0"], "{}", table.out);
    assert_eq!(
        rows[3][1..6],
        ["fhir.received/0/3", "emitted", "ingest", "hl7.raw/0/3", "none"],
        "{}",
        table.out
    );

    let pending = explain("hl7.raw/1/25", &["--json"]).json();
    assert_eq!(
        (&pending["records"][0]["proved"], &pending["records"][0]["leaf"]),
        (&json!(false), &Value::Null)
    );
    let later = explain(&event, &["--from", "2100-01-01T00:00:00Z"]);
    assert_eq!((later.code, later.err.contains("nothing of event")), (1, true), "{}", later.err);
    let gone = explain("hl7.raw/0/30", &[]);
    assert_eq!((gone.code, gone.err.contains("WORM-621")), (1, true), "{}", gone.err);
    let anonymous = log.audit(false, &["explain", &event], &[]);
    assert_eq!((anonymous.code, anonymous.err.contains("--operator")), (64, true), "{}", anonymous.err);

    // An altered segment is named, and hides nothing of the others.
    let (root, keys) = (log.path("altered"), log.path("log.keys"));
    copy(&log.path("copy"), &root).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bundle = Bundle::open(&root).unwrap();
    runtime.block_on(bundle.tamper(Tampering::FlipByte, &log.key, &mut |of| of - 1)).unwrap();
    let place = ["--bundle", root.to_str().unwrap(), "--keys", keys.to_str().unwrap()];
    let ran = log.bench.run(&[&["audit", "explain", &event], &place[..], &who].concat());
    assert_eq!((ran.code, ran.out.lines().count()), (1, 3), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("WORM-623") && ran.err.contains("fhir.received/0"), "{}", ran.err);
}

fn segments_are_listed_by_their_leaves(log: &Log) {
    let ran = log.audit(false, &["ls"], &["--segments"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines = ran.lines();
    let leaves: Vec<_> = lines.iter().map(|line| line["leaf"].as_u64().unwrap()).collect();
    assert_eq!(leaves, [5, 0, 1, 2, 3, 4], "by topic, partition and offset; one has no leaf yet");
    let time =
        |offset: i64| jiff::Timestamp::from_millisecond(START_MS + offset * 1_000).unwrap().to_string();
    let second = &lines[2];
    assert_eq!(
        (&second["topic"], &second["partition"], &second["records"]),
        (&json!("hl7.raw"), &json!(0), &json!(SEGMENT))
    );
    assert_eq!((&second["first_offset"], &second["next_offset"]), (&json!(10), &json!(20)));
    assert_eq!((&second["first_at"], &second["last_at"]), (&json!(time(10)), &json!(time(19))));
    assert!(second["retain_until"].is_string() && second["bytes"].as_u64() > Some(0), "{second}");
    // A list that nobody signed is none.
    let unsigned = log.bench.run(&["audit", "ls", "--segments", "--bundle", "."]);
    assert_eq!((unsigned.code, unsigned.err.contains("--keys")), (64, true), "{}", unsigned.err);
}

fn holds_are_added_listed_and_released(log: &Log) {
    let who = ["--operator", OPERATOR, "--purpose", "HLEGAL: case 7"];
    let hold = |command: &str, more: &[&str]| log.audit(true, &["hold", command], &[&who[..], more].concat());
    let on_hold = || log.audit(true, &["hold", "ls"], &[]).out;
    assert!(on_hold().ends_with("on hold: segments 0 of 7\n"), "{}", on_hold());

    let before = log.accesses().len();
    let dry = hold("add", &["--topic", "hl7.raw", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.err);
    assert!(dry.out.ends_with("would be put on hold: segments 6 of 6\n"), "{}", dry.out);
    assert_eq!(log.accesses().len(), before, "nothing was read or changed");
    assert!(on_hold().ends_with("on hold: segments 0 of 7\n"));

    let added = hold("add", &["--event", "hl7.raw/0/3"]);
    assert!(
        added.code == 0 && added.out.ends_with("put on hold: segments 2 of 2\n"),
        "{}{}",
        added.out,
        added.err
    );
    let kinds: Vec<_> = log.accesses()[before..].iter().map(|access| access.kind.clone()).collect();
    assert_eq!(kinds, ["explain", "hold"]);
    let ls = on_hold();
    assert!(
        ls.lines().any(|line| line.starts_with("fhir.received") && line.ends_with("segment and manifest")),
        "{ls}"
    );
    assert!(ls.ends_with("on hold: segments 2 of 7\n"), "{ls}");
    let raw = hold("add", &["--topic", "hl7.raw"]);
    assert!(
        raw.out.contains("was on hold") && raw.out.ends_with("put on hold: segments 5 of 6\n"),
        "{}",
        raw.out
    );

    let time = jiff::Timestamp::from_millisecond(START_MS + 10_000).unwrap().to_string();
    let some = hold("release", &["--topic", "hl7.raw", "--topic", "fhir.received", "--to", &time]);
    assert!(some.out.ends_with("released: segments 3 of 3\n"), "{}{}", some.out, some.err);
    let early = log.audit(true, &["hold", "ls"], &["--to", &time]).out;
    assert!(early.ends_with("on hold: segments 0 of 3\n"), "{early}");
    let late = log.audit(true, &["hold", "ls"], &["--from", &time]).out;
    assert!(late.ends_with("on hold: segments 4 of 4\n"), "{late}");
    assert!(hold("release", &["--topic", "hl7.raw"]).out.ends_with("released: segments 4 of 6\n"));
    assert!(on_hold().ends_with("on hold: segments 0 of 7\n"));
    assert_eq!(log.accesses().pop().unwrap().kind, "unhold");

    // Who may not change holds changes none, and is told what is missing.
    let refused = log.audit(false, &["hold", "add"], &[&who[..], &["--topic", "hl7.raw"]].concat());
    assert_eq!(refused.code, 64, "{}{}", refused.out, refused.err);
    assert!(
        refused.err.contains("WORM-611") && refused.err.contains("PutObjectLegalHold"),
        "{}",
        refused.err
    );
    let folder = log.path("copy");
    let keys = log.path("log.keys");
    let local = log.bench.run(&[
        "audit",
        "hold",
        "ls",
        "--bundle",
        folder.to_str().unwrap(),
        "--keys",
        keys.to_str().unwrap(),
    ]);
    assert_eq!((local.code, local.err.contains("a folder has none")), (64, true), "{}", local.err);
}

fn kafka_is_read_and_written_to(log: &Log) {
    let bench = &log.bench;
    let replay = |arguments: &[&str]| {
        let who = ["replay", "--operator", OPERATOR, "--purpose", "HOPERAT"];
        bench.run(&[&who[..], arguments].concat())
    };
    for at in 0..5 {
        bench.publish(&message(GOOD.replace("|C1|", &format!("|C{at}|"))));
    }
    let all = replay(&["--topic", "hl7.raw"]);
    assert_eq!((all.code, all.lines().len()), (0, 5), "{}", all.err);
    assert!(all.lines()[0]["leaf"].is_null() && !all.out.contains("Carter"), "{}", all.out);
    assert!(log.accesses().last().unwrap().source.starts_with("kafka://"));
    // Records of one key are in one partition.
    let some = replay(&["--topic", "hl7.raw", "--offsets", "1..3", "--facility", "HARBOR"]);
    assert_eq!(some.lines().len(), 2, "{}", some.err);
    let event = EventId::at("hl7.raw", some.lines()[0]["partition"].as_i64().unwrap() as i32, 2).to_string();
    assert_eq!(replay(&["--topic", "hl7.raw", "--event-id", &event]).lines()[0]["offset"], 2);
    assert_eq!(replay(&["--topic", "hl7.raw", "--from", "2100-01-01T00:00:00Z"]).lines().len(), 0);
    assert_eq!(replay(&["--topic", "hl7.absent"]).code, 69);

    let into = ["--topic", "hl7.raw", "--into", "hl7.feed.again"];
    assert_eq!(replay(&into).code, 69, "the topic is not there");
    bench.apply(&[&SHAPE[..], &["--feed", "again"]].concat());
    let again = || bench.read("hl7.feed.again");
    assert_eq!(replay(&into).code, 0);
    let (was, is) = (bench.read("hl7.raw"), again());
    assert_eq!(is.len(), 5);
    for (was, is) in was.iter().zip(&is) {
        assert_eq!((&was.key, &was.value, was.header("from")), (&is.key, &is.value, is.header("from")));
        let place = EventId::at("hl7.raw", was.partition, was.offset).to_string();
        assert_eq!(is.header(EVENT_ID), Some(place.as_str()));
        assert_eq!(is.header(REPLAY_OFFSET), Some(was.offset.to_string().as_str()));
    }
    bench.publish(&message(GOOD.replace("|C1|", "|C5|")));
    let more = replay(&[&into[..], &["--resume"]].concat());
    assert!(more.err.starts_with("replayed: records 1, "), "{}", more.err);
    assert_eq!(again().len(), 6);
    assert!(log.accesses().last().unwrap().query.ends_with("&into=hl7.feed.again"));
    let proved = log.replay(&["--topic", "hl7.raw", "--partition", "0", "--into", "hl7.feed.again"]);
    assert_eq!((proved.code, again().len()), (0, 36), "{}", proved.err);

    let open = replay(&["--topic", "hl7.raw", "--into", "fhir.deidentified"]);
    assert_eq!((open.code, bench.read("fhir.deidentified").len()), (64, 0), "{}", open.err);
}

/// The log has what `ingest` made of ten messages, something other than it makes of them; and no topic of dead letters.
fn a_stage_is_compared_with_what_the_log_has(log: &Log) {
    let ran = log.compare(&["--stage", "ingest", "--partition", "0", "--json"]);
    let result = ran.json();
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(
        (&result["same"], &result["different"], &result["unknown"]),
        (&json!(0), &json!(10), &json!(20)),
        "{}",
        ran.err
    );
    assert!(!ran.out.contains("Carter") && ran.out.contains("\"Encounter.status\""), "{}", ran.out);
    assert!(log.accesses().last().unwrap().query.ends_with("&compare=ingest"));
    // Of hl7.raw/1 the last segment is under no checkpoint.
    assert_eq!(log.compare(&["--stage", "ingest"]).code, 1);
}

#[test]
fn a_stage_is_run_once_more_on_what_kafka_has() {
    let Some(mut bench) = Bench::start() else { return };
    bench.apply(&SHAPE);
    let given = |at: usize| message(GOOD.replace("|C1|", &format!("|C{at}|")));
    (0..6).for_each(|at| drop(bench.publish(&given(at))));
    bench.publish(&given(0));
    bench.publish(&message("PID|1".to_owned()));
    bench.ingest(|_| ());
    let counts = |bench: &Bench| {
        ["fhir.received", "line.dropped", "ingest.dead-letter"].map(|topic| bench.read(topic).len())
    };
    bench.wait("every message to have a fate", |bench| counts(bench) == [6, 1, 1]);
    bench.stop();
    let before = counts(&bench);

    let compare = |arguments: &[&str]| {
        let who = ["replay", "compare", "--operator", OPERATOR, "--purpose", "HSYSADMIN: a new mapping"];
        bench.run(&[&who[..], arguments].concat())
    };
    let same = compare(&["--stage", "ingest"]);
    assert_eq!(same.code, 0, "{}{}", same.out, same.err);
    assert_eq!(same.out, "ingest: same 8, different 0, unknown 0, retransmissions of earlier messages 0\n");

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("zone.toml"), "[ingest]\ndefault_zone = \"America/New_York\"\n").unwrap();
    let out = file("events");
    let other =
        ["--stage", "ingest", "--stage-config", &file("zone.toml"), "--list", "2", "--out", &out, "--json"];
    let differs = compare(&other);
    let result = differs.json();
    assert_eq!(
        (differs.code, &result["same"], &result["different"]),
        (1, &json!(2), &json!(6)),
        "{}",
        differs.err
    );
    assert_eq!(result["events"].as_array().unwrap().len(), 2);
    assert!(result["fields"].as_array().unwrap().iter().all(|field| field["events"] == 6), "{}", differs.out);
    let lines = fs::read_to_string(&out).unwrap();
    assert_eq!(lines.lines().count(), 6);
    assert!(!lines.contains("Carter") && lines.contains("fields\":[\""), "{lines}");
    let event = result["events"][0]["event_id"].as_str().unwrap();
    let one = compare(&[&other[..4], &["--event-id", event]].concat());
    assert!(one.out.contains("same 0, different 1,") && one.out.contains(event), "{}", one.out);
    // A retransmission alone is one of a message that is not among the inputs.
    let at = bench
        .read("line.dropped")
        .iter()
        .map(|record| bench.decoded::<contracts::Dropped>(record))
        .next()
        .unwrap();
    let place =
        [at.source_partition.to_string(), format!("{0}..{1}", at.source_offset, at.source_offset + 1)];
    let alone = compare(&["--stage", "ingest", "--partition", &place[0], "--offsets", &place[1]]);
    assert_eq!((alone.code, alone.out.contains("earlier messages 1")), (0, true), "{}", alone.out);

    let unknown = compare(&["--stage", "validate"]);
    assert_eq!((unknown.code, unknown.out.contains("unknown 6")), (1, true), "{}", unknown.out);
    let accesses = bench.read(ACCESS_EVENTS).len();
    for wrong in [
        &["--stage", "validate", "--model", "."][..],
        &["--stage", "classify", "--model", "."],
        &["--stage", "ingest", "--out", &out],
        &["--stage", "notify"],
    ] {
        assert_eq!(compare(wrong).code, 64, "{wrong:?}");
    }
    assert_eq!(
        (bench.read(ACCESS_EVENTS).len(), counts(&bench)),
        (accesses, before),
        "nothing else was written"
    );
    let bare = bench.run(&["replay"]);
    assert_eq!((bare.code, bare.err.contains("--purpose")), (64, true), "{}", bare.err);
}

/// Every command of the walk-through, and what it prints: `…` stands for anything.
fn an_auditor_walks_through(log: &Log) {
    let here = log.path("auditor");
    fs::create_dir(&here).unwrap();
    fs::copy(log.path("log.keys"), here.join("checkpoint.keys")).unwrap();
    let key = log.server.audit_config().access_key.unwrap();
    let environment = [("AWS_ACCESS_KEY_ID", key.id.as_str()), ("AWS_SECRET_ACCESS_KEY", &key.secret)];
    let bucket = format!("s3://audit --endpoint {}", log.server.endpoint());
    let page = include_str!("../../../../docs/auditing.md").replace("s3://wardstream-audit", &bucket);
    let mut printed: Option<String> = None;
    let mut blocks = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (language, body) = block.split_once('\n').unwrap();
        match language {
            "sh" => {
                let ran = log.bench.shell(body, &here, &environment);
                assert_eq!(ran.code, 0, "{body}\n{}{}", ran.out, ran.err);
                printed = Some(ran.out + &ran.err);
                blocks += 1;
            }
            "text" => {
                let printed = printed.take().unwrap();
                for line in body.lines() {
                    assert!(
                        printed.lines().any(|printed| fits(printed, line)),
                        "{line}\nis not in\n{printed}"
                    );
                }
            }
            other => panic!("a block of {other}"),
        }
    }
    assert_eq!(blocks, 9);
    assert_eq!(fs::read_to_string(here.join("records.ndjson")).unwrap().lines().count(), 10);
}

/// Whether a line has the parts of a pattern, in their order.
fn fits(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    pattern.split('…').all(|part| match rest.split_once(part.trim()) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

fn what_is_not_proved_stops(log: &Log) {
    let pending = log.replay(&["--topic", "hl7.raw", "--partition", "1"]);
    assert_eq!((pending.code, pending.lines().len()), (1, 20), "{}", pending.err);
    assert!(pending.err.contains("WORM-621"), "{}", pending.err);
    let all = log.replay(&["--topic", "hl7.raw", "--partition", "1", "--unproven"]);
    assert_eq!((all.code, all.lines().len()), (0, 30), "{}", all.err);
    assert!(all.lines()[29]["leaf"].is_null() && all.err.ends_with(", not proved 10\n"), "{}", all.err);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    for tampering in
        [Tampering::FlipByte, Tampering::DropRecords, Tampering::LoseLastRecord, Tampering::DropSegment]
    {
        let root = log.path(&tampering.to_string());
        copy(&log.path("copy"), &root).unwrap();
        assert_eq!(log.replay_copy(&root, &["--topic", "hl7.raw", "--partition", "0"]).code, 0);
        let bundle = Bundle::open(&root).unwrap();
        // The last choice is the end of a partition's log.
        runtime.block_on(bundle.tamper(tampering, &log.key, &mut |of| of - 1)).unwrap();
        let before = log.accesses().len();
        let ran = log.replay_copy(&root, &["--topic", "fhir.received"]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{tampering}: {}", ran.err);
        assert!(
            ran.err.contains("WORM-623") && ran.err.contains("fhir.received/0"),
            "{tampering}: {}",
            ran.err
        );
        assert_eq!(log.accesses().len(), before + 1, "it was recorded before anything was read");
    }
    let other = SigningKey::generate("ward.example/audit").unwrap();
    fs::write(log.path("log.keys"), SigningKey::parse(&other).unwrap().verifying_key()).unwrap();
    let foreign = log.replay(&["--topic", "hl7.raw", "--partition", "0"]);
    assert_eq!((foreign.code, foreign.out.as_str()), (1, ""), "{}", foreign.err);
    assert!(foreign.err.contains("WORM-618"), "{}", foreign.err);
}
