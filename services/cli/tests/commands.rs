//! The one-shot commands, as a person with a message in hand runs them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const ADMIT: &str = "MSH|^~\\&|ADT|HARBOR|WARD|HARBOR|20250303140000||ADT^A01^ADT_A01|C1|P|2.5.1\r\
    EVN|A01|20250303140000\r\
    PID|1||00482913^^^HARBOR^MR||Carter^John||19700101|M|||1 Elm Street^^Springfield^IL^62701||(217)555-0142\r\
    PV1|1|I|W1^101^1\r";

const CRITICAL: &str = "MSH|^~\\&|LAB|HARBOR|WARD|HARBOR|20250303140500||ORU^R01^ORU_R01|C2|P|2.5.1\r\
    PID|1||00482913^^^HARBOR^MR||Carter^John||19700101|M\r\
    OBR|1|P1|F1|2823-3^Potassium [Moles/volume] in Serum or Plasma^LN|||20250303140000\r\
    OBX|1|NM|2823-3^Potassium [Moles/volume] in Serum or Plasma^LN||7.4|mmol/L|3.5-5.1|HH|||F\r";

/// Its second segment's name is broken.
const DAMAGED: &str = "MSH|^~\\&|ADT|HARBOR|WARD|HARBOR|20250303140000||ADT^A01^ADT_A01|C3|P|2.5.1\r??|x\r";

const NOTE: &str = "Mr. John Carter, MRN 00482913, called 217-555-0142 on 03/04/2025 with crushing chest pain. \
                    ECG shows ST elevation. His diet is unchanged.";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    /// The output as lines of JSON.
    fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

/// Runs the command in an empty environment, so that a machine's own settings do not count.
fn run(arguments: &[&str], input: &str, models: Option<&Path>) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardstream"));
    command.args(arguments).env_clear();
    if let Some(models) = models {
        command.env("WARDSTREAM_MODELS", models);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // A command that refuses its arguments does not read.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let output = process.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn pure(arguments: &[&str], input: &str) -> Ran {
    run(arguments, input, None)
}

struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

/// The models, or `None` with a line that says that they are missing.
fn models(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("WARDSTREAM_MODELS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: {test}: WARDSTREAM_MODELS is not set (make test sets it)");
    }
    folder
}

fn holds_an_identifier(text: &str) -> bool {
    ["Carter", "00482913", "555-0142", "Elm Street", "03/04/2025", "1970-01-01"]
        .iter()
        .any(|part| text.contains(part))
}

#[test]
fn convert_gives_a_bundle() {
    let files = Files::new(&[("one.hl7", ADMIT)]);
    for ran in [
        pure(&["convert", &files.path("one.hl7")], ""),
        pure(&["convert", "-"], ADMIT),
        pure(&["convert"], ADMIT),
    ] {
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let bundle = ran.json();
        assert_eq!(bundle["resourceType"], "Bundle");
        let types: Vec<&str> = bundle["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["resource"]["resourceType"].as_str().unwrap())
            .collect();
        assert!(types.contains(&"Patient") && types.contains(&"Encounter"), "{types:?}");
    }
}

#[test]
fn convert_takes_a_batch_and_several_files() {
    let batch = format!("FHS|^~\\&\rBHS|^~\\&\r{ADMIT}{CRITICAL}BTS|2\rFTS|1\r");
    let files = Files::new(&[("batch.hl7", &batch), ("one.hl7", ADMIT)]);
    let ran = pure(&["convert", &files.path("batch.hl7"), &files.path("one.hl7")], "");
    assert_eq!((ran.code, ran.err.as_str(), ran.lines().len()), (0, "", 3));
}

#[test]
fn convert_rejects_a_damaged_message_and_goes_on() {
    let files = Files::new(&[("bad.hl7", DAMAGED), ("good.hl7", ADMIT), ("none.hl7", "no message\n")]);
    let names = ["bad.hl7", "good.hl7", "none.hl7"].map(|name| files.path(name));
    let ran = pure(&["convert", &names[0], &names[1], &names[2]], "");
    assert_eq!((ran.code, ran.json()["resourceType"].as_str()), (1, Some("Bundle")));
    let complaints: Vec<&str> = ran.err.lines().collect();
    assert_eq!(complaints.len(), 2, "{}", ran.err);
    assert!(complaints[0].contains("bad.hl7: message 1: HL7-"), "{}", ran.err);
    assert!(complaints[1].contains("none.hl7: no HL7 v2 message"), "{}", ran.err);
}

#[test]
fn convert_lists_what_it_did_not_map() {
    let message = format!("{ADMIT}ZZZ|1|local\r");
    let quiet = pure(&["convert"], &message);
    let ran = pure(&["convert", "--unmapped"], &message);
    assert_eq!((quiet.code, quiet.err.as_str(), ran.code), (0, "", 0));
    assert!(ran.err.lines().any(|line| line.contains("ZZZ")), "{}", ran.err);
    assert!(!ran.err.contains("local"), "it quotes the message: {}", ran.err);
    assert_eq!(ran.out, quiet.out);
}

#[test]
fn validate_answers_with_a_line_a_file() {
    let files = Files::new(&[
        ("good.json", r#"{"resourceType":"Patient","gender":"female"}"#),
        ("bad.json", r#"{"resourceType":"Patient","gender":"F"}"#),
        ("none.json", "gender: F"),
    ]);
    let names = ["good.json", "bad.json", "none.json"].map(|name| files.path(name));
    let good = pure(&["validate", &names[0]], "");
    assert_eq!((good.code, &good.lines()[0]["valid"]), (0, &json!(true)));
    let ran = pure(&["validate", &names[0], &names[1], &names[2]], "");
    let lines = ran.lines();
    assert_eq!((ran.code, ran.err.as_str(), lines.len()), (1, "", 3));
    for (line, (name, valid)) in lines.iter().zip(names.iter().zip([true, false, false])) {
        assert_eq!((line["file"].as_str(), &line["valid"]), (Some(name.as_str()), &json!(valid)));
        assert_eq!(line["outcome"]["resourceType"], "OperationOutcome");
    }
    assert_eq!(lines[1]["outcome"]["issue"][0]["expression"][0], "Patient.gender");
    assert_eq!(pure(&["validate"], r#"{"resourceType":"Patient"}"#).code, 0);
}

#[test]
fn validate_takes_profiles_and_packages() {
    let definition = json!({
        "resourceType": "StructureDefinition", "url": "http://example.org/named", "name": "Named", "status": "active",
        "fhirVersion": "4.0.1", "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint",
        "snapshot": {"element": [
            {"id": "Patient", "path": "Patient", "min": 0, "max": "*"},
            {"id": "Patient.name", "path": "Patient.name", "min": 1, "max": "*", "type": [{"code": "HumanName"}]}
        ]}
    });
    let files = Files::new(&[("package.json", &definition.to_string())]);
    let package = files.path("package.json").replace("/package.json", "");
    let patient = r#"{"resourceType":"Patient","active":true}"#;
    let ran =
        pure(&["validate", "--package-folder", &package, "--profile", "http://example.org/named"], patient);
    let issue = &ran.lines()[0]["outcome"]["issue"][0];
    assert_eq!(
        (ran.code, issue["details"]["text"].as_str()),
        (1, Some("name is required by the profile 'Named'."))
    );
    let core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
    assert_eq!(pure(&["validate", "--profile", core], patient).code, 1);
}

#[test]
fn redact_takes_a_note() {
    let ran = pure(&["redact", "--from", "text", "--no-model"], NOTE);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(!holds_an_identifier(&ran.out) && ran.out.contains("crushing chest pain"), "{}", ran.out);
    let explained = pure(&["redact", "--from", "text", "--explain", "-"], NOTE).json();
    let characters: Vec<char> = NOTE.chars().collect();
    let found: Vec<(String, &str)> = explained["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| {
            let place = |name: &str| usize::try_from(span[name].as_u64().unwrap()).unwrap();
            (characters[place("start")..place("end")].iter().collect(), span["kind"].as_str().unwrap())
        })
        .collect();
    for expected in [("John Carter", "NAME"), ("00482913", "MRN"), ("03/04/2025", "DATE")] {
        assert!(
            found.iter().any(|(text, kind)| (text.as_str(), *kind) == expected),
            "{expected:?} is missing"
        );
    }
}

/// The classifier is used where it is; without it a line says so, once.
#[test]
fn redact_says_when_rules_are_alone() {
    let alone = run(&["redact", "--from", "text"], "No one.", Some(Path::new("/nonexistent")));
    assert_eq!((alone.code, alone.out.as_str(), alone.err.lines().count()), (0, "No one.\n", 1));
    assert!(alone.err.contains("/nonexistent/rampart"), "{}", alone.err);
    let Some(models) = models("redact_says_when_rules_are_alone") else { return };
    let text = "Flew in from Szczebrzeszyn with Wojciechowska yesterday.";
    let ran = run(&["redact", "--from", "text", "--explain"], text, Some(&models));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let explained = ran.json();
    let layers = explained["spans"].as_array().unwrap().iter().map(|span| span["layer"].as_str().unwrap());
    assert!(layers.clone().any(|layer| layer == "model"), "{explained}");
}

/// Offsets count Unicode characters, and a line that cannot be read does not stop the others.
#[test]
fn redact_reports_counts_alone() {
    let two = format!("{ADMIT}{CRITICAL}");
    let ran = pure(&["redact", "--from", "hl7", "--report=json"], &two);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report = ran.json();
    assert_eq!((&report["released"], &report["refused"]), (&json!(2), &json!(0)));
    let lines = report["lines"].as_array().unwrap();
    let of = |kind: &str| lines.iter().find(|line| line["kind"] == kind).unwrap();
    let name = of("NAME");
    assert_eq!(
        (&name["letter"], &name["action"], &name["layer"]),
        (&json!("A"), &json!("removed"), &json!(null))
    );
    assert_eq!(of("MRN")["action"], "pseudonymised");
    let total: u64 = lines.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    assert_eq!(report["identifiers"], total);

    let ran = pure(&["redact", "--from", "hl7", "--report"], &two);
    assert!(ran.out.contains("(A)     NAME"), "{}", ran.out);
    assert!(ran.out.contains("in 2 released, 0 refused"), "{}", ran.out);
    for identifier in ["Carter", "00482913", "555-0142", "Elm", "psn_v", "1970"] {
        assert!(!ran.out.contains(identifier) && !report.to_string().contains(identifier), "{identifier}");
    }

    let spanish =
        "La señora Carter, de 54 años, acude por un dolor torácico de dos horas, sin fiebre, con su hija.";
    let ran = pure(&["redact", "--from", "text"], spanish);
    assert_eq!(ran.out.trim(), "[WITHHELD: unsupported language]");
    let report = pure(&["redact", "--from", "text", "--report=json"], spanish).json();
    assert_eq!(report["withheld"], json!({"language": 1}));
    assert_eq!(pure(&["redact", "--from", "text", "--report", "--explain"], NOTE).code, 64);
}

#[test]
fn redact_answers_each_line() {
    let lines = "{\"id\":\"a\",\"text\":\"Größe 1,80 m. Mr. John Carter came.\"}\nnonsense\n\n{\"id\":7,\"text\":\"No one.\"}\n";
    let ran = pure(&["redact", "--from", "text", "--ndjson"], lines);
    let answers = ran.lines();
    assert_eq!((ran.code, answers.len()), (1, 3));
    assert_eq!(answers[0]["id"], "a");
    let span = &answers[0]["spans"][0];
    assert_eq!((&span["start"], &span["end"], &span["kind"]), (&json!(18), &json!(29), &json!("NAME")));
    assert!(span["layer"].is_string() && span["score"].is_number());
    assert!(answers[1]["error"].as_str().unwrap().contains("line 2"));
    assert_eq!(answers[2], json!({ "id": 7, "text": "No one.", "spans": [] }));
}

#[test]
fn redact_takes_fhir_and_hl7() {
    let bundle = pure(&["convert"], ADMIT).out;
    for (kind, input) in [("fhir", bundle.as_str()), ("hl7", ADMIT)] {
        let ran = pure(&["redact", "--from", kind], input);
        assert_eq!((ran.code, ran.json()["resourceType"].as_str()), (0, Some("Bundle")), "{kind}");
        assert!(!holds_an_identifier(&ran.out), "{kind}");
        assert!(ran.err.contains("WARDSTREAM_DEID__KEY"), "{kind}: {}", ran.err);
        let explained = pure(&["redact", "--from", kind, "--explain"], input).json();
        assert!(explained["pseudonym"].as_str().unwrap().starts_with("psn_"), "{kind}");
        assert!(!explained["counts"].as_object().unwrap().is_empty(), "{kind}");
    }
    let ran = pure(&["redact", "--from", "fhir"], "gender: F");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
}

#[test]
fn classify_judges_notes_and_messages() {
    let Some(models) = models("classify_judges_notes_and_messages") else { return };
    let ran = run(&["classify", "--from", "text"], NOTE, Some(&models));
    let answer = &ran.lines()[0];
    assert_eq!((ran.code, answer["urgency"]["label"].as_str()), (0, Some("emergent")));
    assert_eq!(answer["specialty"]["label"], "cardiology");
    for member in ["id", "urgency", "specialty", "doc_type", "abstained", "reasons"] {
        assert!(!answer[member].is_null(), "{member} is missing");
    }
    let ran = run(&["classify", "--from", "hl7"], CRITICAL, Some(&models));
    assert_eq!((ran.code, ran.lines()[0]["urgency"]["label"].as_str()), (0, Some("emergent")));
    let ran = run(&["classify", "--from", "text", "--explain"], NOTE, Some(&models));
    assert!(ran.code == 0 && ran.out.contains("Human queue") && ran.out.contains("3. Text"), "{}", ran.out);
    let lines = "{\"id\":1,\"text\":\"Crushing chest pain.\"}\n{\"id\":2}\n";
    let ran = run(&["classify", "--from", "text", "--ndjson"], lines, Some(&models));
    let answers = ran.lines();
    assert_eq!((ran.code, answers.len(), &answers[0]["id"]), (1, 2, &json!(1)));
    assert!(answers[0]["urgency"]["p"].is_number() && answers[1]["error"].is_string());
}

#[test]
fn summarize_names_its_sources() {
    let Some(models) = models("summarize_names_its_sources") else { return };
    let lines = format!("{}\n", json!({ "id": "n", "text": NOTE }));
    let characters: Vec<char> = NOTE.chars().collect();
    for ran in [
        run(&["summarize", "--from", "text"], NOTE, Some(&models)),
        run(&["summarize", "--from", "text", "--ndjson"], &lines, Some(&models)),
    ] {
        assert_eq!(ran.code, 0, "{}", ran.err);
        let answer = &ran.lines()[0];
        let sentences = answer["sentences"].as_array().unwrap();
        assert!(!sentences.is_empty());
        for sentence in sentences {
            let [start, end] =
                [0, 1].map(|at| usize::try_from(sentence["sources"][0][at].as_u64().unwrap()).unwrap());
            let source: String = characters[start..end].iter().collect();
            assert_eq!(sentence["text"].as_str(), Some(source.trim()));
        }
    }
}

#[test]
fn line_stops_where_it_is_told() {
    let ran = pure(&["line", "--until", "validate"], ADMIT);
    let stages = &ran.json()["stages"];
    assert_eq!((ran.code, &stages["validate"]["fate"]), (0, &json!("emitted")));
    assert!(stages["redact"].is_null());
    let ran = pure(&["line", "--until", "redact"], DAMAGED);
    let stages = ran.json()["stages"].clone();
    assert_eq!((ran.code, &stages["ingest"]["fate"]), (1, &json!("dead-letter")));
    assert!(stages["ingest"]["reason"].as_str().unwrap().starts_with("HL7-"));
}

#[test]
fn line_ends_with_the_mail() {
    let Some(models) = models("line_ends_with_the_mail") else { return };
    let ran = run(&["line"], CRITICAL, Some(&models));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let stages = ran.json()["stages"].clone();
    assert_eq!(stages["classify"]["urgency"]["label"], "emergent");
    let mail = stages["notify"]["text"].as_str().unwrap();
    assert!(mail.contains("psn_") && !holds_an_identifier(mail), "{mail}");
}

#[test]
fn explain_prints_the_page_of_a_code() {
    let all = pure(&["explain"], "");
    assert!(all.code == 0 && all.out.lines().count() > 50);
    let one = pure(&["explain", "hl7-101"], "");
    assert!(one.code == 0 && one.out.starts_with("# HL7-101\n") && one.out.contains("What to do"));
}

#[test]
fn wrong_usage_ends_with_64() {
    let files = Files::new(&[("note.txt", NOTE)]);
    let note = files.path("note.txt");
    for arguments in [
        &[][..],
        &["nothing"],
        &["convert", "/nonexistent/file"],
        &["convert", "--zone", "Nowhere", &note],
        &["validate", "--strict"],
        &["validate", "--profile", "http://example.org/none"],
        &["validate", "--package-folder", "/nonexistent"],
        &["redact", &note],
        &["redact", "--from", "hl7", "--ndjson"],
        &["classify", "--from", "fhir", "--ndjson"],
        &["classify", "--from", "text", "--ndjson", "--explain"],
        &["classify", "--from", "text", "--models", "/nonexistent", &note],
        &["line", "--until", "nothing"],
        &["explain", "NONE-000"],
        &["audit", "verify", "--bundle", "/nonexistent"],
        &["standalone", "--messages", "5"],
        &["standalone", "--demo", "--rate", "0"],
    ] {
        let ran = pure(arguments, "");
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{arguments:?}");
        assert!(!ran.err.trim().is_empty(), "{arguments:?} says nothing");
    }
    let ran = pure(&["--help"], "");
    assert!(ran.code == 0 && ran.out.contains("Usage: wardstream"));
}
