//! Files and variables: which wins, what is refused, and what a refusal shows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, Duration, Error, Secret, load_from};
use wardstream_settings as settings;

#[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(default)]
struct Kafka {
    /// Brokers to ask first.
    bootstrap_servers: String,
    /// Topics read.
    topics: Vec<String>,
    /// Ports | probed.
    ports: Vec<u16>,
    /// Whether the connection
    /// is encrypted.
    tls: bool,
    /// How long a batch waits.
    linger: Duration,
    /// Largest batch.
    batch: ByteSize,
    /// Share of records traced.
    ratio: f64,
    /// The account's password.
    password: Secret,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: "localhost:9092".into(),
            topics: vec!["hl7.raw".into()],
            ports: vec![],
            tls: false,
            linger: Duration::from_millis(5),
            batch: ByteSize::from_kib(64),
            ratio: 0.5,
            password: Secret::new("default-password"),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// One object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
struct Channel {
    /// Where to post.
    url: String,
    /// Signs each post.
    #[serde(default)]
    key: Secret,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(default)]
struct Config {
    kafka: Kafka,
    /// The shape of a log line.
    format: Format,
    /// Where health is served.
    listen: SocketAddr,
    /// Where spans go.
    endpoint: Option<url::Url>,
    /// Time zone of each facility.
    zones: BTreeMap<String, String>,
    /// Webhooks.
    channels: Vec<Channel>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kafka: Kafka { bootstrap_servers: "kafka:9092".into(), ..Kafka::default() },
            format: Format::Json,
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            endpoint: None,
            zones: BTreeMap::new(),
            channels: Vec::new(),
        }
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
}

fn from_env(pairs: &[(&str, &str)]) -> Result<Config, Error> {
    load_from(None, variables(pairs))
}

fn from_file(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("ward.toml");
    std::fs::write(&path, text).unwrap();
    load_from(Some(&path), []).map_err(|error| {
        let shown = format!("{}: {error}", error.code());
        shown.replace(&folder.path().display().to_string(), "DIR")
    })
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    let error = from_env(pairs).unwrap_err();
    format!("{}: {error}", error.code())
}

#[test]
fn without_sources_the_defaults_of_the_outer_struct_hold() {
    assert_eq!(from_env(&[]).unwrap(), Config::default());
}

#[test]
fn a_key_of_a_section_leaves_the_others_at_the_outer_default() {
    let config = from_env(&[("WARDSTREAM_KAFKA__TLS", "true")]).unwrap();
    assert_eq!(config.kafka.bootstrap_servers, "kafka:9092");
    assert!(config.kafka.tls);
    assert_eq!(config.kafka.password.expose(), "default-password");
}

#[test]
fn variables_win_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ward.toml");
    std::fs::write(&path, "[kafka]\nbootstrap_servers = \"a:1\"\nlinger = \"1s\"\n").unwrap();
    let config: Config =
        load_from(Some(&path), variables(&[("WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS", "b:2")])).unwrap();
    assert_eq!(config.kafka.bootstrap_servers, "b:2");
    assert_eq!(config.kafka.linger, Duration::from_secs(1));
}

#[test]
fn a_variable_is_read_as_the_type_of_its_key() {
    let config = from_env(&[
        // All digits, yet a text by its key.
        ("WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS", "9092"),
        ("WARDSTREAM_KAFKA__TOPICS", "hl7.raw, hl7.feed.icu"),
        ("WARDSTREAM_KAFKA__PORTS", "[1, 2]"),
        ("WARDSTREAM_KAFKA__RATIO", "1"),
        ("WARDSTREAM_KAFKA__LINGER", "2m"),
        ("WARDSTREAM_KAFKA__BATCH", "8MiB"),
        ("WARDSTREAM_KAFKA__PASSWORD", "12345"),
        ("WARDSTREAM_FORMAT", "text"),
        ("WARDSTREAM_LISTEN", "0.0.0.0:80"),
        ("WARDSTREAM_ENDPOINT", "http://otel:4318"),
        ("WARDSTREAM_ZONES__GENERAL", "Europe/Berlin"),
        ("WARDSTREAM_CHANNELS", r#"[{"url": "https://a.example", "key": "k"}]"#),
    ])
    .unwrap();
    assert_eq!(config.kafka.bootstrap_servers, "9092");
    assert_eq!(config.kafka.topics, ["hl7.raw", "hl7.feed.icu"]);
    assert_eq!(config.kafka.ports, [1, 2]);
    assert!((config.kafka.ratio - 1.0).abs() < f64::EPSILON);
    assert_eq!(config.kafka.linger, Duration::from_secs(120));
    assert_eq!(config.kafka.batch, ByteSize::from_mib(8));
    assert_eq!(config.kafka.password.expose(), "12345");
    assert_eq!(config.format, Format::Text);
    assert_eq!(config.listen.port(), 80);
    assert_eq!(config.endpoint.unwrap().as_str(), "http://otel:4318/");
    assert_eq!(config.zones["GENERAL"], "Europe/Berlin");
    assert_eq!(config.channels[0].key.expose(), "k");
}

#[test]
fn a_map_may_be_given_inline() {
    for text in [r#"{ "A" = "UTC", b = "Asia/Kolkata" }"#, r#"{"A": "UTC", "b": "Asia/Kolkata"}"#] {
        let config = from_env(&[("WARDSTREAM_ZONES", text)]).unwrap();
        assert_eq!(config.zones.len(), 2, "{text}");
    }
    assert!(from_env(&[("WARDSTREAM_ZONES", "{}\nformat = \"text\"")]).is_err());
}

#[test]
fn an_empty_variable_unsets_an_optional_key() {
    assert_eq!(from_env(&[("WARDSTREAM_ENDPOINT", "")]).unwrap().endpoint, None);
}

#[test]
fn other_services_variables_are_left_alone() {
    let config = from_env(&[
        ("WARDSTREAM_SMTP__HOST", "mail"),
        ("WARDSTREAM_CORPUS", "/data"),
        ("WARDSTREAM_KAFKA_SERVICE_HOST", "10.0.0.1"),
        ("WARDSTREAM_KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(config.unwrap(), Config::default());
}

#[test]
fn a_typo_in_a_variable_is_refused() {
    assert_eq!(
        refusal(&[("WARDSTREAM_KAFKA__BOOTSTRAP_SERVER", "a:1")]),
        "CONF-705: unknown key `WARDSTREAM_KAFKA__BOOTSTRAP_SERVER` in variable \
         WARDSTREAM_KAFKA__BOOTSTRAP_SERVER, did you mean `WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS`?"
    );
    assert!(
        refusal(&[("WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS", "a:1")])
            .ends_with("did you mean `WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS`?")
    );
}

#[test]
fn a_typo_in_the_file_is_refused_with_its_line() {
    assert_eq!(
        from_file("# mine\n[kafka]\ntls = true\nlingr = \"5ms\"\n").unwrap_err(),
        "CONF-703: unknown key `kafka.lingr` in DIR/ward.toml:4, did you mean `kafka.linger`?"
    );
    assert_eq!(
        from_file("linger = \"5ms\"\n").unwrap_err(),
        "CONF-703: unknown key `linger` in DIR/ward.toml:1, did you mean `kafka.linger`?"
    );
    assert_eq!(
        from_file("bootstrap_servers = \"a:1\"\n").unwrap_err(),
        "CONF-703: unknown key `bootstrap_servers` in DIR/ward.toml:1, did you mean `kafka.bootstrap_servers`?"
    );
    assert_eq!(
        from_file("[[channels]]\nurl = \"a\"\n[[channels]]\nurl = \"b\"\nkye = \"k\"\n").unwrap_err(),
        "CONF-703: unknown key `channels[1].kye` in DIR/ward.toml:5, did you mean `channels[1].key`?"
    );
}

#[test]
fn a_wrong_type_names_key_type_and_place() {
    for (text, message) in [
        ("[kafka]\ntls = 3\n", "CONF-704: `kafka.tls` from DIR/ward.toml:2 must be `true` or `false`"),
        ("format = \"xml\"\n", "CONF-704: `format` from DIR/ward.toml:1 must be one of `json`, `text`"),
        (
            "[kafka]\nports = [1, 70000]\n",
            "CONF-704: `kafka.ports[1]` from DIR/ward.toml:2 must be an integer from 0 to 65535",
        ),
        (
            "[kafka]\nlinger = \"5\"\n",
            "CONF-704: `kafka.linger` from DIR/ward.toml:2 must be a length of time such as `250ms`, `15s` or \
             `2h`: a number needs one of the units ms, s, m, h, d",
        ),
        (
            "listen = \"here\"\n",
            "CONF-704: `listen` from DIR/ward.toml:1 must be a text: invalid socket address syntax",
        ),
        ("kafka = 1\n", "CONF-704: `kafka` from DIR/ward.toml:1 must be a section"),
        (
            "[[channels]]\n",
            "CONF-711: `channels[0].url` is required: set it in the configuration file or as \
             WARDSTREAM_CHANNELS[0]__URL",
        ),
    ] {
        assert_eq!(from_file(text).unwrap_err(), message, "{text}");
    }
    assert_eq!(
        refusal(&[("WARDSTREAM_KAFKA__TLS", "yes")]),
        "CONF-704: `kafka.tls` from variable WARDSTREAM_KAFKA__TLS must be `true` or `false`"
    );
}

#[test]
fn no_refusal_shows_a_secret() {
    let canary = "c4n4ry";
    let mut shown = vec![
        from_file(&format!("[kafka]\npassword = \"{canary}\" \"\n")).unwrap_err(),
        from_file(&format!("[kafka]\npassword = [\"{canary}\"]\n")).unwrap_err(),
        from_file(&format!("[kafka]\npassword = {{ a = \"{canary}\" }}\n")).unwrap_err(),
        from_file(&format!("kafka = \"{canary}\"\n")).unwrap_err(),
        from_file(&format!("channels = \"{canary}\"\n")).unwrap_err(),
        from_file(&format!("format = \"{canary}\"\n")).unwrap_err(),
        from_file(&format!("endpoint = \"{canary}\"\n")).unwrap_err(),
        refusal(&[("WARDSTREAM_KAFKA__PORTS", canary)]),
        refusal(&[("WARDSTREAM_CHANNELS", &format!("[{{\"url\": 1, \"key\": \"{canary}\"}}]"))]),
        refusal(&[("WARDSTREAM_CHANNELS", &format!("[{{\"url\": 1, \"key\": \"{canary}\"]"))]),
    ];
    let config = from_env(&[("WARDSTREAM_KAFKA__PASSWORD", canary)]).unwrap();
    shown.push(settings::to_toml(&config).unwrap());
    shown.push(format!("{config:?}"));
    for text in shown {
        assert!(!text.contains(canary), "{text}");
    }
}

#[test]
fn a_printed_configuration_reads_back_but_for_its_secrets() {
    let printed = settings::to_toml(&Config::default()).unwrap();
    assert!(from_file(&printed).unwrap_err().contains("this is the mask of a printed configuration"));
    let without = printed.replace("password = \"***\"\n", "");
    assert_eq!(from_file(&without).unwrap(), Config::default());
}

#[test]
fn a_secret_given_twice_is_refused() {
    assert_eq!(
        refusal(&[("WARDSTREAM_KAFKA__PASSWORD", "a"), ("WARDSTREAM_KAFKA__PASSWORD_FILE", "/b")]),
        "CONF-708: WARDSTREAM_KAFKA__PASSWORD and WARDSTREAM_KAFKA__PASSWORD_FILE are both set: keep one"
    );
    assert!(refusal(&[("WARDSTREAM_KAFKA__PASSWORD_FILE", "/nowhere/b")]).starts_with(
        "CONF-706: cannot read the secret file /nowhere/b that WARDSTREAM_KAFKA__PASSWORD_FILE"
    ));
    assert!(refusal(&[("WARDSTREAM_KAFKA__TLS_FILE", "/b")]).starts_with("CONF-705"));
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_unicode_is_named() {
    use std::os::unix::ffi::OsStringExt;
    let text = OsString::from_vec(vec![0xff]);
    let error = load_from::<Config>(None, [("WARDSTREAM_FORMAT".into(), text)]).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("CONF-707", "variable WARDSTREAM_FORMAT is not UTF-8")
    );
}

#[test]
fn the_reference_lists_every_key() {
    let page = settings::reference::<Config>("example");
    assert!(page.starts_with("## `wardstream-example`\n"), "{page}");
    for row in [
        "| `kafka.bootstrap_servers` | `WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS` | a text | `kafka:9092` | Brokers to ask first. |",
        "| `kafka.ports` | `WARDSTREAM_KAFKA__PORTS` | a list, each an integer from 0 to 65535 | empty | Ports \\| probed. |",
        "| `kafka.tls` | `WARDSTREAM_KAFKA__TLS` | `true` or `false` | `false` | Whether the connection is encrypted. |",
        "| `kafka.password` | `WARDSTREAM_KAFKA__PASSWORD` or `WARDSTREAM_KAFKA__PASSWORD_FILE` | a secret text | – | The account's password. |",
        "| `format` | `WARDSTREAM_FORMAT` | one of `json`, `text` | `json` | The shape of a log line. |",
        "| `endpoint` | `WARDSTREAM_ENDPOINT` | an absolute URL | – | Where spans go. |",
        "| `zones` | `WARDSTREAM_ZONES` | a table, each entry a text | empty | Time zone of each facility. |",
        "| `channels[].url` | – | a text | – | Where to post. |",
    ] {
        assert!(page.contains(row), "missing: {row}\n{page}");
    }
    assert!(!page.contains("default-password"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_variable_is_taken_or_refused(name in "(KAFKA|ZONES|CHANNELS|FORMAT|X)(_{1,3}[A-Z_]{0,12})?", text in ".{0,24}") {
        let _ = load_from::<Config>(None, [(format!("WARDSTREAM_{name}").into(), text.into())]);
    }

    #[test]
    fn any_file_is_taken_or_refused(text in "([a-z]{1,6}|kafka|zones|\\[|\\]|=|\"|\\.|\\{|\\}|1|\n| ){0,24}") {
        let _ = from_file(&text);
    }
}
