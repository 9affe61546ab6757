//! Signed webhooks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::receiver::{Reply, Request, Server};
use contracts::EventId;
use settings::Secret;
use sha2::{Digest as _, Sha256};
use wardstream_notify::{
    Address, Call, Channel, Console, Delivery, Digest, Error, Event, Message, Recipient, Route, Routes,
    Triage, Webhook, WebhookConfig, WebhookTemplate,
};

const KEY: [u8; 32] = *b"a key of two hundred fifty-six b";

fn config(url: &str) -> WebhookConfig {
    WebhookConfig {
        name: "pager".into(),
        url: url.into(),
        secrets: vec![Secret::new("whsec_YSBrZXkgb2YgdHdvIGh1bmRyZWQgZmlmdHktc2l4IGI=")],
        pseudonym: false,
        ca_file: None,
        timeout: Duration::from_secs(20),
        give_up_after: None,
    }
}

fn webhook(server: &Server, config: &WebhookConfig) -> Webhook {
    let console = Console::parse("https://console.hospital.example").unwrap();
    Webhook::new(WebhookTemplate::new(config, console).unwrap(), server.handle())
}

fn recipient() -> Recipient {
    Recipient { name: "on-call".into(), address: Address::parse("webhook:pager").unwrap() }
}

fn triage() -> Triage {
    Triage {
        event_id: "0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11".into(),
        pseudonym: "psn_v1_7Q2K9XW4".into(),
        facility: "fac_v1_ABC".into(),
        message_type: "ORU^R01".into(),
        urgency: "emergent".into(),
        urgency_p: 0.97,
        specialty: "nephrology".into(),
        document_type: "lab-result".into(),
        reasons: vec!["critical value".into()],
        sentences: vec!["Potassium 6.9 mmol/L, critical high.".into(), " ".into()],
        received_at_ms: 1_795_384_800_000,
        model_id: "wardstream-triage".into(),
        model_version: "1.0.0".into(),
        ..Triage::default()
    }
}

fn message(channel: &dyn Channel, offset: i64) -> Message {
    call(channel, offset, Call::default())
}

fn call(channel: &dyn Channel, offset: i64, call: Call<'_>) -> Message {
    let to = recipient();
    let routes =
        Routes { routes: vec![Route { pattern: "any".into(), recipients: vec![to.clone()] }], triage: false };
    let triage = triage();
    let id = EventId::at("hl7.raw", 0, offset);
    let event = Event { id, triage: &triage, routes: &routes, date: SystemTime::UNIX_EPOCH, call };
    assert!(channel.reaches(&to.address));
    let mut messages = channel.compose(&event, &[to]).unwrap();
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

/// HMAC-SHA-256 by its definition (RFC 2104), apart from the code under test.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

fn verify(request: &Request) -> u64 {
    use base64::Engine as _;
    let header = |name: &str| request.header(name).unwrap();
    let (id, seconds, signature) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let signed = [id.as_bytes(), b".", seconds.as_bytes(), b".", &request.body].concat();
    let expected = base64::engine::general_purpose::STANDARD.encode(hmac(&KEY, &signed));
    assert_eq!(signature, format!("v1,{expected}"));
    seconds.parse().unwrap()
}

#[test]
fn what_arrives_is_signed_and_names_nobody() {
    let server = Server::start();
    let channel = webhook(&server, &config(&server.url("/hooks/wardstream")));
    let message = message(&channel, 0);
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(channel.send(&message).unwrap(), Delivery::to_all(&[recipient()]));
    let request = &server.requests()[0];
    assert!(verify(request) >= before);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hooks/wardstream"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("webhook-id"), Some(message.id.to_string().as_str()));
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let expected = serde_json::json!({
        "type": "triage.notification",
        "timestamp": "2026-11-22T22:00:00Z",
        "data": {
            "notification_id": message.id.to_string(),
            "recipient": "on-call",
            "event_id": "0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11",
            "urgency": "emergent",
            "urgency_probability": 0.97,
            "needs_triage": false,
            "specialty": "nephrology",
            "document_type": "lab-result",
            "summary": ["Potassium 6.9 mmol/L, critical high."],
            "summary_omitted": 0,
            "reasons": ["critical value"],
            "facility": "fac_v1_ABC",
            "message_type": "ORU^R01",
            "received_at": "2026-11-22T22:00:00Z",
            "model": { "id": "wardstream-triage", "version": "1.0.0" },
            "link": "https://console.hospital.example/events/0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11"
        }
    });
    assert_eq!(body, expected);
}

#[test]
fn each_step_of_an_escalation_is_another_message_and_says_how_to_acknowledge() {
    let server = Server::start();
    let channel = webhook(&server, &config(&server.url("/")));
    let link = "https://ack.hospital.example/a/x";
    let messages = [0, 1, 2].map(|step| call(&channel, 0, Call { step, link: Some(link) }));
    assert_eq!(messages[0].id, message(&channel, 0).id, "the first step is the notification itself");
    assert!(messages[0].id != messages[1].id && messages[1].id != messages[2].id);
    for (step, message) in messages.iter().enumerate() {
        let body: serde_json::Value = serde_json::from_slice(&message.bytes).unwrap();
        assert_eq!(body["data"]["acknowledge"], link);
        assert_eq!(
            body["data"].get("step").and_then(|step| step.as_u64()),
            (step > 0).then_some(step as u64)
        );
    }
}

#[test]
fn a_digest_is_one_signed_message_with_each_event() {
    let server = Server::start();
    let channel = webhook(&server, &config(&server.url("/")));
    let event = |offset| Triage { event_id: EventId::at("hl7.raw", 0, offset).to_string(), ..triage() };
    let (to, events) = (recipient(), [event(0), event(1)]);
    let digest = Digest { to: &to, events: &events, date: SystemTime::UNIX_EPOCH };
    let message = channel.digest(&digest).unwrap();
    assert_eq!(channel.send(&message).unwrap(), Delivery::to_all(&message.to));
    let requests = server.requests();
    verify(&requests[0]);
    let body: serde_json::Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]["recipient"]), (&"triage.digest".into(), &"on-call".into()));
    let listed = body["data"]["notifications"].as_array().unwrap();
    let ids: Vec<&str> = listed.iter().map(|one| one["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&*events[0].event_id, &*events[1].event_id]);
    assert_eq!(listed[0]["summary"], serde_json::json!(["Potassium 6.9 mmol/L, critical high."]));
    assert!(!String::from_utf8_lossy(&requests[0].body).contains("psn_"));
}

#[test]
fn the_pseudonym_goes_where_the_configuration_lets_it() {
    let server = Server::start();
    let channel = webhook(&server, &WebhookConfig { pseudonym: true, ..config(&server.url("/")) });
    let body: serde_json::Value = serde_json::from_slice(&message(&channel, 0).bytes).unwrap();
    assert_eq!(body["data"]["pseudonym"], "psn_v1_7Q2K9XW4");
}

#[test]
fn a_second_try_is_the_same_message_under_the_same_id() {
    let server = Server::start();
    let channel = webhook(&server, &config(&server.url("/")));
    server.answer(Reply::status(500));
    let error = channel.send(&message(&channel, 0)).unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("500"), "{error}");
    server.answer(Reply::status(204));
    channel.send(&message(&channel, 0)).unwrap();
    channel.send(&message(&channel, 1)).unwrap();
    let requests = server.requests();
    let id = |at: usize| requests[at].header("webhook-id").unwrap();
    assert_eq!((id(0), &requests[0].body), (id(1), &requests[1].body));
    assert_ne!(id(1), id(2));
    for request in &requests {
        verify(request);
    }
}

#[test]
fn each_refusal_means_what_its_status_says() {
    let server = Server::start();
    let channel = webhook(&server, &config(&server.url("/")));
    let refusal = |status| {
        server.answer(Reply::status(status));
        let error = channel.send(&message(&channel, 0)).unwrap_err();
        (error.code().as_str(), error.is_transient())
    };
    for status in [302, 408, 425, 429, 500, 503] {
        assert_eq!(refusal(status), ("NOTIFY-830", true), "{status}");
    }
    for status in [401, 403] {
        assert_eq!(refusal(status), ("NOTIFY-831", true), "{status}");
    }
    for status in [400, 404, 410, 422] {
        assert_eq!(refusal(status), ("NOTIFY-832", false), "{status}");
    }
}

#[test]
fn a_receiver_that_asks_for_a_rest_is_left_alone() {
    let server = Server::start();
    let channel = webhook(&server, &config(&server.url("/")));
    server.answer(Reply { status: 429, retry_after: Some("3600") });
    channel.send(&message(&channel, 0)).unwrap_err();
    server.answer(Reply::status(204));
    let error = channel.send(&message(&channel, 0)).unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("asked to wait"), "{error}");
    assert_eq!(server.requests().len(), 1);
    server.answer(Reply { status: 503, retry_after: Some("0") });
    let other = webhook(&server, &config(&server.url("/")));
    other.send(&message(&other, 0)).unwrap_err();
    server.answer(Reply::status(204));
    other.send(&message(&other, 0)).unwrap();
}

#[test]
fn a_redirect_is_not_followed() {
    let server = Server::start();
    let channel = webhook(&server, &config(&server.url("/redirect")));
    assert!(channel.send(&message(&channel, 0)).unwrap_err().is_transient());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_receiver_that_is_down_or_never_answers_is_unavailable() {
    let server = Server::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token-in-the-path", listener.local_addr().unwrap());
    let silent = webhook(&server, &WebhookConfig { timeout: Duration::from_millis(50), ..config(&url) });
    let error = silent.send(&message(&silent, 0)).unwrap_err();
    assert!(
        matches!(&error, Error::ChannelUnavailable { reason, .. } if reason == "no answer in time"),
        "{error}"
    );
    drop(listener);
    let down = webhook(&server, &config(&url));
    let error = down.send(&message(&down, 0)).unwrap_err();
    assert!(
        matches!(&error, Error::ChannelUnavailable { reason, .. } if reason == "no connection"),
        "{error}"
    );
    assert_eq!(error.to_string(), "webhook/pager is unavailable: no connection");
}

#[test]
fn only_a_receiver_with_a_certificate_that_is_trusted_gets_anything() {
    let server = Server::start_with_tls();
    let trusting = WebhookConfig { ca_file: Some(server.ca_file()), ..config(&server.url("/")) };
    let channel = webhook(&server, &trusting);
    channel.send(&message(&channel, 0)).unwrap();
    verify(&server.requests()[0]);
    let stranger = webhook(&server, &config(&server.url("/")));
    assert!(stranger.send(&message(&stranger, 0)).unwrap_err().is_transient());
    assert_eq!(server.requests().len(), 1);
}
