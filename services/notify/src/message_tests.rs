use std::time::Duration;

use mail_parser::MessageParser;
use proptest::prelude::*;

use super::*;
use crate::{Decision, RoutingTable};

fn composer() -> Composer {
    Composer::new(&ComposerConfig {
        from: "wardstream@hospital.example".into(),
        from_name: "Wardstream".into(),
        console_url: "https://console.hospital.example/ws/".into(),
        message_id_domain: None,
    })
    .unwrap()
}

fn triage() -> Triage {
    Triage {
        event_id: "0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11".into(),
        pseudonym: "p1_7Q2K9XW4".into(),
        facility: "NORTH".into(),
        message_type: "ORU^R01".into(),
        urgency: "emergent".into(),
        urgency_p: 0.973,
        specialty: "nephrology".into(),
        document_type: "lab-result".into(),
        abstained: false,
        reasons: vec!["critical value: potassium 6.9 mmol/L (limit 6.5)".into()],
        sentences: vec![
            "Potassium 6.9 mmol/L, critical high.".into(),
            "Creatinine 310 µmol/L, up from 180.".into(),
        ],
        received_at_ms: 1_795_384_800_000,
        model_id: "wardstream-triage".into(),
        model_version: "1.0.0".into(),
    }
}

fn id() -> NotificationId {
    NotificationId::at("hl7.raw", 2, 17, TEMPLATE)
}

fn compose(triage: &Triage) -> Mail {
    let table = RoutingTable::parse(RoutingTable::DEFAULT).unwrap();
    let Decision::Notify(routes) = table.decide(triage) else { panic!("dropped") };
    composer()
        .compose(id(), triage, &routes, SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_384_801))
        .unwrap()
}

#[test]
fn is_an_rfc_5322_message_with_both_parts() {
    let mail = compose(&triage());
    let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
    assert_eq!(parsed.subject(), Some("[Emergent] Nephrology: lab result"));
    assert_eq!(parsed.message_id(), Some(format!("{}@hospital.example", id()).as_str()));
    assert_eq!(
        parsed.text_part(0).unwrap().text_contents().map(|t| t.replace("\r\n", "\n")),
        Some(mail.text.clone())
    );
    assert_eq!(
        parsed.html_part(0).unwrap().text_contents().map(|t| t.replace("\r\n", "\n")),
        Some(mail.html.clone())
    );
    let header = |name: &str| parsed.header_raw(name).map(|v| v.trim().to_owned()).unwrap_or_default();
    assert_eq!(header("X-Wardstream-Event"), "0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11");
    assert_eq!(header("X-Wardstream-Notification"), id().to_string());
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    assert_eq!((header("Importance"), header("X-Priority")), ("high".into(), "1 (Highest)".into()));
    assert_eq!(header("Date"), "Sun, 22 Nov 2026 22:00:01 +0000");
    assert_eq!(header("From"), "Wardstream <wardstream@hospital.example>");
    assert!(mail.bytes.is_ascii());
    assert!(mail.bytes.split(|b| *b == b'\n').all(|line| line.len() <= 200));
    assert_eq!(mail.to.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["nephrology", "rapid-response"]);
}

#[test]
fn the_same_event_gives_the_same_bytes() {
    assert_eq!(compose(&triage()), compose(&triage()));
}

#[test]
fn both_parts_tell_the_whole_story() {
    let mail = compose(&triage());
    for part in [&mail.text, &mail.html] {
        for said in [
            "Potassium 6.9 mmol/L, critical high.",
            "Creatinine 310 µmol/L, up from 180.",
            "critical value: potassium 6.9 mmol/L (limit 6.5)",
            "p1_7Q2K9XW4",
            "NORTH",
            "ORU^R01",
            "0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11",
            "https://console.hospital.example/ws/events/0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11",
            "22 Nov 2026, 22:00:00 UTC",
            "Why you got this:",
            "nephrology (any urgency × nephrology × any facility); rapid-response (emergent × any specialty × any facility)",
            "wardstream-triage 1.0.0",
            "Needs a clinician within minutes to hours.",
        ] {
            assert!(part.contains(said), "{said}");
        }
    }
    assert!(!mail.subject.contains("p1_") && !mail.subject.contains("NORTH"));
}

#[test]
fn tone_follows_urgency_and_doubt() {
    let mut event = triage();
    event.urgency = "routine".into();
    let mail = compose(&event);
    assert_eq!(mail.subject, "[Routine] Nephrology: lab result");
    assert!(!String::from_utf8_lossy(&mail.bytes).contains("X-Priority"));
    event.abstained = true;
    let mail = compose(&event);
    assert_eq!(mail.subject, "[Needs triage] Nephrology: lab result");
    assert!(mail.text.contains("not sure enough"));
    event.urgency = "emergent".into();
    let mail = compose(&event);
    assert_eq!(mail.subject, "[Emergent] Nephrology: lab result");
    assert!(mail.text.contains("the model was not sure"));
    event.sentences.clear();
    assert!(compose(&event).html.contains("no text to summarise"));
    event.sentences = (0..30).map(|n| format!("sentence {n}")).collect();
    assert!(compose(&event).text.contains("and 18 more in the event"));
}

#[test]
fn a_step_says_that_nobody_acknowledged_and_how_to() {
    let triage = triage();
    let table = RoutingTable::parse(RoutingTable::DEFAULT).unwrap();
    let Decision::Notify(routes) = table.decide(&triage) else { panic!("dropped") };
    let link = "https://ack.hospital.example/a/x?<&";
    let step = |step| {
        let (id, call) = (contracts::EventId::at("hl7.raw", 2, 17), Call { step, link: Some(link) });
        let event = Event { id, triage: &triage, routes: &routes, date: SystemTime::UNIX_EPOCH, call };
        composer().compose_call(event.notification_id(TEMPLATE), &event).unwrap()
    };
    let (first, second) = (step(0), step(1));
    assert_eq!((first.id, first.subject.as_str()), (id(), "[Emergent] Nephrology: lab result"));
    assert_ne!(first.message_id, second.message_id);
    assert_eq!(second.subject, "[Emergent, not acknowledged] Nephrology: lab result");
    assert!(second.text.contains("Nobody who was told before has acknowledged this."));
    for mail in [&first, &second] {
        assert!(mail.text.contains(&format!("\n{link}\n")));
        assert!(mail.html.contains("https://ack.hospital.example/a/x?&lt;&amp;\""));
    }
    assert!(String::from_utf8_lossy(&second.bytes).contains("X-Wardstream-Step: 1"));
    assert!(!String::from_utf8_lossy(&first.bytes).contains("X-Wardstream-Step"));
    assert!(!compose(&triage).text.contains("Acknowledge"));
}

#[test]
fn nothing_breaks_out_of_html_or_headers() {
    let evil = "\"><script>alert(1)</script>\r\nBcc: x@y.example\r\n\r\n\u{202e}'&";
    let event = Triage {
        event_id: evil.into(),
        pseudonym: evil.into(),
        facility: evil.into(),
        message_type: evil.into(),
        urgency: evil.into(),
        specialty: evil.into(),
        document_type: evil.into(),
        reasons: vec![evil.into()],
        sentences: vec![evil.into()],
        model_id: evil.into(),
        ..triage()
    };
    let mail = compose(&event);
    assert!(!mail.html.contains("<script") && !mail.html.contains('\u{202e}') && !mail.html.contains("'&"));
    let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
    assert!(parsed.bcc().is_none());
    assert!(!mail.subject.contains(['\r', '\n']));
    assert!(!mail.text.contains('\r'));
}

#[test]
fn refuses_what_cannot_work() {
    let good = ComposerConfig {
        from: "a@b.example".into(),
        from_name: String::new(),
        console_url: "http://127.0.0.1:8080".into(),
        message_id_domain: Some("mail.b.example".into()),
    };
    let code = |config: ComposerConfig| Composer::new(&config).unwrap_err().code().as_str();
    Composer::new(&good).unwrap();
    assert_eq!(code(ComposerConfig { from: "nobody".into(), ..good.clone() }), "NOTIFY-802");
    for url in ["", "console", "javascript:alert(1)", "mailto:a@b.example", "file:///etc"] {
        assert_eq!(code(ComposerConfig { console_url: url.into(), ..good.clone() }), "NOTIFY-808");
    }
    assert_eq!(code(ComposerConfig { message_id_domain: Some("a>b".into()), ..good.clone() }), "NOTIFY-810");
    let nobody = Routes { routes: vec![], triage: false };
    let composer = Composer::new(&good).unwrap();
    assert!(composer.compose(id(), &triage(), &nobody, SystemTime::UNIX_EPOCH).is_err());
    assert_eq!(composer.console.event("a/b?c"), "http://127.0.0.1:8080/events/a%2Fb%3Fc");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_content_makes_a_well_formed_mail(
        texts in prop::collection::vec(any::<String>(), 9..=9), p: f64, at: i64, abstained: bool,
    ) {
        let event = Triage {
            event_id: texts[0].clone(), pseudonym: texts[1].clone(), facility: texts[2].clone(),
            message_type: texts[3].clone(), urgency: texts[4].clone(), urgency_p: p, specialty: texts[5].clone(),
            document_type: texts[6].clone(), abstained, reasons: vec![texts[7].clone()],
            sentences: vec![texts[8].clone(), "one".into()], received_at_ms: at,
            model_id: texts[0].clone(), model_version: texts[1].clone(),
        };
        let mail = compose(&event);
        prop_assert!(mail.bytes.is_ascii());
        let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
        prop_assert!(parsed.text_part(0).is_some() && parsed.html_part(0).is_some());
        prop_assert_eq!(parsed.to().map(|to| to.iter().count()), Some(mail.to.len()));
        prop_assert_eq!(parsed.message_id(), Some(mail.message_id.trim_matches(['<', '>'])));
        // Tags are only the template's own: every "<" of the content is escaped.
        prop_assert_eq!(mail.html.matches("<html").count(), 1);
        prop_assert_eq!(mail.html.matches("<script").count(), 0);
    }
}
