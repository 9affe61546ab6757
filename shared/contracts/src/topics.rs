use std::time::Duration;

use crate::{
    AccessEvent, AuditManifest, DeadLetter, Dropped, FhirDeidentified, FhirReceived, FhirValidated,
    IdentityVault, NotificationAcknowledged, NotificationDigest, NotificationHeld, NotificationLedger,
    NotificationOpen, NotificationSent, Replayed, TriageClassified, TriageSummarized,
};

/// The stages that consume, transform and produce, in the order of the line.
pub const STAGES: [&str; 6] = ["ingest", "validate", "redact", "classify", "summarize", "notify"];

/// What follows a stage's name in the name of its dead-letter topic.
pub const DEAD_LETTER_SUFFIX: &str = ".dead-letter";

/// Name of a stage's dead-letter topic.
#[must_use]
pub fn dead_letter_topic(stage: &str) -> String {
    format!("{stage}{DEAD_LETTER_SUFFIX}")
}

/// What follows a stage's name in the name of the topic that holds its parked records.
pub const PARKED_SUFFIX: &str = ".parked";

/// Name of the topic with the records that a stage set aside because an earlier one of their key keeps failing.
#[must_use]
pub fn parked_topic(stage: &str) -> String {
    format!("{stage}{PARKED_SUFFIX}")
}

/// Topic with the dead letters and parked records that went back to where they came from.
pub const REPLAYED: &str = "dead-letters.replayed";

/// Topic with who read what the line keeps, and why.
pub const ACCESS_EVENTS: &str = "access.events";

/// The topics that a stage consumes. A feed may also have a topic of its own, `hl7.feed.<name>`.
#[must_use]
pub fn inputs(stage: &str) -> &'static [&'static str] {
    match stage {
        "ingest" => &["hl7.raw"],
        "validate" => &["fhir.received"],
        "redact" => &["fhir.validated"],
        "classify" => &["fhir.deidentified"],
        "summarize" => &["triage.classified"],
        "notify" => &["triage.summarized"],
        _ => &[],
    }
}

/// A value type of a topic, with its Avro schema.
pub trait Record: serde::Serialize + serde::de::DeserializeOwned {
    /// The schema, as committed.
    const SCHEMA: &'static str;
}

macro_rules! records {
    ($($record:ty => $file:literal),* $(,)?) => {
        $(impl Record for $record {
            const SCHEMA: &'static str = include_str!(concat!("../../../schemas/", $file, ".avsc"));
        })*
    };
}

records! {
    FhirReceived => "fhir.received",
    FhirValidated => "fhir.validated",
    FhirDeidentified => "fhir.deidentified",
    IdentityVault => "identity.vault",
    TriageClassified => "triage.classified",
    TriageSummarized => "triage.summarized",
    NotificationSent => "notification.sent",
    NotificationLedger => "notification.ledger",
    NotificationOpen => "notification.open",
    NotificationAcknowledged => "notification.acknowledged",
    NotificationHeld => "notification.held",
    NotificationDigest => "notification.digest",
    DeadLetter => "dead-letter",
    Dropped => "line.dropped",
    AuditManifest => "audit.manifests",
    Replayed => "dead-letters.replayed",
    AccessEvent => "access.events",
}

/// How long a topic keeps its records in Kafka. The WORM log keeps them for years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// By age.
    For(Duration),
    /// The last record of each key, for ever.
    Compacted,
}

/// A topic's contract.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Name in Kafka.
    pub name: String,
    /// Partitions when the line creates it.
    pub partitions: i32,
    /// How long Kafka keeps it.
    pub retention: Retention,
    /// The service that writes it.
    pub owner: &'static str,
    /// Whether its records carry identifiers.
    pub phi: bool,
    /// Avro schema of the value; none where the bytes are the feed's own.
    pub schema: Option<&'static str>,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Every topic of the line, with `partitions` for those that are keyed by patient.
#[must_use]
pub fn topics(partitions: i32) -> Vec<Topic> {
    let week = Retention::For(DAY * 7);
    let month = Retention::For(DAY * 30);
    let year = Retention::For(DAY * 365);
    let topic = |name: &str, partitions, retention, owner, phi, schema| Topic {
        name: name.to_owned(),
        partitions,
        retention,
        owner,
        phi,
        schema,
    };
    let mut all = vec![
        topic("hl7.raw", partitions, week, "feeds", true, None),
        topic("fhir.received", partitions, week, "ingest", true, Some(FhirReceived::SCHEMA)),
        topic("fhir.validated", partitions, week, "validate", true, Some(FhirValidated::SCHEMA)),
        topic("fhir.deidentified", partitions, month, "redact", false, Some(FhirDeidentified::SCHEMA)),
        topic(
            "identity.vault",
            partitions,
            Retention::Compacted,
            "redact",
            true,
            Some(IdentityVault::SCHEMA),
        ),
        topic("triage.classified", partitions, month, "classify", false, Some(TriageClassified::SCHEMA)),
        topic("triage.summarized", partitions, month, "summarize", false, Some(TriageSummarized::SCHEMA)),
        topic("notification.sent", partitions, month, "notify", false, Some(NotificationSent::SCHEMA)),
        topic(
            "notification.ledger",
            partitions,
            Retention::Compacted,
            "notify",
            false,
            Some(NotificationLedger::SCHEMA),
        ),
        topic(
            "notification.open",
            partitions,
            Retention::Compacted,
            "notify",
            false,
            Some(NotificationOpen::SCHEMA),
        ),
        topic(
            "notification.acknowledged",
            partitions,
            Retention::Compacted,
            "notify",
            false,
            Some(NotificationAcknowledged::SCHEMA),
        ),
        topic("notification.held", partitions, month, "notify", false, Some(NotificationHeld::SCHEMA)),
        topic(
            "notification.digest",
            partitions,
            Retention::Compacted,
            "notify",
            false,
            Some(NotificationDigest::SCHEMA),
        ),
        topic("line.dropped", partitions, month, "every stage", false, Some(Dropped::SCHEMA)),
        topic("audit.manifests", 1, month, "audit", false, Some(AuditManifest::SCHEMA)),
        topic(REPLAYED, 1, Retention::Compacted, "operators", false, Some(Replayed::SCHEMA)),
        topic(ACCESS_EVENTS, 1, year, "operators", false, Some(AccessEvent::SCHEMA)),
    ];
    all.extend(STAGES.map(|stage| {
        topic(&dead_letter_topic(stage), partitions, month, stage, true, Some(DeadLetter::SCHEMA))
    }));
    // They wait for a person, and nothing else holds the order of their keys.
    all.extend(
        STAGES.map(|stage| {
            topic(&parked_topic(stage), partitions, year, stage, true, Some(DeadLetter::SCHEMA))
        }),
    );
    all
}

/// Subjects of the schema registry (TopicNameStrategy: `<topic>-value`) with their schemas.
#[must_use]
pub fn subjects() -> Vec<(String, String)> {
    topics(1)
        .into_iter()
        .filter_map(|topic| topic.schema.map(|schema| (format!("{}-value", topic.name), schema.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::path::Path;

    use apache_avro::Schema;
    use apache_avro::reader::datum::GenericDatumReader;
    use apache_avro::writer::datum::GenericDatumWriter;

    use super::*;
    use crate::{Header, Label, Sentence, SourceSpan, SpecialtyLabel};

    fn round_trip<T: Record + PartialEq + std::fmt::Debug>(record: &T) {
        let schema = Schema::parse_str(T::SCHEMA).unwrap();
        let value = apache_avro::to_value(record).unwrap().resolve(&schema).unwrap();
        let bytes = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap();
        let read =
            GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut bytes.as_slice()).unwrap();
        assert_eq!(&apache_avro::from_value::<T>(&read).unwrap(), record);
    }

    fn text() -> String {
        "x".to_owned()
    }

    fn labels() -> (Label, SpecialtyLabel) {
        (Label { label: text(), p: 0.5 }, SpecialtyLabel { label: text(), p: 0.5, second: Some(text()) })
    }

    #[test]
    fn the_types_of_the_line_fit_their_schemas() {
        let (label, specialty) = labels();
        round_trip(&FhirReceived {
            event_id: text(),
            facility: text(),
            message_type: text(),
            received_at: 1,
            control_id: text(),
            bundle: text(),
            unmapped: vec![text()],
        });
        for outcome in [None, Some(text())] {
            round_trip(&FhirValidated {
                event_id: text(),
                facility: text(),
                message_type: text(),
                received_at: 1,
                control_id: text(),
                bundle: text(),
                outcome,
            });
        }
        round_trip(&FhirDeidentified {
            event_id: text(),
            facility: text(),
            message_type: text(),
            received_at: 1,
            pseudonym: Some(text()),
            bundle: text(),
            redactions: BTreeMap::from([(text(), 2)]),
        });
        round_trip(&TriageClassified {
            event_id: text(),
            facility: text(),
            message_type: text(),
            received_at: 1,
            pseudonym: None,
            bundle: text(),
            urgency: label.clone(),
            specialty: specialty.clone(),
            document_type: label.clone(),
            abstained: false,
            reasons: vec![text()],
            model_id: text(),
            model_version: text(),
        });
        round_trip(&TriageSummarized {
            event_id: text(),
            facility: text(),
            message_type: text(),
            received_at: 1,
            pseudonym: Some(text()),
            urgency: label.clone(),
            specialty,
            document_type: label,
            abstained: true,
            reasons: vec![],
            model_id: text(),
            model_version: text(),
            sentences: vec![Sentence { text: text(), sources: vec![SourceSpan { start: 0, end: 1 }] }],
        });
    }

    #[test]
    fn the_types_beside_the_line_fit_their_schemas() {
        round_trip(&IdentityVault { pseudonym: text(), key_version: 1, sealed: vec![0, 255] });
        round_trip(&NotificationSent {
            event_id: text(),
            facility: text(),
            message_type: text(),
            received_at: 1,
            notification_id: text(),
            channel: text(),
            message_id: text(),
            recipients: vec![text()],
            urgency: text(),
            specialty: text(),
            sent_at: 2,
        });
        round_trip(&NotificationLedger { notification_id: text(), state: text(), at: 1 });
        round_trip(&NotificationOpen {
            event_id: text(),
            step: 1,
            opened_at: 1,
            due_at: 2,
            unanswered: false,
            event: vec![0, 255],
        });
        round_trip(&NotificationAcknowledged { event_id: text(), step: 2, acknowledged_at: 1 });
        round_trip(&NotificationHeld { event_id: text(), recipient: text(), due_at: 1, event: vec![0, 255] });
        for planned in [None, Some(7)] {
            round_trip(&NotificationDigest { told: -1, planned, at: 1 });
        }
        round_trip(&Dropped {
            stage: text(),
            reason: text(),
            event_id: text(),
            source_topic: text(),
            source_partition: 0,
            source_offset: 1,
        });
        round_trip(&Replayed {
            letter: text(),
            event_id: text(),
            failed_at: 1,
            source_topic: text(),
            replayed_at: 2,
        });
        for role in [None, Some(text())] {
            round_trip(&AccessEvent {
                access_id: text(),
                recorded_at: 1,
                kind: text(),
                operator: text(),
                role,
                purpose: text(),
                source: text(),
                query: text(),
                audit_event: text(),
            });
        }
        round_trip(&AuditManifest {
            topic: text(),
            partition: 0,
            first_offset: 0,
            next_offset: 1,
            manifest_key: text(),
            manifest_sha256: text(),
            manifest: text(),
        });
        for value in [None, Some(vec![0, 1, 255])] {
            round_trip(&DeadLetter {
                stage: text(),
                code: text(),
                reason: text(),
                location: None,
                outcome: Some(text()),
                event_id: text(),
                source_topic: text(),
                source_partition: 0,
                source_offset: 1,
                key: value.clone(),
                value: value.clone(),
                headers: vec![Header { name: text(), value }],
                attempts: 1,
                failed_at: 1,
            });
        }
    }

    #[test]
    fn names_are_unique_and_every_stage_has_its_dead_letters() {
        let all = topics(3);
        let names: HashSet<_> = all.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        for stage in STAGES {
            assert!(names.contains(dead_letter_topic(stage).as_str()));
            assert!(names.contains(parked_topic(stage).as_str()));
            assert!(!inputs(stage).is_empty());
            assert!(inputs(stage).iter().all(|input| names.contains(input)));
        }
    }

    /// An edit of a schema is a new version: it is committed beside the old ones, and can read all of them
    /// (BACKWARD_TRANSITIVE), because the WORM log holds records of every version for years.
    #[test]
    fn each_schema_reads_every_version_released_before_it() {
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        let mut checked = 0;
        for entry in std::fs::read_dir(&schemas).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "avsc") {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let current = Schema::parse_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let mut versions: Vec<(u32, Schema)> = std::fs::read_dir(schemas.join("history").join(&name))
                .unwrap_or_else(|_| {
                    panic!("schemas/history/{name} is missing: commit the schema there as 1.avsc")
                })
                .map(|version| {
                    let path = version.unwrap().path();
                    let number = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
                    (number, Schema::parse_str(&std::fs::read_to_string(&path).unwrap()).unwrap())
                })
                .collect();
            versions.sort_by_key(|(number, _)| *number);
            for (number, version) in &versions {
                apache_avro::schema_compatibility::SchemaCompatibility::can_read(version, &current)
                    .unwrap_or_else(|error| {
                        panic!("schemas/{name}.avsc cannot read version {number}: {error}")
                    });
            }
            let (last, version) = versions.last().unwrap();
            assert_eq!(
                version.canonical_form(),
                current.canonical_form(),
                "schemas/{name}.avsc differs from version {last}: commit it as schemas/history/{name}/{}.avsc",
                last + 1
            );
            checked += 1;
        }
        assert_eq!(checked, subjects().iter().map(|(_, schema)| schema).collect::<HashSet<_>>().len());
    }
}
