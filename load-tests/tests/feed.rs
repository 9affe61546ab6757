//! The feed keeps its promises: same seed same bytes, valid where it says so, broken where it says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use hl7v2::Message;
use inference::Document;
use inference::features::Reading;
use wardstream_load_tests::{Config, Damage, Feed, FeedMessage, Kind, Urgency};

const MESSAGES: usize = 4000;

fn feed(config: Config) -> Vec<FeedMessage> {
    Feed::new(config).take(MESSAGES).collect()
}

/// One undamaged feed for all who only read it.
fn undamaged() -> &'static [FeedMessage] {
    static UNDAMAGED: LazyLock<Vec<FeedMessage>> = LazyLock::new(|| {
        feed(Config { damage_rate: 0.0, facilities: 5, patients: 300, ..Config::default() })
    });
    &UNDAMAGED
}

/// The message as one text, each escape decoded, whatever its character set.
fn text_of(message: &Message<'_>) -> String {
    let mut text = String::new();
    for segment in message.segments() {
        for field in segment.fields_in_order() {
            for repetition in field.repetitions() {
                for component in repetition.components() {
                    text.push_str(&component.full_text());
                    text.push('\n');
                }
            }
        }
    }
    text
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let config = Config { damage_rate: 0.1, duplicate_rate: 0.05, ..Config::default() };
    let first = feed(config.clone());
    assert_eq!(first, feed(config.clone()));
    let other = feed(Config { seed: 2, ..config });
    assert_ne!(first[0].bytes, other[0].bytes);
}

#[test]
fn undamaged_messages_parse_and_say_what_they_are() {
    let mut control_ids = BTreeSet::new();
    for FeedMessage { key, bytes, truth } in undamaged() {
        let message = Message::parse(bytes).unwrap_or_else(|e| panic!("{}: {e}", truth.kind));
        let (code, event, structure) = truth.kind.message_type();
        assert_eq!((message.message_code().as_ref(), message.trigger_event().as_ref()), (code, event));
        assert_eq!(message.structure(), structure);
        assert_eq!(message.control_id(), truth.control_id);
        assert!(control_ids.insert(truth.control_id.clone()), "control ids are unique");
        let pid = message.segment("PID").expect("every kind has a patient");
        let identifier = pid.field(3).repetition(1);
        let authority = identifier.component(4).text();
        assert_eq!(*key, format!("{authority}|{}", identifier.text()).into_bytes());
        assert_eq!(
            (message.sending_facility(), authority.as_ref()),
            (truth.facility.as_str().into(), truth.facility.as_str())
        );
        // Nothing is left of a template.
        let text = text_of(&message).replace("{INR}", "");
        assert!(!text.contains('{') && !text.contains('}'), "{}: a slot was not filled", truth.kind);
    }
}

#[test]
fn every_kind_is_there_in_its_share() {
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    for message in undamaged() {
        *kinds.entry(message.truth.kind).or_default() += 1;
    }
    for kind in Kind::ALL {
        assert!(kinds.get(&kind).is_some_and(|n| *n >= 20), "{kind}: {kinds:?}");
    }
    assert!(kinds[&Kind::Note] * 100 / MESSAGES >= 14);
    assert!(kinds[&Kind::LabResult] * 100 / MESSAGES >= 19);
}

#[test]
fn planted_identifiers_are_in_the_message() {
    for FeedMessage { bytes, truth, .. } in undamaged() {
        let message = Message::parse(bytes).unwrap();
        let text = text_of(&message);
        assert!(truth.identifiers.len() >= 9, "{}", truth.kind);
        for identifier in truth.identifiers.iter().chain(&truth.staff) {
            assert!(identifier.chars().count() >= 3, "{}: too short to look for", truth.kind);
            assert!(text.contains(identifier.as_str()), "{}: a planted identifier is missing", truth.kind);
        }
    }
}

#[test]
fn notes_hold_identifiers_in_their_prose() {
    let mut with_prose = 0;
    let notes: Vec<_> = undamaged().iter().filter(|m| m.truth.kind == Kind::Note).collect();
    let mut different = BTreeSet::new();
    for FeedMessage { bytes, truth, .. } in &notes {
        let message = Message::parse(bytes).unwrap();
        let prose: String = message.all("OBX").map(|s| s.field(5).full_text().into_owned() + "\n").collect();
        assert!(prose.len() > 150 && prose.lines().count() >= 4);
        with_prose += usize::from(truth.identifiers.iter().any(|i| prose.contains(i.as_str())));
        different.insert(prose);
    }
    assert!(with_prose * 10 >= notes.len() * 9);
    assert_eq!(different.len(), notes.len(), "no two notes are the same");
}

#[test]
fn critical_values_are_few_and_flagged() {
    let (mut results, mut critical) = (0, 0);
    for FeedMessage { bytes, truth, .. } in undamaged() {
        if truth.kind != Kind::LabResult {
            continue;
        }
        let message = Message::parse(bytes).unwrap();
        let flags: Vec<String> = message.all("OBX").map(|s| s.field(8).text().into_owned()).collect();
        let found = flags.iter().any(|f| f == "HH" || f == "LL");
        assert_eq!(found, truth.critical);
        assert_eq!(truth.expected_urgency == Some(Urgency::Emergent), found);
        for obx in message.all("OBX") {
            let value: f64 = obx.field(5).text().parse().expect("a number");
            let range = obx.field(7).text().into_owned();
            let (low, high) = range
                .strip_prefix("<=")
                .map(|high| (0.0, high.parse().unwrap()))
                .or_else(|| range.split_once('-').map(|(l, h)| (l.parse().unwrap(), h.parse().unwrap())))
                .expect("a range");
            let flag = obx.field(8).text();
            let expected: &[&str] = if value < low {
                &["L", "LL"]
            } else if value > high {
                &["H", "HH"]
            } else {
                &["N"]
            };
            assert!(expected.contains(&flag.as_ref()), "{value} {range} {flag}");
        }
        results += 1;
        critical += usize::from(found);
    }
    let percent = critical * 100 / results;
    assert!((1..=15).contains(&percent), "{critical} of {results}");
}

#[test]
fn urgency_is_mixed() {
    let mut counts: BTreeMap<Urgency, usize> = BTreeMap::new();
    let mut specialties = BTreeSet::new();
    for message in undamaged() {
        specialties.insert(message.truth.specialty);
        if let Some(urgency) = message.truth.expected_urgency {
            *counts.entry(urgency).or_default() += 1;
        }
    }
    for urgency in [Urgency::Routine, Urgency::Urgent, Urgency::Emergent] {
        assert!(counts.get(&urgency).is_some_and(|n| *n > 100), "{counts:?}");
    }
    assert_eq!(specialties.len(), 16);
}

#[test]
fn damage_is_what_it_says() {
    let config = Config { damage_rate: 1.0, facilities: 5, ..Config::default() };
    let mut found = BTreeSet::new();
    for FeedMessage { bytes, truth, .. } in feed(config) {
        let damage = truth.damaged.expect("every message is damaged");
        found.insert(damage);
        let parsed = Message::parse(&bytes);
        assert_eq!(parsed.is_err(), damage.is_syntax(), "{damage}: {:?}", parsed.err());
        if let Ok(message) = parsed {
            assert_eq!(message.control_id(), truth.control_id);
            assert_eq!(message.message_code() == "ZZZ", damage == Damage::UnknownMessageType);
        }
    }
    assert_eq!(found.len(), Damage::ALL.len());
}

#[test]
fn narratives_come_at_their_share_and_the_rest_leaves_the_encoder_alone() {
    let config = Config { damage_rate: 0.0, facilities: 5, narratives: Some(0.1), ..Config::default() };
    let (mut narratives, mut others) = (0, BTreeSet::new());
    for FeedMessage { bytes, truth, .. } in feed(config.clone()) {
        let message = Message::parse(&bytes).unwrap();
        let text = text_of(&message);
        for identifier in truth.identifiers.iter().chain(&truth.staff) {
            assert!(text.contains(identifier.as_str()), "{}: a planted identifier is missing", truth.kind);
        }
        let bundle = v2_to_fhir::convert(&message, &v2_to_fhir::Options::default()).unwrap().bundle;
        // What the encoder would be asked about.
        let words = Reading::of(Document::from_bundle(&bundle).prose()).is_substantial();
        let narrative = matches!(truth.kind, Kind::Note | Kind::RadiologyReport | Kind::Referral);
        assert_eq!(words, narrative, "{}", truth.kind);
        narratives += usize::from(narrative);
        if !narrative {
            others.insert(truth.kind);
        }
    }
    assert!((320..=480).contains(&narratives), "{narratives}");
    assert_eq!(others.len(), Kind::ALL.len() - 3);
    let all = feed(Config { narratives: Some(1.0), ..config });
    let narratives = all.iter().filter(|message| message.truth.kind == Kind::Note).count();
    assert!(narratives > MESSAGES / 2, "{narratives}");
}

#[test]
fn damage_and_repetition_come_at_their_rates() {
    let messages = feed(Config { damage_rate: 0.05, duplicate_rate: 0.1, ..Config::default() });
    let damaged = messages.iter().filter(|m| m.truth.damaged.is_some()).count();
    let repeated = messages.iter().filter(|m| m.truth.duplicate_of.is_some()).count();
    assert!((120..=280).contains(&damaged), "{damaged}");
    assert!((320..=480).contains(&repeated), "{repeated}");
    let mut originals: BTreeMap<&str, &FeedMessage> = BTreeMap::new();
    for message in &messages {
        match &message.truth.duplicate_of {
            None => {
                originals.insert(&message.truth.control_id, message);
            }
            Some(original) => {
                let original = originals[original.as_str()];
                assert_eq!((&message.bytes, &message.key), (&original.bytes, &original.key));
            }
        }
    }
}

#[test]
fn a_patients_stay_is_coherent() {
    // What a patient's messages may say in their order: opened before anything of the visit, nothing but
    // papers after the discharge.
    let mut open: BTreeMap<String, bool> = BTreeMap::new();
    for FeedMessage { bytes, truth, .. } in undamaged() {
        let message = Message::parse(bytes).unwrap();
        let visit = message.query("PV1-19").unwrap().unwrap_or_default();
        match truth.kind {
            Kind::Referral | Kind::Appointment | Kind::Vaccination => {}
            Kind::Register => assert!(open.insert(visit, true).is_none()),
            Kind::Admit => assert_ne!(open.insert(visit, true), Some(false)),
            Kind::Discharge => assert_eq!(open.insert(visit, false), Some(true)),
            Kind::Note => assert!(open.contains_key(&visit)),
            _ => assert_eq!(open.get(&visit), Some(&true), "{}", truth.kind),
        }
    }
}

#[test]
fn odd_configurations_are_served() {
    let config = Config {
        facilities: 0,
        patients: 0,
        damage_rate: f64::NAN,
        duplicate_rate: 7.0,
        ..Config::default()
    };
    let messages = feed(config);
    assert_eq!(messages.len(), MESSAGES);
    assert!(messages[1..].iter().all(|m| m.truth.duplicate_of.is_some()));
}
