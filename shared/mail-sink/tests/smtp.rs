//! The sink as a submission client sees it: lettre for what a correct client does, a raw socket for the rest.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use lettre::message::MultiPart;
use lettre::transport::smtp::authentication::Credentials as Login;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wardstream_mail_sink::{Behaviour, Config, Credentials, Error, MailSink, Security, Step};

fn credentials() -> Option<Credentials> {
    Some(Credentials { user: "wardstream".into(), password: "correct horse".into() })
}

fn client(sink: &MailSink, security: Security, password: Option<&str>) -> SmtpTransport {
    let trusted = || {
        TlsParameters::builder("localhost".into())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(sink.certificate_pem().as_bytes()).unwrap())
            .build()
            .unwrap()
    };
    let mut builder = SmtpTransport::builder_dangerous("127.0.0.1")
        .port(sink.addr().port())
        .hello_name(ClientId::Domain("client.test".into()))
        .timeout(Some(Duration::from_secs(20)))
        .tls(match security {
            Security::Plaintext => Tls::None,
            Security::StartTls => Tls::Required(trusted()),
            Security::Tls => Tls::Wrapper(trusted()),
        });
    if let Some(password) = password {
        builder = builder.credentials(Login::new("wardstream".into(), password.into()));
    }
    builder.build()
}

fn mail(id: &str) -> Message {
    Message::builder()
        .from("Wardstream <triage@hospital.test>".parse().unwrap())
        .to("Team <cardiology@hospital.test>".parse().unwrap())
        .subject("Häufig · urgent")
        .message_id(Some(format!("<{id}@hospital.test>")))
        .multipart(MultiPart::alternative_plain_html(
            "plain\n.dot line\n..two dots".to_owned(),
            "<p>html &amp; é</p>".to_owned(),
        ))
        .unwrap()
}

/// Sends off the runtime's threads: lettre's blocking client would hold one up.
async fn send(client: &SmtpTransport, id: &str) -> Result<(), lettre::transport::smtp::Error> {
    let (client, mail) = (client.clone(), mail(id));
    tokio::task::spawn_blocking(move || client.send(&mail).map(drop)).await.unwrap()
}

fn code(result: Result<(), lettre::transport::smtp::Error>) -> Option<u16> {
    result.unwrap_err().status().map(Into::into)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_mail_in_every_security_mode() {
    for security in [Security::Plaintext, Security::StartTls, Security::Tls] {
        let sink = MailSink::start(Config { security, credentials: credentials(), ..Config::default() })
            .await
            .unwrap();
        let client = client(&sink, security, Some("correct horse"));
        send(&client, "one").await.unwrap();
        send(&client, "two").await.unwrap();
        send(&client, "one").await.unwrap();
        sink.wait_for(3).await;
        assert_eq!((sink.count(), sink.unique_message_ids(), sink.duplicates()), (3, 2, 1));
        assert!(sink.has("two@hospital.test"));
        let messages = sink.messages();
        let first = &messages[0];
        assert_eq!(first.from, "triage@hospital.test");
        assert_eq!(first.to, ["cardiology@hospital.test"]);
        assert_eq!(first.subject, "Häufig · urgent");
        assert_eq!(first.message_id.as_deref(), Some("one@hospital.test"));
        assert_eq!(first.text.as_deref().map(str::trim_end), Some("plain\r\n.dot line\r\n..two dots"));
        assert_eq!(first.html.as_deref().map(str::trim_end), Some("<p>html &amp; é</p>"));
        assert_eq!(first.encrypted, security != Security::Plaintext);
        assert_eq!(first.user.as_deref(), Some("wardstream"));
        sink.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_wrong_and_missing_credentials() {
    let sink = MailSink::start(Config { credentials: credentials(), ..Config::default() }).await.unwrap();
    assert_eq!(code(send(&client(&sink, Security::StartTls, Some("wrong")), "a").await), Some(535));
    assert_eq!(code(send(&client(&sink, Security::StartTls, None), "a").await), Some(530));
    assert_eq!(code(send(&client(&sink, Security::Plaintext, None), "a").await), Some(530));
    assert_eq!(sink.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fails_where_it_is_told_to() {
    let sink = MailSink::start(Config { security: Security::Plaintext, ..Config::default() }).await.unwrap();
    for step in [Step::Connect, Step::Mail, Step::Rcpt, Step::Data, Step::Content] {
        for status in [450, 550] {
            sink.set_behaviour(Behaviour::Reply { step, code: status });
            let client = client(&sink, Security::Plaintext, None);
            assert_eq!(code(send(&client, "a").await), Some(status), "{step:?}");
        }
    }
    sink.set_behaviour(Behaviour::RejectRecipient { address: "CARDIOLOGY@hospital.test".into(), code: 550 });
    assert_eq!(code(send(&client(&sink, Security::Plaintext, None), "a").await), Some(550));
    assert_eq!(sink.count(), 0);
    sink.set_behaviour(Behaviour::VanishAfterAccept);
    assert!(send(&client(&sink, Security::Plaintext, None), "a").await.is_err());
    assert_eq!(sink.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_down_and_comes_up_on_the_same_port() {
    let sink = MailSink::start(Config::default()).await.unwrap();
    let client = client(&sink, Security::StartTls, None);
    send(&client, "a").await.unwrap();
    sink.pause().await;
    sink.pause().await;
    let down = send(&client, "b").await.unwrap_err();
    assert!(down.status().is_none());
    assert!(TcpStream::connect(sink.addr()).await.is_err());
    sink.resume().await.unwrap();
    sink.resume().await.unwrap();
    send(&client, "b").await.unwrap();
    assert_eq!(sink.count(), 2);
    let taken = MailSink::start(Config { addr: sink.addr(), ..Config::default() }).await;
    assert!(matches!(taken, Err(Error::Listen { .. })));
    sink.stop().await;
    sink.resume().await.unwrap();
    assert!(TcpStream::connect(sink.addr()).await.is_err());
    assert_eq!(sink.count(), 2);
}

/// Writes `script` as one burst and returns all the server says until it closes.
async fn talk(sink: &MailSink, script: &[u8]) -> String {
    let mut stream = TcpStream::connect(sink.addr()).await.unwrap();
    stream.write_all(script).await.unwrap();
    let mut said = Vec::new();
    // The server may close with bytes of ours unread, which ends in a reset after its last words.
    let _ = stream.read_to_end(&mut said).await;
    String::from_utf8(said).unwrap()
}

fn codes(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.as_bytes().get(3) == Some(&b' ')).map(|line| &line[..3]).collect()
}

#[tokio::test]
async fn keeps_the_order_of_commands() {
    let config = Config { security: Security::Plaintext, max_message_bytes: 100, ..Config::default() };
    let sink = MailSink::start(config).await.unwrap();
    let said = talk(
        &sink,
        b"MAIL FROM:<a@x>\r\nEHLO c\r\nRCPT TO:<b@x>\r\nDATA\r\nMAIL FROM:<a@x> SIZE=101\r\nMAIL FROM:<a@x> SIZE=100\r\n\
          MAIL FROM:<c@x>\r\nRCPT TO:<>\r\nRCPT TO:<b@x>\r\nRSET\r\nDATA\r\nSTARTTLS\r\nAUTH PLAIN AA==\r\nFOO\r\n\
          NOOP\r\nVRFY x\r\nQUIT\r\n",
    )
    .await;
    assert_eq!(
        codes(&said),
        [
            "220", "503", "250", "503", "503", "552", "250", "503", "501", "250", "250", "503", "502", "502",
            "502", "250", "252", "221"
        ]
    );
}

#[tokio::test]
async fn ends_data_only_at_crlf_dot_crlf_and_bounds_it() {
    let config = Config { security: Security::Plaintext, max_message_bytes: 100, ..Config::default() };
    let sink = MailSink::start(config).await.unwrap();
    let head = b"EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n";
    let smuggled = b"Subject: s\r\n\r\nx\n.\nMAIL FROM:<evil@x>\r\n..dot\r\n\n.\r\n.\r\n";
    let said = talk(&sink, &[&head[..], smuggled, b"QUIT\r\n"].concat()).await;
    assert_eq!(codes(&said), ["220", "250", "250", "250", "354", "250", "221"]);
    assert_eq!(sink.count(), 1);
    assert_eq!(sink.messages()[0].raw, b"Subject: s\r\n\r\nx\n.\nMAIL FROM:<evil@x>\r\n.dot\r\n\n.\r\n");
    let large = [&head[..], &[b'x'; 200_000], b"\r\n.\r\nNOOP\r\nQUIT\r\n"].concat();
    assert_eq!(codes(&talk(&sink, &large).await), ["220", "250", "250", "250", "354", "552", "250", "221"]);
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn survives_noise() {
    let config = Config { security: Security::Plaintext, credentials: credentials(), ..Config::default() };
    let sink = MailSink::start(config).await.unwrap();
    let said = talk(
        &sink,
        b"EHLO c\r\nAUTH PLAIN !!!\r\nAUTH LOGIN\r\n*\r\nAUTH CRAM-MD5\r\nAUTH PLAIN\r\nAGEAYg==\r\nQUIT\r\n",
    )
    .await;
    assert_eq!(codes(&said), ["220", "250", "501", "334", "501", "504", "334", "535", "221"]);
    let said = talk(&sink, &[b'x'; 12_290]).await;
    assert_eq!(codes(&said), ["220", "500"]);
    let said = talk(&sink, &b"\xff\xfe\r\n".repeat(30)).await;
    assert_eq!(codes(&said).last(), Some(&"421"));
}

#[tokio::test]
async fn plaintext_behind_starttls_is_not_taken_for_protected() {
    let sink = MailSink::start(Config::default()).await.unwrap();
    let said = talk(&sink, b"EHLO c\r\nSTARTTLS\r\nMAIL FROM:<a@x>\r\n").await;
    assert_eq!(codes(&said), ["220", "250", "220"]);
}
