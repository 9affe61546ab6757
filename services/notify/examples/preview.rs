//! Writes the mail of each urgency to a folder, as `.eml`, `.html` and `.txt`, to look at in a mail client or browser.
//!
//! `cargo run -p wardstream-notify --example preview -- FOLDER [ROUTING.toml]`

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use wardstream_notify::{Composer, ComposerConfig, Decision, NotificationId, RoutingTable, TEMPLATE, Triage};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("name a folder")?);
    let table = match arguments.next() {
        Some(path) => RoutingTable::parse(&std::fs::read_to_string(path)?)?,
        None => RoutingTable::parse(RoutingTable::DEFAULT)?,
    };
    let composer = Composer::new(&ComposerConfig {
        from: "wardstream@hospital.example".into(),
        from_name: "Wardstream".into(),
        console_url: "http://127.0.0.1:8080".into(),
        message_id_domain: None,
    })?;
    std::fs::create_dir_all(&folder)?;
    let received_at_ms = 1_795_384_800_000;
    for (offset, (name, triage)) in (0..).zip(samples()) {
        let triage = Triage { received_at_ms, ..triage };
        let Decision::Notify(routes) = table.decide(&triage) else { continue };
        let id = NotificationId::at("hl7.raw", 0, offset, TEMPLATE);
        let date = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_384_801_250);
        let mail = composer.compose(id, &triage, &routes, date)?;
        std::fs::write(folder.join(format!("{name}.eml")), &mail.bytes)?;
        std::fs::write(folder.join(format!("{name}.html")), &mail.html)?;
        std::fs::write(folder.join(format!("{name}.txt")), &mail.text)?;
    }
    Ok(())
}

fn samples() -> [(&'static str, Triage); 4] {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let base = Triage {
        event_id: "0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11".into(),
        pseudonym: "p1_7Q2K9XW4M0TZ".into(),
        facility: "NORTH".into(),
        message_type: "ORU^R01".into(),
        model_id: "wardstream-triage".into(),
        model_version: "1.0.0".into(),
        ..Triage::default()
    };
    [
        (
            "emergent",
            Triage {
                urgency: "emergent".into(),
                urgency_p: 0.99,
                specialty: "nephrology".into(),
                document_type: "lab-result".into(),
                reasons: texts(&[
                    "Critical value: potassium 6.9 mmol/L, above 6.2 (LOINC 2823-3).",
                    "Abnormal flag HH from the laboratory.",
                ]),
                sentences: texts(&[
                    "Potassium 6.9 mmol/L (3.5–5.1), critical high, up from 5.4 two days ago.",
                    "Creatinine 310 µmol/L (62–106), high, up from 180.",
                    "Bicarbonate 14 mmol/L (22–29), low.",
                    "Known chronic kidney disease; on spironolactone and ramipril.",
                ]),
                ..base.clone()
            },
        ),
        (
            "urgent",
            Triage {
                urgency: "urgent".into(),
                urgency_p: 0.81,
                specialty: "pulmonology".into(),
                document_type: "radiology-report".into(),
                message_type: "MDM^T02".into(),
                reasons: texts(&["Text: new pulmonary nodule, follow-up recommended."]),
                sentences: texts(&[
                    "New 14 mm spiculated nodule in the right upper lobe.",
                    "No mediastinal lymphadenopathy and no pleural effusion.",
                    "CT-guided biopsy or PET-CT is recommended.",
                ]),
                ..base.clone()
            },
        ),
        (
            "routine",
            Triage {
                urgency: "routine".into(),
                urgency_p: 0.94,
                specialty: "orthopedics".into(),
                document_type: "progress-note".into(),
                message_type: "MDM^T02".into(),
                sentences: texts(&[
                    "Six weeks after total knee replacement; wound healed, flexion 105°, no sign of infection.",
                ]),
                ..base.clone()
            },
        ),
        (
            "triage",
            Triage {
                urgency: "urgent".into(),
                urgency_p: 0.46,
                specialty: "general-medicine".into(),
                document_type: "nursing-note".into(),
                message_type: "MDM^T02".into(),
                abstained: true,
                reasons: texts(&["No urgency reached its threshold (urgent 0.46, routine 0.41)."]),
                sentences: texts(&["Patient more drowsy since noon, eats little; daughter is worried."]),
                ..base
            },
        ),
    ]
}
