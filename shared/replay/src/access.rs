//! The access event: who reads what, and why (FHIR R4 AuditEvent by IHE BALP 1.1.3, *Basic Audit Log Patterns*).
//!
//! A replay asks a store for records that fit a query, which is BALP's pattern *Query*; one that names a patient is *PatientQuery*.
//! As BALP has it, the asking program is the source and the store is the destination: the query flows that way.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use contracts::AccessEvent;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

const QUERY: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Query";
const PATIENT_QUERY: &str =
    "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientQuery";
/// Longest purpose and longest identity, in characters.
const MAX_TEXT: usize = 500;

/// Codes of the value set v3-PurposeOfUse (HL7 Terminology, in the code system v3-ActReason).
const PURPOSES: [&str; 59] = [
    "BIORCH",
    "BTG",
    "CAREMGT",
    "CLINTRCH",
    "CLINTRCHNPC",
    "CLINTRCHPC",
    "CLINTRL",
    "CLMATTCH",
    "COC",
    "COVAUTH",
    "COVERAGE",
    "DISASTER",
    "DONAT",
    "DSRCH",
    "ELIGDTRM",
    "ELIGVER",
    "ENROLLM",
    "ERTREAT",
    "ETREAT",
    "FAMRQT",
    "FRAUD",
    "GOV",
    "HACCRED",
    "HCOMPL",
    "HDECD",
    "HDIRECT",
    "HDM",
    "HLEGAL",
    "HMARKT",
    "HOPERAT",
    "HOUTCOMS",
    "HPAYMT",
    "HPRGRP",
    "HQUALIMP",
    "HRESCH",
    "HSYSADMIN",
    "HTEST",
    "LABELING",
    "MEMADMIN",
    "METAMGT",
    "MILCDM",
    "MILDCRG",
    "PATADMIN",
    "PATRQT",
    "PATSFTY",
    "PERFMSR",
    "POARCH",
    "POPHLTH",
    "PRECLINTRCH",
    "PUBHLTH",
    "PWATRNY",
    "RECORDMGT",
    "REMITADV",
    "SUPNWK",
    "SYSDEV",
    "THREAT",
    "TRAIN",
    "TRANSRCH",
    "TREAT",
];

/// A text that cannot stand in an access event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// There is none.
    #[error("empty")]
    Empty,
    /// It is too long.
    #[error("longer than {MAX_TEXT} characters")]
    Long,
    /// A line break or another control character.
    #[error("has a control character")]
    Control,
}

fn checked(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    match text {
        "" => Err(TextError::Empty),
        text if text.chars().count() > MAX_TEXT => Err(TextError::Long),
        text if text.chars().any(char::is_control) => Err(TextError::Control),
        text => Ok(text.to_owned()),
    }
}

/// Why records are read: a code of v3-PurposeOfUse, words, or a code and words behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    code: Option<&'static str>,
    text: String,
}

impl FromStr for Purpose {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let text = checked(text)?;
        let first = text.split([' ', ':', ',']).next().unwrap_or_default();
        let code = PURPOSES.into_iter().find(|code| *code == first);
        Ok(Self { code, text })
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Purpose {
    fn concept(&self) -> Value {
        let mut concept = json!({"text": self.text});
        if let Some(code) = self.code {
            concept["coding"] =
                json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code}]);
        }
        concept
    }
}

/// Who reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator(String);

impl FromStr for Operator {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        checked(text).map(Self)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is done with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They are read.
    Replay,
    /// Their content is shown as it is.
    Unmask,
    /// What became of an event is told.
    Explain,
    /// They are put under legal hold.
    Hold,
    /// The hold is taken away.
    Unhold,
    /// They are counted for a report.
    Report,
}

impl Kind {
    /// Its name in `access.events`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Unmask => "unmask",
            Self::Explain => "explain",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            Self::Report => "report",
        }
    }
}

impl Kind {
    /// The code of a hold in HL7's iso-21089-lifecycle; none for what only reads.
    fn lifecycle(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Hold => Some(("hold", "Add Legal Hold Record Lifecycle Event")),
            Self::Unhold => Some(("unhold", "Remove Legal Hold Record Lifecycle Event")),
            Self::Replay | Self::Unmask | Self::Explain | Self::Report => None,
        }
    }
}

/// An access that is about to happen.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// Shared by all events of one run.
    pub id: Uuid,
    /// When.
    pub recorded: Timestamp,
    /// What.
    pub kind: Kind,
    /// Who.
    pub operator: &'a Operator,
    /// The role that allows it.
    pub role: Option<&'a str>,
    /// Why.
    pub purpose: &'a Purpose,
    /// Name of the machine that the program runs on.
    pub machine: &'a str,
    /// Folder, bucket or brokers that are read.
    pub source: &'a str,
    /// Which records.
    pub query: &'a str,
    /// The patient that the query names, by pseudonym.
    pub pseudonym: Option<&'a str>,
}

impl Access<'_> {
    /// The record of `access.events`.
    #[must_use]
    pub fn event(&self) -> AccessEvent {
        AccessEvent {
            access_id: self.id.to_string(),
            recorded_at: self.recorded.as_millisecond(),
            kind: self.kind.name().to_owned(),
            operator: self.operator.to_string(),
            role: self.role.map(str::to_owned),
            purpose: self.purpose.to_string(),
            source: self.source.to_owned(),
            query: self.query.to_owned(),
            audit_event: self.audit_event().to_string(),
        }
    }

    /// The AuditEvent. Its outcome is that the access was allowed; how many records it gave is not recorded, as BALP has it.
    fn audit_event(&self) -> Value {
        let dicom = |code: &str, display: &str| json!({"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": code, "display": display}]});
        // A folder is on the machine itself.
        let server = match self.source.contains("://") {
            true => json!({"address": self.source, "type": "5"}),
            false => json!({"address": self.machine, "type": "1"}),
        };
        let mut user = json!({
            "type": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                "code": "IRCP",
                "display": "information recipient",
            }]},
            "who": {"identifier": {"value": self.operator.to_string()}},
            "name": self.operator.to_string(),
            "requestor": true,
            "purposeOfUse": [self.purpose.concept()],
        });
        if let Some(role) = self.role {
            user["role"] = json!([{"text": role}]);
        }
        let mut entities = vec![
            json!({
                "type": {
                    "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                    "code": "2",
                    "display": "System Object",
                },
                "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "24", "display": "Query"},
                "description": self.query,
                "query": BASE64.encode(self.query),
            }),
            json!({
                "what": {"identifier": {"value": self.id.to_string()}},
                "type": {
                    "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                    "code": "XrequestId",
                },
            }),
        ];
        if let Some(pseudonym) = self.pseudonym {
            entities.push(json!({
                "what": {"type": "Patient", "identifier": {"value": pseudonym}},
                "type": {
                    "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                    "code": "1",
                    "display": "Person",
                },
                "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1", "display": "Patient"},
            }));
        }
        let mut event = json!({
            "resourceType": "AuditEvent",
            "meta": {"profile": [if self.pseudonym.is_some() { PATIENT_QUERY } else { QUERY }]},
            "type": {
                "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
                "code": "rest",
                "display": "RESTful Operation",
            },
            "subtype": [
                {"system": "http://hl7.org/fhir/restful-interaction", "code": "search", "display": "search"},
                {"system": "urn:wardstream:access", "code": self.kind.name()},
            ],
            "action": "E",
            "recorded": self.recorded.to_string(),
            "outcome": "0",
            "purposeOfEvent": [self.purpose.concept()],
            "agent": [
                {
                    "type": dicom("110153", "Source Role ID"),
                    "who": {"display": "wardstream"},
                    "requestor": false,
                    "network": {"address": self.machine, "type": "1"},
                },
                {
                    "type": dicom("110152", "Destination Role ID"),
                    "who": {"display": self.source},
                    "requestor": false,
                    "network": server,
                },
                user,
            ],
            "source": {
                "site": self.machine,
                "observer": {"display": "wardstream"},
                "type": [{
                    "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }],
            },
            "entity": entities,
        });
        // No pattern of BALP covers a hold: its query only says which records.
        if let Some((code, display)) = self.kind.lifecycle() {
            let lifecycle = json!({
                "system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle",
                "code": code,
                "display": display,
            });
            event["type"] = lifecycle;
            event["action"] = json!("U");
            if let Some(event) = event.as_object_mut() {
                event.shift_remove("meta");
            }
            event["subtype"] = json!([{"system": "urn:wardstream:access", "code": self.kind.name()}]);
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use fhir::{Severity, Validator};
    use proptest::prelude::*;

    use super::*;

    fn event(kind: Kind, purpose: &str, pseudonym: Option<&str>, query: &str) -> AccessEvent {
        let access = Access {
            id: Uuid::nil(),
            recorded: Timestamp::from_millisecond(1_790_000_000_123).unwrap(),
            kind,
            operator: &"d.osei@ward.example".parse().unwrap(),
            role: (kind == Kind::Unmask).then_some("privacy-officer"),
            purpose: &purpose.parse().unwrap(),
            machine: "ops1",
            source: "s3://wardstream-audit",
            query,
            pseudonym,
        };
        access.event()
    }

    fn assert_valid(event: &AccessEvent) -> Value {
        let outcome = Validator::r4().validate(event.audit_event.as_bytes());
        let bad: Vec<_> = outcome
            .issues
            .iter()
            .filter(|issue| matches!(issue.severity, Severity::Error | Severity::Fatal))
            .collect();
        assert!(outcome.is_valid() && bad.is_empty(), "{bad:?}\n{}", event.audit_event);
        serde_json::from_str(&event.audit_event).unwrap()
    }

    /// What BALP asks for beyond R4, by its pattern Query.
    fn assert_pattern(audit: &Value) {
        assert_eq!((audit["type"]["code"].as_str(), audit["action"].as_str()), (Some("rest"), Some("E")));
        assert_eq!(
            (audit["subtype"][0]["code"].as_str(), audit["outcome"].as_str()),
            (Some("search"), Some("0"))
        );
        let agents = audit["agent"].as_array().unwrap();
        let of = |code: &str| {
            let mut of = agents.iter().filter(|agent| agent["type"]["coding"][0]["code"] == code);
            (of.next().cloned().unwrap_or_default(), of.count())
        };
        for code in ["110153", "110152"] {
            let (agent, more) = of(code);
            assert!(agent["who"].is_object() && agent["network"].is_object() && more == 0, "{code}");
            assert!(agent.get("media").is_none());
        }
        let (user, more) = of("IRCP");
        assert!(user["who"].is_object() && user["requestor"] == true && more == 0);
        assert!(user.get("network").is_none() && user["purposeOfUse"].is_array());
        let queries: Vec<_> = audit["entity"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entity| entity["role"]["code"] == "24")
            .collect();
        let [query] = queries[..] else { panic!("{queries:?}") };
        assert!(query["query"].is_string() && query.get("what").is_none() && query.get("detail").is_none());
    }

    #[test]
    fn an_access_event_is_an_audit_event_by_balp() {
        let event =
            event(Kind::Replay, "HOPERAT: message of 3 March is missing", None, "topic=hl7.raw&from=1");
        assert_eq!((event.kind.as_str(), event.role.as_deref()), ("replay", None));
        let audit = assert_valid(&event);
        assert_pattern(&audit);
        assert_eq!(audit["meta"]["profile"], json!([QUERY]));
        let purpose = &audit["agent"][2]["purposeOfUse"][0];
        assert_eq!(purpose["coding"][0]["code"], "HOPERAT");
        assert_eq!(purpose["text"], "HOPERAT: message of 3 March is missing");
        assert_eq!(audit["recorded"], "2026-09-21T14:13:20.123Z");
        assert_eq!(
            BASE64.decode(audit["entity"][0]["query"].as_str().unwrap()).unwrap(),
            b"topic=hl7.raw&from=1"
        );
    }

    #[test]
    fn a_query_for_a_patient_names_the_patient() {
        let audit =
            assert_valid(&event(Kind::Unmask, "because I was asked to", Some("p-7"), "pseudonym=p-7"));
        assert_pattern(&audit);
        assert_eq!(audit["meta"]["profile"], json!([PATIENT_QUERY]));
        assert_eq!(audit["entity"][2]["what"]["identifier"]["value"], "p-7");
        assert_eq!(audit["agent"][2]["role"][0]["text"], "privacy-officer");
        assert!(audit["agent"][2]["purposeOfUse"][0].get("coding").is_none(), "no code was named");
    }

    #[test]
    fn a_hold_is_an_event_in_the_life_of_a_record() {
        for (kind, code) in [(Kind::Hold, "hold"), (Kind::Unhold, "unhold")] {
            let event = event(kind, "HLEGAL: case 7", None, "topic=hl7.raw");
            assert_eq!(event.kind, code);
            let audit = assert_valid(&event);
            assert_eq!((audit["type"]["code"].as_str(), audit["action"].as_str()), (Some(code), Some("U")));
            assert!(audit.get("meta").is_none());
            assert_eq!(audit["entity"][0]["description"], "topic=hl7.raw");
        }
        let explained = event(Kind::Explain, "HCOMPL", None, "event-id=e");
        assert_pattern(&assert_valid(&explained));
    }

    #[test]
    fn a_purpose_and_an_operator_are_not_empty() {
        for (text, error) in [
            ("", TextError::Empty),
            (" \t ", TextError::Empty),
            ("a\nb", TextError::Control),
            (&"x".repeat(501), TextError::Long),
        ] {
            assert_eq!(text.parse::<Purpose>(), Err(error));
            assert_eq!(text.parse::<Operator>(), Err(error));
        }
        assert!(PURPOSES.is_sorted());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_is_asked_for_the_event_is_valid(purpose in "\\PC{1,40}", query in "\\PC{1,200}") {
            prop_assume!(purpose.parse::<Purpose>().is_ok() && !query.trim().is_empty());
            assert_valid(&event(Kind::Replay, &purpose, None, &query));
        }
    }
}
