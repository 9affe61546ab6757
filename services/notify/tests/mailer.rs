//! The mailer against a real SMTP server that can be told to fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mail_sink::{Behaviour, Config, Credentials, MailSink};
use tokio::runtime::Runtime;
use wardstream_notify::{
    Composer, ComposerConfig, Decision, Delivery, Error, Mail, Mailer, MailerConfig, NotificationId,
    RoutingTable, Security, Step, TEMPLATE, Triage,
};

struct Bench {
    runtime: Runtime,
    sink: MailSink,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(config: Config) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let sink = runtime.block_on(MailSink::start(config)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), sink.certificate_pem()).unwrap();
        Self { runtime, sink, folder }
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn config(&self) -> MailerConfig {
        MailerConfig {
            host: "localhost".into(),
            port: self.sink.addr().port(),
            root_ca: Some(self.ca()),
            hello_name: Some("notify.test".into()),
            timeout: Duration::from_secs(20),
            ..MailerConfig::default()
        }
    }

    fn mailer(&self) -> Mailer {
        Mailer::new(self.config()).unwrap()
    }
}

fn mail(offset: i64) -> Mail {
    let triage = Triage {
        event_id: "0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11".into(),
        urgency: "emergent".into(),
        urgency_p: 0.9,
        specialty: "cardiology".into(),
        sentences: vec!["Chest pain, ST elevation.".into(), ". A line that starts with a dot.".into()],
        ..Triage::default()
    };
    let Decision::Notify(routes) = RoutingTable::parse(RoutingTable::DEFAULT).unwrap().decide(&triage) else {
        panic!("dropped")
    };
    let config = ComposerConfig {
        from: "wardstream@hospital.example".into(),
        from_name: "Wardstream".into(),
        console_url: "https://console.hospital.example".into(),
        message_id_domain: None,
    };
    let id = NotificationId::at("hl7.raw", 0, offset, TEMPLATE);
    Composer::new(&config).unwrap().compose(id, &triage, &routes, SystemTime::UNIX_EPOCH).unwrap()
}

fn names(delivery: &Delivery) -> Vec<&str> {
    delivery.accepted.iter().map(|recipient| recipient.name.as_str()).collect()
}

fn with_user(mut config: MailerConfig, password: &str) -> MailerConfig {
    config.credentials = Some(("ward".into(), password.into()));
    config
}

#[test]
fn submits_over_each_protection_with_credentials() {
    for (security, served) in [
        (Security::StartTls, mail_sink::Security::StartTls),
        (Security::Tls, mail_sink::Security::Tls),
        (Security::Plaintext, mail_sink::Security::Plaintext),
    ] {
        let credentials = Some(Credentials { user: "ward".into(), password: "s3cret".into() });
        let bench = Bench::new(Config { security: served, credentials, ..Config::default() });
        let mailer = Mailer::new(MailerConfig { security, ..with_user(bench.config(), "s3cret") }).unwrap();
        mailer.check().unwrap();
        for offset in 0..3 {
            assert_eq!(names(&mailer.send(&mail(offset)).unwrap()), ["cardiology", "rapid-response"]);
        }
        bench.wait(bench.sink.wait_for(3));
        let received = &bench.sink.messages()[0];
        assert_eq!(received.to, ["cardiology@hospital.example", "rapid-response@hospital.example"]);
        assert_eq!(Some(format!("<{}>", received.message_id.clone().unwrap())), Some(mail(0).message_id));
        assert_eq!(
            received.text.as_deref().map(|t| t.replace("\r\n", "\n").trim_end().to_owned()),
            Some(mail(0).text.trim_end().to_owned())
        );
        assert_eq!(received.encrypted, security != Security::Plaintext);
        assert_eq!((bench.sink.unique_message_ids(), bench.sink.duplicates()), (3, 0));
    }
}

#[test]
fn refused_credentials_are_not_the_events_fault() {
    let credentials = Some(Credentials { user: "ward".into(), password: "s3cret".into() });
    let bench = Bench::new(Config { credentials, ..Config::default() });
    let wrong = Mailer::new(with_user(bench.config(), "guess")).unwrap().send(&mail(0)).unwrap_err();
    assert!(matches!(wrong, Error::Unauthorized { code: 535, .. }) && wrong.is_transient());
    let none = bench.mailer().send(&mail(0)).unwrap_err();
    assert!(matches!(none, Error::Unauthorized { code: 530, .. }) && none.is_transient());
    assert_eq!(bench.sink.count(), 0);
}

#[test]
fn a_server_that_is_down_is_unavailable_and_nothing_is_lost_or_doubled() {
    let bench = Bench::new(Config::default());
    let mailer = bench.mailer();
    mailer.send(&mail(0)).unwrap();
    bench.wait(bench.sink.pause());
    // The first attempt meets the dead idle connection, the second has none.
    for _ in 0..2 {
        let error = mailer.send(&mail(1)).unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(matches!(&error, Error::Unavailable { step: Step::Connect, .. }), "{error}");
        assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
    }
    assert!(mailer.check().is_err());
    bench.wait(bench.sink.resume()).unwrap();
    mailer.send(&mail(1)).unwrap();
    assert_eq!((bench.sink.count(), bench.sink.duplicates()), (2, 0));
}

#[test]
fn an_idle_connection_that_died_is_replaced() {
    let bench = Bench::new(Config::default());
    let mailer = bench.mailer();
    mailer.send(&mail(0)).unwrap();
    bench.wait(bench.sink.pause());
    bench.wait(bench.sink.resume()).unwrap();
    mailer.send(&mail(1)).unwrap();
    assert_eq!((bench.sink.count(), bench.sink.duplicates()), (2, 0));
}

#[test]
fn each_refusal_means_what_its_step_says() {
    use mail_sink::Step as At;
    let bench = Bench::new(Config::default());
    let refusal = |step, code| {
        bench.sink.set_behaviour(Behaviour::Reply { step, code });
        // A fresh client: a greeting is only met on a new connection.
        let error = bench.mailer().send(&mail(0)).unwrap_err();
        (error.code().as_str(), error.is_transient())
    };
    for code in [421, 450] {
        for step in [At::Connect, At::Mail, At::Rcpt, At::Data, At::Content] {
            assert_eq!(refusal(step, code), ("NOTIFY-820", true), "{step:?} {code}");
        }
    }
    assert_eq!(refusal(At::Connect, 554), ("NOTIFY-820", true));
    assert_eq!(refusal(At::Mail, 550), ("NOTIFY-822", true));
    assert_eq!(refusal(At::Mail, 552), ("NOTIFY-824", false));
    assert_eq!(refusal(At::Rcpt, 550), ("NOTIFY-823", false));
    assert_eq!(refusal(At::Data, 554), ("NOTIFY-824", false));
    assert_eq!(refusal(At::Content, 554), ("NOTIFY-824", false));
    assert_eq!(bench.sink.count(), 0);
}

#[test]
fn one_refused_recipient_does_not_hold_up_the_others() {
    let bench = Bench::new(Config::default());
    let mailer = bench.mailer();
    let address = "cardiology@hospital.example".to_owned();
    bench.sink.set_behaviour(Behaviour::RejectRecipient { address: address.clone(), code: 550 });
    let delivery = mailer.send(&mail(0)).unwrap();
    assert_eq!(names(&delivery), ["rapid-response"]);
    assert_eq!(
        (delivery.rejected[0].recipient.name.as_str(), delivery.rejected[0].code),
        ("cardiology", 550)
    );
    bench.sink.set_behaviour(Behaviour::RejectRecipient { address, code: 451 });
    let delivery = mailer.send(&mail(1)).unwrap();
    assert_eq!(names(&delivery), ["rapid-response"]);
    let rest = mail(1).only(&delivery.deferred);
    assert!(matches!(mailer.send(&rest), Err(Error::Unavailable { step: Step::Rcpt, .. })));
    bench.sink.set_behaviour(Behaviour::Accept);
    assert_eq!(names(&mailer.send(&rest).unwrap()), ["cardiology"]);
    // A mail after a refused one goes to its own recipients only.
    bench.sink.set_behaviour(Behaviour::Reply { step: mail_sink::Step::Data, code: 451 });
    assert!(mailer.send(&mail(2)).is_err());
    bench.sink.set_behaviour(Behaviour::Accept);
    mailer.send(&rest).unwrap();
    assert_eq!(bench.sink.messages().last().unwrap().to, ["cardiology@hospital.example"]);
}

#[test]
fn the_one_possible_duplicate_carries_the_same_message_id() {
    let bench = Bench::new(Config::default());
    let mailer = bench.mailer();
    bench.sink.set_behaviour(Behaviour::VanishAfterAccept);
    assert!(matches!(mailer.send(&mail(0)), Err(Error::Unavailable { step: Step::Data, .. })));
    bench.sink.set_behaviour(Behaviour::Accept);
    mailer.send(&mail(0)).unwrap();
    assert_eq!((bench.sink.count(), bench.sink.unique_message_ids(), bench.sink.duplicates()), (2, 1, 1));
}

#[test]
fn an_untrusted_server_gets_nothing() {
    let bench = Bench::new(Config::default());
    let stranger = Bench::new(Config::default());
    let config = MailerConfig { root_ca: Some(stranger.ca()), ..bench.config() };
    let error = Mailer::new(config).unwrap().send(&mail(0)).unwrap_err();
    assert!(matches!(&error, Error::Unavailable { step: Step::Connect, .. }), "{error}");
    let plain = Bench::new(Config { security: mail_sink::Security::Plaintext, ..Config::default() });
    let error = plain.mailer().send(&mail(0)).unwrap_err();
    assert!(error.to_string().contains("STARTTLS is not supported"), "{error}");
    assert_eq!((bench.sink.count(), plain.sink.count()), (0, 0));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = MailerConfig {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
        security: Security::Plaintext,
        timeout: Duration::from_millis(50),
        ..MailerConfig::default()
    };
    let error = Mailer::new(config).unwrap().send(&mail(0)).unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable { step: Step::Connect, reason, .. } if reason.starts_with("no answer within")),
        "{error}"
    );
}

#[test]
fn settings_that_cannot_work_are_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing here").unwrap();
    let base = MailerConfig { host: "smtp.hospital.example".into(), ..MailerConfig::default() };
    let refused = |config: MailerConfig| Mailer::new(config).map(drop).unwrap_err().to_string();
    Mailer::new(base.clone()).unwrap();
    assert!(refused(MailerConfig::default()).contains("host and port"));
    assert!(refused(MailerConfig { timeout: Duration::ZERO, ..base.clone() }).contains("timeout"));
    assert!(
        refused(MailerConfig { root_ca: Some(empty), ..base.clone() }).contains("holds no PEM certificate")
    );
    assert!(
        refused(MailerConfig { root_ca: Some(folder.path().join("no")), ..base.clone() })
            .contains("cannot read")
    );
    let clear = with_user(MailerConfig { security: Security::Plaintext, ..base }, "hunter2");
    assert!(!format!("{clear:?}").contains("hunter2"));
    assert!(refused(clear).contains("in the clear"));
}
