//! SMS through a gateway.

use std::time::{Duration, SystemTime};

use crate::receiver::{Reply, Server};
use contracts::EventId;
use settings::Secret;
use wardstream_notify::{
    Address, Alphabet, Call, Channel, Console, Delivery, Digest, Event, Format, Message, Recipient, Route,
    Routes, Sms, SmsConfig, SmsTemplate, Triage,
};

const LINK: &str = "https://ward.example/events/0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11";

fn config(url: &str) -> SmsConfig {
    SmsConfig {
        method: "POST".parse().unwrap(),
        url: url.into(),
        authorization: Secret::new("Bearer s3cret"),
        headers: vec![("X-Account".into(), "ward".into())],
        format: Format::Json,
        body: r#"{"to": "{to}", "text": "{text}", "ref": "{id}"}"#.into(),
        max_characters: 160,
        alphabet: Alphabet::Gsm7,
        summary: true,
        ca_file: None,
        timeout: Duration::from_secs(20),
        give_up_after: None,
    }
}

fn template(config: &SmsConfig) -> SmsTemplate {
    SmsTemplate::new(config, Console::parse("https://ward.example").unwrap()).unwrap()
}

fn triage() -> Triage {
    Triage {
        event_id: "0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11".into(),
        pseudonym: "psn_v1_7Q2K9XW4".into(),
        facility: "fac_v1_ABC".into(),
        urgency: "emergent".into(),
        specialty: "nephrology".into(),
        document_type: "lab-result".into(),
        sentences: vec![
            "Potassium 6.9 mmol/L, \"critical\" high.".into(),
            "Creatinine 310 µmol/L, up from 180 in March, with a fall of urine output.".into(),
        ],
        ..Triage::default()
    }
}

fn recipients() -> Vec<Recipient> {
    [("doctor", "sms:+4520123456"), ("nurse", "sms:+4520123457")]
        .map(|(name, address)| Recipient { name: name.into(), address: Address::parse(address).unwrap() })
        .to_vec()
}

fn with_event<T>(triage: &Triage, then: impl FnOnce(&Event<'_>) -> T) -> T {
    with_call(triage, Call::default(), then)
}

fn with_call<T>(triage: &Triage, call: Call<'_>, then: impl FnOnce(&Event<'_>) -> T) -> T {
    let routes = Routes {
        routes: vec![Route { pattern: "any".into(), recipients: recipients() }],
        triage: triage.abstained,
    };
    let id = EventId::at("hl7.raw", 0, 0);
    then(&Event { id, triage, routes: &routes, date: SystemTime::UNIX_EPOCH, call })
}

fn text(config: &SmsConfig, triage: &Triage) -> String {
    with_event(triage, |event| template(config).text(event))
}

fn messages(channel: &dyn Channel) -> Vec<Message> {
    with_event(&triage(), |event| channel.compose(event, &recipients()).unwrap())
}

#[test]
fn the_text_says_what_fits_and_always_the_urgency() {
    let sized =
        |max_characters| text(&SmsConfig { max_characters, ..config("https://sms.example/") }, &triage());
    let whole = "Emergent: Nephrology, lab result. Potassium 6.9 mmol/L, \"critical\" high. Creatinine 310 umol/L, up \
                 from 180 in March, with a fall of urine output.";
    assert_eq!(sized(300), format!("{whole} {LINK}"));
    assert_eq!(
        sized(160),
        format!(
            "Emergent: Nephrology, lab result. Potassium 6.9 mmol/L, \"critical\" high. Creatinine... {LINK}"
        )
    );
    assert_eq!(sized(102), format!("Emergent: Nephrology, lab result {LINK}"));
    assert_eq!(sized(60), "Emergent: Nephrology, lab result. Potassium 6.9 mmol/L,...");
    for size in 40..320 {
        assert!(sized(size).chars().count() <= size);
        assert!(sized(size).starts_with("Emergent: Nephrology, lab result"));
    }
}

#[test]
fn the_link_that_acknowledges_comes_before_the_one_to_the_event() {
    let link = "https://ack.ward.example/a/MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5";
    let sized = |max_characters, step| {
        let config = SmsConfig { max_characters, ..config("https://sms.example/") };
        with_call(&triage(), Call { step, link: Some(link) }, |event| template(&config).text(event))
    };
    let head = "Emergent: Nephrology, lab result";
    assert_eq!(sized(160, 0), format!("{head}. Potassium 6.9 mmol/L,... Acknowledge: {link}"));
    assert_eq!(sized(148, 1), format!("Not acknowledged. {head} Acknowledge: {link}"));
    assert!(sized(300, 2).ends_with(&format!("Acknowledge: {link} Open: {LINK}")));
    for size in 40..320 {
        assert!(sized(size, 1).chars().count() <= size);
    }
}

#[test]
fn a_digest_counts_events_by_specialty() {
    let events: Vec<Triage> = ["nephrology", "cardiology", "nephrology"]
        .into_iter()
        .zip(0..)
        .map(|(specialty, offset)| Triage {
            event_id: EventId::at("hl7.raw", 0, offset).to_string(),
            specialty: specialty.into(),
            ..triage()
        })
        .collect();
    let server = Server::start();
    let gateway = Sms::new(template(&config(&server.url("/send"))), server.handle());
    let to = recipients().remove(0);
    let digest = |events| Digest { to: &to, events, date: SystemTime::UNIX_EPOCH };
    let message = gateway.digest(&digest(&events)).unwrap();
    assert_eq!(
        String::from_utf8(message.bytes).unwrap(),
        "3 notifications: cardiology 1, nephrology 2 https://ward.example/"
    );
    let one = gateway.digest(&digest(&events[..1])).unwrap();
    assert!(one.bytes.starts_with(b"1 notification:") && one.id != message.id);
}

#[test]
fn the_text_names_nobody_and_keeps_the_summary_where_it_is_told_to() {
    let silent = SmsConfig { summary: false, ..config("https://sms.example/") };
    assert_eq!(text(&silent, &triage()), format!("Emergent: Nephrology, lab result {LINK}"));
    let unsure = Triage { abstained: true, urgency: "routine".into(), ..triage() };
    assert!(text(&silent, &unsure).starts_with("Needs triage: "));
    for config in [silent, config("https://sms.example/")] {
        let text = text(&config, &triage());
        assert!(!text.contains("psn_") && !text.contains("fac_"), "{text}");
    }
}

#[test]
fn each_number_gets_its_own_request() {
    let server = Server::start();
    let channel = Sms::new(template(&config(&server.url("/messages"))), server.handle());
    let messages = messages(&channel);
    for (message, recipient) in messages.iter().zip(recipients()) {
        assert!(channel.reaches(&recipient.address));
        assert_eq!(channel.send(message).unwrap(), Delivery::to_all(&[recipient]));
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for (request, (message, number)) in
        requests.iter().zip(messages.iter().zip(["+4520123456", "+4520123457"]))
    {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/messages"));
        assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
        assert_eq!(request.header("x-account"), Some("ward"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("idempotency-key"), Some(message.id.to_string().as_str()));
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["to"], number);
        assert_eq!(body["text"].as_str().unwrap().as_bytes(), message.bytes);
        assert_eq!(body["ref"], message.id.to_string());
    }
    assert_ne!(messages[0].id, messages[1].id);
}

#[test]
fn forms_and_addresses_are_filled_in_as_well() {
    let server = Server::start();
    let form = SmsConfig {
        format: Format::Form,
        body: "To={to}&Body={text}".into(),
        ..config(&server.url("/Messages"))
    };
    let channel = Sms::new(template(&form), server.handle());
    channel.send(&messages(&channel)[0]).unwrap();
    let query = SmsConfig {
        method: "GET".parse().unwrap(),
        body: String::new(),
        ..config(&server.url("/send?to={to}&text={text}"))
    };
    let channel = Sms::new(template(&query), server.handle());
    let message = &messages(&channel)[0];
    channel.send(message).unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    let query =
        requests[1].path.strip_prefix("/send?").unwrap().replace("to=", "To=").replace("text=", "Body=");
    for written in [requests[0].body.as_slice(), query.as_bytes()] {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(written).into_owned().collect();
        let text = String::from_utf8(message.bytes.clone()).unwrap();
        assert_eq!(pairs, [("To".into(), "+4520123456".into()), ("Body".into(), text)]);
    }
    assert_eq!(requests[1].method, "GET");
}

#[test]
fn a_number_that_is_refused_is_so_for_good_and_a_gateway_that_fails_is_not() {
    let server = Server::start();
    let channel = Sms::new(template(&config(&server.url("/"))), server.handle());
    let message = &messages(&channel)[0];
    for (status, code, transient) in
        [(400, "NOTIFY-832", false), (401, "NOTIFY-831", true), (502, "NOTIFY-830", true)]
    {
        server.answer(Reply::status(status));
        let error = channel.send(message).unwrap_err();
        assert_eq!((error.code().as_str(), error.is_transient()), (code, transient));
    }
    server.answer(Reply::status(201));
    channel.send(message).unwrap();
    let keys: Vec<String> =
        server.requests().iter().map(|r| r.header("idempotency-key").unwrap().to_owned()).collect();
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let good = config("https://sms.example/");
    let refused = |config: SmsConfig| {
        let console = Console::parse("https://ward.example").unwrap();
        let error = SmsTemplate::new(&config, console).map(drop).unwrap_err();
        assert_eq!(error.code().as_str(), "NOTIFY-812");
        error.to_string()
    };
    template(&good);
    let body = |body: &str| SmsConfig { body: body.into(), ..good.clone() };
    assert!(refused(config("http://sms.example/")).starts_with("url must be https"));
    assert!(refused(body(r#"{"to": "{to}"}"#)).starts_with("body has no {text}"));
    assert!(refused(body("")).starts_with("body has no {to}"));
    assert!(refused(body(r#"{"to": "{to}", "text": "{txt}"}"#)).starts_with("body has {txt}"));
    assert!(refused(body(r#"{"to": "{to}", "text": {text}}"#)).contains("no JSON"));
    assert!(refused(SmsConfig { max_characters: 39, ..good.clone() }).starts_with("max_characters"));
    let header = vec![("X Account".to_owned(), "1".to_owned())];
    assert!(refused(SmsConfig { headers: header, ..good.clone() }).starts_with("headers"));
    let secret = SmsConfig { authorization: Secret::new("Bearer s3cret\n"), ..good };
    let error = refused(secret);
    assert!(error.starts_with("authorization") && !error.contains("s3cret"), "{error}");
}
