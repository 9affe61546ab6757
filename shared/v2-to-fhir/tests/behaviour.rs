//! What a feed can count on, one statement a test.

mod check;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::Value;
use wardstream_v2_to_fhir::{Conversion, Error, Options, PatientIdentity, Reason, convert, patient_identity};

const ORU: &str = include_str!("messages/oru_r01.hl7");
const RADIOLOGY: &str = include_str!("messages/oru_r01_radiology.hl7");
const ADT: &str = include_str!("messages/adt_a01.hl7");

fn with(text: &str, options: &Options) -> Result<Conversion, Error> {
    convert(&hl7v2::Message::parse(text.as_bytes()).expect("the message parses"), options)
}

fn converted(text: &str) -> Conversion {
    with(text, &Options::default()).expect("the message converts")
}

fn resources<'b>(bundle: &'b Value, kind: &str) -> Vec<&'b Value> {
    let entries = bundle["entry"].as_array().expect("a bundle has entries");
    entries.iter().map(|e| &e["resource"]).filter(|r| r["resourceType"] == kind).collect()
}

fn decoded(data: &Value) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(data.as_str().unwrap_or_default());
    String::from_utf8(bytes.expect("base64")).expect("UTF-8")
}

#[test]
fn decimals_keep_their_digits() {
    let text = converted(ORU).bundle.to_string();
    assert!(text.contains("\"value\":6.80") && text.contains("\"value\":4.10"));
}

#[test]
fn a_comparator_is_not_part_of_the_number() {
    let bundle = converted(ORU).bundle;
    let glucose = resources(&bundle, "Observation")
        .into_iter()
        .find(|o| o["code"]["coding"][0]["code"] == "14749-6")
        .expect("the glucose result");
    assert_eq!(glucose["valueQuantity"]["comparator"], "<");
    assert_eq!(glucose["valueQuantity"]["value"].to_string(), "1.0");
}

#[test]
fn a_report_is_readable_as_a_whole() {
    let bundle = converted(RADIOLOGY).bundle;
    let report = resources(&bundle, "DiagnosticReport")[0];
    let text = decoded(&report["presentedForm"][0]["data"]);
    assert!(text.contains("left effusion.\n\nNo pneumothorax."));
    assert_eq!(report["conclusion"], "1. Cardiomegaly.\n2. Left effusion.");
    // Lines of one test are one observation.
    assert_eq!(resources(&bundle, "Observation").len(), 2);
}

#[test]
fn a_document_carries_its_text() {
    let bundle = converted(include_str!("messages/mdm_t02.hl7")).bundle;
    let document = resources(&bundle, "DocumentReference")[0];
    let attachment = &document["content"][0]["attachment"];
    assert_eq!(attachment["contentType"], "text/plain; charset=utf-8");
    assert!(decoded(&attachment["data"]).contains("PLAN: Home with\nfollow-up in a week."));
}

#[test]
fn a_time_without_offset_takes_the_zone_of_its_facility_and_says_so() {
    let options = Options {
        default_zone: TimeZone::UTC,
        facility_zones: BTreeMap::from([(
            "NORTHFIELD".to_owned(),
            TimeZone::get("America/New_York").expect("a zone"),
        )]),
    };
    let conversion = with(RADIOLOGY, &options).expect("the message converts");
    let report = resources(&conversion.bundle, "DiagnosticReport")[0];
    // 11 March 2024 is the day after the clocks went forward there.
    assert_eq!(report["effectiveDateTime"], "2024-03-11T17:30:00-04:00");
    let header = resources(&conversion.bundle, "MessageHeader")[0];
    assert!(header["meta"]["tag"].to_string().contains("America/New_York"));
    // A message with an offset in MSH-7 assumes nothing.
    let header = converted(ORU).bundle;
    assert!(!resources(&header, "MessageHeader")[0].to_string().contains("assumed"));
}

#[test]
fn the_same_patient_has_the_same_id_in_every_message_of_a_facility() {
    let other = RADIOLOGY.replace("RAD-0001", "RAD-0002");
    let id = |text: &str| resources(&converted(text).bundle, "Patient")[0]["id"].clone();
    assert_eq!(id(RADIOLOGY), id(&other));
    assert_ne!(id(RADIOLOGY), id(&RADIOLOGY.replace("NORTHFIELD|WARD", "SOUTHFIELD|WARD")));
}

#[test]
fn a_person_named_twice_is_one_resource() {
    let bundle = converted(ADT).bundle;
    let named = |r: &&Value| {
        r["name"][0]["family"] == "Lindqvist"
            && r["identifier"][0]["system"].as_str().is_some_and(|s| s.contains("NPI") || s.contains("npi"))
    };
    assert_eq!(resources(&bundle, "Practitioner").into_iter().filter(named).count(), 1);
}

#[test]
fn what_is_left_out_is_listed_without_content() {
    let conversion = converted(ADT);
    let listed: Vec<_> = conversion.unmapped.iter().map(|u| (u.path.as_str(), u.reason)).collect();
    assert!(listed.contains(&("ZZZ", Reason::SegmentNotExpected)));
    assert!(listed.contains(&("PID-7", Reason::InvalidDate)));
    assert!(!format!("{listed:?}").contains("site specific"));
    assert!(!resources(&conversion.bundle, "Patient")[0].to_string().contains("birthDate"));
}

#[test]
fn a_null_value_is_listed_not_written() {
    let conversion = converted(&ORU.replace("||19850228|F", "||\"\"|F"));
    assert!(conversion.unmapped.iter().any(|u| u.path == "PID-7" && u.reason == Reason::ExplicitNull));
}

#[test]
fn errors_name_what_is_missing() {
    let unsupported = with(&ORU.replace("ORU^R01^ORU_R01", "QBP^Q22"), &Options::default());
    assert_eq!(unsupported, Err(Error::UnsupportedMessageType { message_type: "QBP^Q22".into() }));
    let garbled = with(&ORU.replace("ORU^R01^ORU_R01", "Avery Testperson"), &Options::default());
    assert_eq!(garbled, Err(Error::UnsupportedMessageType { message_type: "unreadable".into() }));
    let headless: String = ORU.lines().filter(|l| !l.starts_with("PID")).map(|l| format!("{l}\r")).collect();
    let missing = with(&headless, &Options::default());
    assert_eq!(missing, Err(Error::MissingSegment { message_type: "ORU^R01".into(), segment: "PID".into() }));
    for page in Error::pages() {
        assert!(!page.title.is_empty() && !page.help.is_empty());
    }
}

#[test]
fn the_medical_record_number_keys_the_patient() {
    let text =
        ADT.replace("|700123^^^NORTHFIELD&1.3.6.1.4.1.99999.1&ISO^MR~", "|1^^^X^PI~700123^^^NORTHFIELD^MR~");
    let message = hl7v2::Message::parse(text.as_bytes()).expect("the message parses");
    let wanted = PatientIdentity { authority: "NORTHFIELD".into(), identifier: "700123".into() };
    assert_eq!(patient_identity(&message), Some(wanted));
    let bare = ORU.replace("700123^^^NORTHFIELD^MR", "700123");
    let message = hl7v2::Message::parse(bare.as_bytes()).expect("the message parses");
    let wanted = PatientIdentity { authority: "NORTHFIELD LAB".into(), identifier: "700123".into() };
    assert_eq!(patient_identity(&message), Some(wanted));
}

/// An ADT of that event about one patient, with an MRG that names another number.
fn merge(event: &str, more: &str) -> Value {
    let text = format!(
        "MSH|^~\\&|A|NORTHFIELD|B|C|20240311120000+0000||ADT^{event}|M-1|P|2.5\rEVN|{event}|20240311120000+0000\rPID|1||700123^^^N^MR||Testperson^Avery\rMRG|700999^^^N^MR||A-1^^^N^AN||V-1^^^N^VN||Testperson^A\r{more}"
    );
    let bundle = converted(&text).bundle;
    assert_eq!(check::invalid(&bundle), Vec::<String>::new(), "{event}");
    assert_eq!(check::defects(&bundle), Vec::<String>::new(), "{event}");
    bundle
}

#[test]
fn a_merge_links_both_patients() {
    for event in ["A18", "A30", "A34", "A36", "A39", "A40"] {
        let bundle = merge(event, "");
        let patients = resources(&bundle, "Patient");
        assert_eq!(patients.len(), 2, "{event}");
        assert_eq!(patients[0]["link"][0]["type"], "replaces", "{event}");
        assert_eq!(patients[1]["link"][0]["type"], "replaced-by", "{event}");
        assert_eq!(patients[1]["identifier"][0]["value"], "700999", "{event}");
        assert_eq!(
            (&patients[0]["active"], &patients[1]["active"]),
            (&Value::Null, &false.into()),
            "{event}"
        );
    }
}

#[test]
fn several_merges_of_one_message_are_kept_apart() {
    let more = "PID|1||700124^^^N^MR||Otherperson^Sam\rMRG|700998^^^N^MR\r";
    let bundle = merge("A40", more);
    let patients = resources(&bundle, "Patient");
    let entries = bundle["entry"].as_array().expect("entries");
    let other = |n: usize| {
        let url = &patients[n]["link"][0]["other"]["reference"];
        let entry = entries.iter().find(|e| e["fullUrl"] == *url).expect("the other");
        entry["resource"]["identifier"][0]["value"].as_str().expect("a number")
    };
    assert_eq!([0, 1, 2, 3].map(other), ["700999", "700123", "700998", "700124"]);
}

#[test]
fn whom_something_moves_from_lives_on() {
    for event in ["A43", "A44", "A45"] {
        let bundle = merge(event, "");
        let patients = resources(&bundle, "Patient");
        assert_eq!(patients.len(), 2, "{event}");
        assert!(patients.iter().all(|p| p.get("link").is_none() && p.get("active").is_none()), "{event}");
    }
    // An account or a visit of the same patient: MRG-1 is the patient's own number.
    for event in ["A06", "A07", "A35", "A41", "A42", "A50", "A51"] {
        assert_eq!(resources(&merge(event, ""), "Patient").len(), 1, "{event}");
    }
    let encounter = |event: &str| {
        let bundle = merge(event, "PV1|1|I|3W||||||||||||||||V-2^^^N^VN\r");
        resources(&bundle, "Encounter")[0]["identifier"].clone()
    };
    assert_eq!((&encounter("A50")[1]["value"], &encounter("A50")[1]["use"]), (&"V-1".into(), &"old".into()));
}

#[test]
fn a_number_that_was_changed_is_an_old_one_of_the_same_patient() {
    for event in ["A46", "A47", "A48"] {
        let bundle = merge(event, "");
        let patients = resources(&bundle, "Patient");
        assert_eq!(patients.len(), 1, "{event}");
        let old = &patients[0]["identifier"][1];
        assert_eq!((&old["value"], &old["use"]), (&"700999".into(), &"old".into()), "{event}");
    }
}

#[test]
fn patients_that_are_linked_are_both_alive() {
    let text = "MSH|^~\\&|A|NORTHFIELD|B|C|20240311120000+0000||ADT^A24|M-1|P|2.5\rEVN|A24|20240311\rPID|1||700123^^^N^MR||Testperson^Avery\rPID|2||700999^^^N^MR||Testperson^A\r";
    let bundle = converted(text).bundle;
    let patients = resources(&bundle, "Patient");
    assert!(patients.iter().all(|p| p["link"][0]["type"] == "seealso" && p.get("active").is_none()));
    assert_eq!(check::defects(&bundle), Vec::<String>::new());
}

#[test]
fn an_employer_is_not_an_emergency_contact() {
    for (sent, last) in [("EMR", ("v2-0131", "E")), ("EMC", ("v2-0131", "C")), ("EME", ("v2-0063", "EME"))] {
        let bundle = converted(&ADT.replace("|SPO^Spouse^HL70063|", &format!("|{sent}^^HL70063|"))).bundle;
        let codings = resources(&bundle, "RelatedPerson")[0]["relationship"][0]["coding"].clone();
        let coding = codings.as_array().and_then(|codings| codings.last()).expect("a coding");
        let system = format!("http://terminology.hl7.org/CodeSystem/{}", last.0);
        assert_eq!(
            (&coding["system"], &coding["code"]),
            (&Value::from(system), &Value::from(last.1)),
            "{sent}"
        );
    }
}

#[test]
fn what_stands_beside_a_text_is_listed() {
    let pid = ORU.lines().find(|line| line.starts_with("PID")).expect("a PID");
    let bare: Vec<&str> = pid.split('|').take(9).collect();
    let race = format!("{}||X1^Some words^L", bare.join("|"));
    let conversion = converted(&ORU.replace(pid, &race));
    assert!(resources(&conversion.bundle, "Patient")[0].to_string().contains("Some words"));
    let listed: Vec<_> =
        conversion.unmapped.iter().map(|u| u.path.as_str()).filter(|p| p.starts_with("PID-10")).collect();
    assert_eq!(listed, ["PID-10.1", "PID-10.3"]);
}

#[test]
fn an_allergy_that_is_deleted_was_entered_in_error() {
    let iam =
        "IAM|1|DA^Drug allergy^HL70127|723^Amoxicillin^RXNORM|SV^Severe^HL70128|Hives|D^Delete^HL70206\r";
    let bundle = converted(&format!("{ADT}\r{iam}")).bundle;
    let deleted = resources(&bundle, "AllergyIntolerance")
        .into_iter()
        .find(|allergy| allergy["code"]["coding"][0]["code"] == "723")
        .expect("the allergy");
    assert_eq!(deleted["verificationStatus"]["coding"][0]["code"], "entered-in-error");
    assert_eq!(deleted.get("clinicalStatus"), None);
}

#[test]
fn a_street_is_one_line() {
    let lines = |sent: &str| {
        let text = format!(
            "{}\rNK1|1|Testperson^Robin||{sent}^^Town\r",
            ADT.lines().take(4).collect::<Vec<_>>().join("\r")
        );
        let bundle = converted(&text).bundle;
        resources(&bundle, "RelatedPerson")[0]["address"][0]["line"].clone()
    };
    assert_eq!(
        lines("12 High Street&High Street&12^Flat 3"),
        serde_json::json!(["12 High Street", "Flat 3"])
    );
    assert_eq!(lines("1000&Hospital Lane"), serde_json::json!(["1000 Hospital Lane"]));
    assert_eq!(lines("&High Street&12"), serde_json::json!(["12 High Street"]));
}

#[test]
fn an_appointment_has_both_ends_or_says_which_is_unknown() {
    let sent = |quantity: &str, duration: &str| {
        let sch = format!("SCH|1|2|||||||{duration}|^^^{quantity}||||||||||||||Booked\r");
        let text = format!(
            "MSH|^~\\&|A|NORTHFIELD|B|C|20240311120000+0000||SIU^S12|S-1|P|2.5\r{sch}PID|1||700123^^^N^MR||Testperson^Avery\r"
        );
        let bundle = converted(&text).bundle;
        resources(&bundle, "Appointment")[0].clone()
    };
    let whole = sent("20240312090000+0000", "30|min");
    assert_eq!(whole["end"], "2024-03-12T09:30:00+00:00");
    let backwards = sent("^20240312093000+0000", "30|min");
    assert_eq!(backwards["start"], "2024-03-12T09:00:00+00:00");
    let open = sent("^20240312093000+0000", "|");
    assert_eq!(open["end"], "2024-03-12T09:30:00+00:00");
    assert_eq!(open["_start"]["extension"][0]["valueCode"], "unknown");
    let neither = sent("", "|");
    assert_eq!(
        (&neither["status"], &neither["_end"]["extension"][0]["valueCode"]),
        (&"booked".into(), &"unknown".into())
    );
}

#[test]
fn an_embedded_document_is_kept_and_read() {
    use base64::Engine as _;
    let rtf = base64::engine::general_purpose::STANDARD.encode(r"{\rtf1\ansi Large {\b left} effusion.\par}");
    let report = RADIOLOGY.lines().take_while(|line| !line.starts_with("OBX")).collect::<Vec<_>>().join("\r");
    let obx = format!("OBX|1|ED|11526-1^Report^LN||^application^RTF^Base64^{rtf}||||||F\r");
    let bundle = converted(&format!("{report}\r{obx}")).bundle;
    let form = &resources(&bundle, "DiagnosticReport")[0]["presentedForm"][0];
    assert_eq!(decoded(&form["data"]), "Large left effusion.");
    let held = resources(&bundle, "Observation")[0].to_string();
    assert!(held.contains("application/rtf") && held.contains(&rtf));

    let document = include_str!("messages/mdm_t02.hl7");
    let head = document.lines().take_while(|line| !line.starts_with("OBX")).collect::<Vec<_>>().join("\r");
    let bundle = converted(&format!("{head}\r{obx}")).bundle;
    let content = resources(&bundle, "DocumentReference")[0]["content"].clone();
    let attachments: Vec<_> = content.as_array().into_iter().flatten().map(|c| &c["attachment"]).collect();
    assert!(attachments.iter().any(|a| a["contentType"] == "application/rtf" && a["data"] == rtf.as_str()));
    assert!(attachments.iter().any(|a| {
        a["contentType"] == "text/plain; charset=utf-8" && decoded(&a["data"]) == "Large left effusion."
    }));
}

/// The text that a report has from one document.
fn text_of_document(kind: &str, encoding: &str, data: &str) -> Value {
    let report = RADIOLOGY.lines().take_while(|line| !line.starts_with("OBX")).collect::<Vec<_>>().join("\r");
    let obx = format!("OBX|1|ED|11526-1^Report^LN||^application^{kind}^{encoding}^{data}||||||F\r");
    let bundle = converted(&format!("{report}\r{obx}")).bundle;
    assert_eq!(check::invalid(&bundle), Vec::<String>::new());
    resources(&bundle, "DiagnosticReport")[0]["presentedForm"][0].clone()
}

#[test]
fn the_text_of_a_pdf_is_in_the_report() {
    let content = "BT /F1 10 Tf 50 700 Td (Large left effusion.) Tj ET";
    let sent = format!(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]>>endobj 3 0 obj<</Type/Page/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj 4 0 obj<</Length {}>>stream\n{content}\nendstream endobj 5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj trailer<</Root 1 0 R>>",
        content.len()
    );
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(sent);
    assert_eq!(decoded(&text_of_document("PDF", "Base64", &data)["data"]), "Large left effusion.");
}

#[test]
fn a_document_that_cannot_be_read_says_so() {
    let form = text_of_document("PDF", "A", "%PDF-1.4 trailer<</Encrypt 9 0 R>>");
    assert_eq!(
        decoded(&form["data"]),
        "No text could be read from this document (application/pdf, 34 bytes): it is encrypted."
    );
    let report = RADIOLOGY.lines().take_while(|line| !line.starts_with("OBX")).collect::<Vec<_>>().join("\r");
    let bundle =
        converted(&format!("{report}\rOBX|1|RP|1^Film^L||https://pacs.example/1^^IM^DICOM||||||F\r")).bundle;
    let form = &resources(&bundle, "DiagnosticReport")[0]["presentedForm"][0];
    assert_eq!(decoded(&form["data"]), "The document is not in the message but at the address given.");
}

#[test]
fn an_attachment_says_how_long_it_is_and_its_hash() {
    let document = include_str!("messages/mdm_t02.hl7");
    let head = document.lines().take_while(|line| !line.starts_with("OBX")).collect::<Vec<_>>().join("\r");
    let bundle = converted(&format!("{head}\rOBX|1|ED|1^a^L||^text^plain^Base64^YWJj||||||F\r")).bundle;
    let content = &resources(&bundle, "DocumentReference")[0]["content"];
    // A text is its own text, and is there once.
    assert_eq!(content.as_array().map(Vec::len), Some(1), "{content}");
    let attachment = &content[0]["attachment"];
    assert_eq!(attachment["title"], "Discharge summary");
    // FIPS 180-1, appendix A: the hash of "abc".
    assert_eq!(
        (&attachment["size"], &attachment["hash"]),
        (&3.into(), &"qZk+NkcGgWq6PiVxeFDCbJzQ2J0=".into())
    );
}

#[test]
fn results_of_every_type_have_a_value() {
    let value = |kind: &str, sent: &str| {
        let base = &ORU[..ORU.find("\nOBX").expect("a result")];
        let bundle = converted(&format!("{base}\nOBX|1|{kind}|1^a^L||{sent}|mV^^UCUM||||F\n")).bundle;
        assert_eq!(check::invalid(&bundle), Vec::<String>::new(), "{kind}");
        assert_eq!(check::defects(&bundle), Vec::<String>::new(), "{kind}");
        resources(&bundle, "Observation")[0].clone()
    };
    let samples = value("NA", "1.5^2^-0.5");
    assert_eq!(samples["valueSampledData"]["data"], "1.5 2 -0.5");
    assert_eq!(samples["valueSampledData"]["dimensions"], 1);
    assert_eq!(value("NA", "1^2~3^4")["valueSampledData"]["dimensions"], 2);
    assert_eq!(value("NA", "1^x")["valueString"], "1^x");
    assert_eq!(value("VR", "2^9")["valueString"], "2-9");
    let ratio = value("SN", "^1^:^128");
    assert_eq!(ratio["valueRatio"]["denominator"]["value"], 128);
    assert_eq!(ratio["valueRatio"]["extension"][0]["valueString"], "1 : 128");
    let group = value("ST", "x").to_string();
    assert!(!group.contains("observation-v2-subid"));
}

#[test]
fn a_sub_identifier_names_its_group() {
    let text = ORU.replacen("||6.80", "|A^2^1^b|6.80", 1);
    let bundle = converted(&text).bundle;
    let parts = resources(&bundle, "Observation").iter().find_map(|o| {
        let list = o["extension"].as_array()?;
        list.iter().find(|e| e["url"].as_str().is_some_and(|url| url.ends_with("subid"))).cloned()
    });
    let parts = parts.expect("the sub-identifier");
    let named = |name: &str| {
        let list = parts["extension"].as_array().expect("parts");
        list.iter().find(|e| e["url"] == name).cloned().expect("the part")
    };
    assert_eq!(named("original-sub-identifier")["valueString"], "A");
    assert_eq!(named("group")["valueDecimal"], 2);
    assert_eq!(named("sequence")["valueDecimal"], 1);
    assert_eq!(named("identifier")["valueString"], "b");
}

#[test]
fn debug_shows_no_content() {
    let conversion = converted(ADT);
    let shown = format!("{conversion:?} {:?}", conversion.patient);
    for content in ["Testperson", "700123", "NORTHFIELD", conversion.control_id.as_str()] {
        assert!(!shown.contains(content), "{shown}");
    }
}

#[test]
fn a_fixed_offset_that_was_assumed_is_named() {
    let options = Options { default_zone: TimeZone::fixed(jiff::tz::offset(-5)), ..Options::default() };
    let bundle = with(RADIOLOGY, &options).expect("the message converts").bundle;
    let tags = resources(&bundle, "MessageHeader")[0]["meta"]["tag"].clone();
    let assumed = tags.as_array().into_iter().flatten().find(|t| t.to_string().contains("assumed"));
    assert_eq!(assumed.map(|t| t["code"].clone()), Some(Value::from("-05")));
}

#[test]
fn each_value_of_a_result_is_in_the_bundle_or_listed() {
    let values = |kind: &str, value: &str| {
        let base = &ORU[..ORU.find("\nOBX").expect("a result")];
        converted(&format!("{base}\nOBX|1|{kind}|1^a^L||{value}|mg||||F\n"))
    };
    let conversion = values("ED", "^text^plain^A^one~^text^plain^Base64^!");
    assert_eq!(
        resources(&conversion.bundle, "Observation")[0]["component"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(conversion.unmapped.iter().any(|u| u.path == "OBX-5[2]" && u.reason == Reason::InvalidValue));
    let whole = values("ED", "^text^plain^A^one~^text^plain^A^two");
    assert!(!whole.unmapped.iter().any(|u| u.path.starts_with("OBX-5")));
    for (kind, value, text) in [("CQ", "trace", "trace"), ("MO", "12.50^USD", "12.50 USD")] {
        let bundle = values(kind, value).bundle;
        assert_eq!(resources(&bundle, "Observation")[0]["valueString"], text, "{kind}");
    }
}

#[test]
fn a_coding_sent_twice_is_written_once() {
    let bundle = converted(&ORU.replace("14749-6^", "14749-6^Glucose^LN^14749-6^")).bundle;
    let codes: Vec<_> =
        resources(&bundle, "Observation").iter().map(|o| o["code"]["coding"].clone()).collect();
    assert!(codes.iter().any(|c| c[0]["code"] == "14749-6"));
    let doubled =
        |c: &Value| c.as_array().is_some_and(|c| c.iter().enumerate().any(|(n, x)| c[..n].contains(x)));
    assert!(!codes.iter().any(doubled), "{codes:?}");
}

/// What is listed of a segment, without its name.
fn listed(conversion: &Conversion, segment: &str) -> Vec<(String, Reason)> {
    let of_it = conversion.unmapped.iter().filter(|unmapped| unmapped.segment == segment);
    of_it.map(|unmapped| (unmapped.path.clone(), unmapped.reason)).collect()
}

#[test]
fn what_two_fields_know_of_one_practitioner_comes_together() {
    let text = ADT.replacen(
        "9003^Abara^Ife^^^Dr^MD",
        "9002^Lindqvist-Berg^Per^^III^^^^NPI^L^^^NPI~9002^Lindqvist^Per^^^Dr^MD^^NPI^L^^^NPI",
        1,
    );
    let conversion = converted(&text);
    let practitioners = resources(&conversion.bundle, "Practitioner");
    let known: Vec<_> = practitioners.iter().filter(|p| p["identifier"][0]["value"] == "9002").collect();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0]["identifier"].as_array().map(Vec::len), Some(1));
    let names: Vec<_> = known[0]["name"].as_array().into_iter().flatten().map(|n| &n["family"]).collect();
    assert_eq!(names, ["Lindqvist", "Lindqvist-Berg"]);
    assert_eq!(listed(&conversion, "PV1"), []);
}

#[test]
fn what_has_no_place_in_a_resource_that_is_there_is_listed() {
    let visit = |current: &str| format!("PV1|1|I|3W^302^B^^^^^^{current}|||3W^302^B^^^^^^Former");
    let with_visit = |line: String| {
        let lines = ADT.lines().map(|l| if l.starts_with("PV1") { line.clone() } else { l.to_owned() });
        converted(&lines.collect::<Vec<_>>().join("\r"))
    };
    assert_eq!(listed(&with_visit(visit("Former")), "PV1"), []);
    assert_eq!(listed(&with_visit(visit("Present")), "PV1"), [("PV1-6.9".to_owned(), Reason::AlreadySet)]);
}

#[test]
fn what_an_invariant_forbids_is_listed() {
    let deleted = |action: &str| {
        let line = format!("IAM|1|DA^Drug allergy^HL70127|70618^Penicillin^RXNORM|||{action}|||||||||||I");
        converted(&format!("{}\r{line}\r", ADT.trim_end()))
    };
    assert_eq!(listed(&deleted("A"), "IAM"), []);
    assert_eq!(listed(&deleted("D"), "IAM"), [("IAM-17".to_owned(), Reason::AlreadySet)]);
}

/// A message of results, from MSH and PID to what is given.
fn with_results(segments: &[&str]) -> Value {
    let head: Vec<&str> = ORU.lines().take(2).collect();
    let bundle = converted(&head.iter().chain(segments).copied().collect::<Vec<_>>().join("\r")).bundle;
    assert_eq!(check::invalid(&bundle), Vec::<String>::new());
    assert_eq!(check::defects(&bundle), Vec::<String>::new());
    bundle
}

/// The text of the results that a list of references names.
fn named<'b>(bundle: &'b Value, references: &Value) -> Vec<&'b str> {
    let entries = bundle["entry"].as_array().expect("a bundle has entries");
    let target = |reference: &Value| entries.iter().find(|e| e["fullUrl"] == reference["reference"]);
    let targets = references.as_array().into_iter().flatten().filter_map(target);
    targets.map(|e| e["resource"]["code"]["coding"][0]["code"].as_str().unwrap_or_default()).collect()
}

fn result<'b>(bundle: &'b Value, code: &str) -> &'b Value {
    let mut all = resources(bundle, "Observation").into_iter();
    all.find(|o| o["code"]["coding"][0]["code"] == code).expect("the result")
}

#[test]
fn a_dotted_sub_identifier_is_that_of_a_part() {
    let bundle = with_results(&[
        "OBR|1|P1|F1|1^Panel^L|||20240311||||||||||||||||||F",
        "OBX|1|ST|a^A^L|1|x||||||F",
        "OBX|2|ST|b^B^L|1.1|x||||||F",
        "OBX|3|ST|c^C^L|1.2|x||||||F",
        "OBX|4|ST|d^D^L|1.2.1|x||||||F",
        "OBX|5|ST|e^E^L|2.1|x||||||F",
        "OBX|6|ST|f^F^L|2|x||||||F",
        "OBX|7|ST|g^G^L|2|x||||||F",
        "OBR|2|P2|F2|2^Panel^L|||20240311||||||||||||||||||F",
        "OBX|1|ST|h^H^L|1.1|x||||||F",
    ]);
    assert_eq!(named(&bundle, &result(&bundle, "a")["hasMember"]), ["b", "c"]);
    assert_eq!(named(&bundle, &result(&bundle, "c")["hasMember"]), ["d"]);
    // Two that are called 2 do not say which of them 2.1 is part of; nor does a panel that has no 1.
    let members = resources(&bundle, "Observation").iter().filter(|o| o.get("hasMember").is_some()).count();
    assert_eq!(members, 2);
    assert!(resources(&bundle, "Observation").iter().all(|o| o.to_string().contains("observation-v2-subid")));
}

#[test]
fn susceptibilities_are_members_of_their_organism() {
    let segments = [
        "OBR|1|P1|F1|630-4^Urine culture^LN|||20240311||||||||||||||||||F",
        "OBX|1|CWE|600-7^Bacteria^LN|1|112283007^Escherichia coli^SCT||||||F",
        "OBX|2|CWE|600-7^Bacteria^LN|2|78065002^Enterococcus^SCT||||||F",
        "OBR|2|P2|F2|50545-3^Susceptibility^LN|||20240311||||||||||||||||||F|600-7&Bacteria&LN^2^Enterococcus|||P1^F1",
        "OBX|1|ST|18864-9^Ampicillin^LN||R||||||F",
        "OBX|2|ST|19000-9^Vancomycin^LN||S||||||F",
    ];
    let bundle = with_results(&segments);
    let organisms: Vec<_> = resources(&bundle, "Observation")
        .into_iter()
        .filter(|o| o["code"]["coding"][0]["code"] == "600-7")
        .collect();
    assert_eq!(organisms[0].get("hasMember"), None);
    assert_eq!(named(&bundle, &organisms[1]["hasMember"]), ["18864-9", "19000-9"]);
    // The order that they follow from is in the message too.
    let orders = resources(&bundle, "ServiceRequest");
    let entries = bundle["entry"].as_array().expect("entries");
    let first = entries.iter().find(|e| e["resource"]["id"] == orders[0]["id"]).expect("the first order");
    assert_eq!(orders[1]["basedOn"][0]["reference"], first["fullUrl"]);
    assert_eq!(orders[1]["basedOn"][0]["identifier"]["value"], "P1");
    let head: Vec<&str> = ORU.lines().take(2).chain(segments).collect();
    assert!(!converted(&head.join("\r")).unmapped.iter().any(|u| u.path.starts_with("OBR-26")));
}

#[test]
fn what_is_said_of_a_specimen_or_asked_at_order_entry_is_no_result() {
    let bundle = with_results(&[
        "OBR|1|P1|F1|1^Panel^L|||20240311||||||||||||||||||F",
        "OBX|1|ST|a^A^L||x||||||F",
        "OBX|2|ST|q^Question^L||x||||||F||||||||||||||||||QST",
        "SPM|1|S1||SER^Serum^HL70487",
        "OBX|1|ST|t^Turbidity^L||x||||||F",
        "OBR|2|P2|F2|2^Panel^L|||20240311||||||||||||||||||F",
        "SPM|1|S2||BLD^Blood^HL70487",
        "OBX|1|ST|b^B^L||x||||||F",
    ]);
    let reports = resources(&bundle, "DiagnosticReport");
    assert_eq!(named(&bundle, &reports[0]["result"]), ["a"]);
    assert_eq!(named(&bundle, &reports[1]["result"]), ["b"]);
    assert_eq!(named(&bundle, &resources(&bundle, "ServiceRequest")[0]["supportingInfo"]), ["q"]);
    let focus = &result(&bundle, "t")["focus"][0]["reference"];
    let specimen = resources(&bundle, "Specimen")[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(*focus, format!("urn:uuid:{specimen}"));
}

#[test]
fn the_header_names_all_that_the_message_is_about() {
    let bundle = with_results(&[
        "OBR|1|P1|F1|1^Panel^L|||20240311||||||||||||||||||F",
        "OBX|1|ST|a^A^L||x||||||F",
        "SPM|1|S1||SER^Serum^HL70487",
        "OBR|2|P2|F2|2^Panel^L|||20240311||||||||||||||||||F",
        "OBX|1|ST|b^B^L||x||||||F",
        "SPM|1|S1||SER^Serum^HL70487",
    ]);
    let focus = &resources(&bundle, "MessageHeader")[0]["focus"];
    assert_eq!(named(&bundle, focus), ["1", "2"]);
    // One specimen that both orders name is one resource.
    assert_eq!(resources(&bundle, "Specimen").len(), 1);
    let reports = resources(&bundle, "DiagnosticReport");
    assert_eq!(reports[0]["specimen"], reports[1]["specimen"]);
}

#[test]
fn what_was_asked_for_and_what_the_pharmacy_made_of_it_are_two_orders() {
    let bundle = converted(include_str!("messages/rde_o11_mixture.hl7")).bundle;
    let orders = resources(&bundle, "MedicationRequest");
    let shown: Vec<_> =
        orders.iter().map(|o| (o["intent"].as_str(), o["identifier"][0]["value"].as_str())).collect();
    assert_eq!(
        shown,
        [
            (Some("original-order"), None),
            (Some("filler-order"), Some("RX-20")),
            (Some("order"), Some("RX-21"))
        ]
    );
    let url = |resource: &Value| format!("urn:uuid:{}", resource["id"].as_str().unwrap_or_default());
    assert_eq!(orders[1]["basedOn"][0]["reference"], url(orders[0]));
    assert_eq!(orders[1]["dosageInstruction"][0]["timing"]["code"]["coding"][0]["code"], "Q8H");
    assert_eq!(orders[0].pointer("/dosageInstruction/0/timing"), None);
    let mixture = resources(&bundle, "Medication");
    assert_eq!(orders[1]["medicationReference"]["reference"], url(mixture[0]));
    let parts: Vec<_> = mixture[0]["ingredient"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|i| {
            (
                i["itemCodeableConcept"]["coding"][0]["code"].as_str(),
                i["strength"]["numerator"]["value"].as_i64(),
            )
        })
        .collect();
    assert_eq!(parts, [(Some("9863"), Some(1000)), (Some("8591"), Some(20))]);
}

#[test]
fn an_order_of_supplies_is_no_order_of_a_service() {
    let bundle = converted(include_str!("messages/orm_o01_supply.hl7")).bundle;
    let supply = resources(&bundle, "SupplyRequest")[0];
    assert_eq!(supply["itemCodeableConcept"]["coding"][0]["code"], "23455");
    assert_eq!((&supply["quantity"]["value"], &supply["status"]), (&2.into(), &"active".into()));
    assert_eq!(resources(&bundle, "ServiceRequest").len(), 1);
}

#[test]
fn each_reaction_is_told_with_its_severity() {
    let bundle = converted(include_str!("messages/adt_a60.hl7")).bundle;
    let reactions = resources(&bundle, "AllergyIntolerance")[0]["reaction"].clone();
    let shown: Vec<_> = reactions
        .as_array()
        .into_iter()
        .flatten()
        .map(|r| (r["manifestation"][0]["coding"][0]["code"].as_str(), r["severity"].as_str()))
        .collect();
    assert!(shown.contains(&(Some("39579001"), Some("severe"))), "{shown:?}");
    assert!(shown.contains(&(Some("247472004"), Some("mild"))), "{shown:?}");
}
