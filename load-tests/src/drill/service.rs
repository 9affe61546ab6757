//! The services, as processes of this program.

use std::path::Path;
use std::process::ExitCode;

use settings::Secret;
use worm_log::S3Config;

/// A service that this program can be.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) main: fn() -> ExitCode,
}

/// All of them, in the order of the line.
pub(crate) static SERVICES: [Service; 7] = [
    Service { name: ingest::NAME, main: || service::main(ingest::NAME, ingest::run) },
    Service { name: validate::NAME, main: || service::main(validate::NAME, validate::run) },
    Service { name: redact::NAME, main: || service::main(redact::NAME, redact::run) },
    Service { name: classify::NAME, main: || service::main(classify::NAME, classify::run) },
    Service { name: summarize::NAME, main: || service::main(summarize::NAME, summarize::run) },
    Service { name: notify::NAME, main: || service::main(notify::NAME, notify::run) },
    Service { name: audit::NAME, main: || service::main(audit::NAME, audit::run) },
];

pub(crate) fn find(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

/// Worker threads of each process: what may be between a mail and its entry in the ledger at a time.
pub(crate) const WORKERS: u64 = 2;
/// Kafka's `session.timeout.ms`: the least that brokers allow by default.
pub(crate) const SESSION_SECONDS: u64 = 6;
/// Kafka's `transaction.timeout.ms`.
pub(crate) const TRANSACTION_SECONDS: u64 = 5;

/// De-identification with keys that are no secret: pseudonyms and date shifts are the same in every run.
#[must_use]
pub fn deid() -> redact::Deid {
    redact::Deid {
        key: Secret::new("6b6579206f662074686520746573747320616e64206f66206e6f7468696e672e"),
        vault_key: Secret::new("7661756c74206b6579206f66207468652074657374732c206e6f20736563726574"),
        ..redact::Deid::default()
    }
}

/// What the configuration of an instance names.
pub(crate) struct Surroundings<'a> {
    pub(crate) bootstrap_servers: &'a str,
    pub(crate) registry: &'a str,
    pub(crate) models: &'a Path,
    pub(crate) smtp: notify::Smtp,
    pub(crate) bucket: &'a S3Config,
    pub(crate) store: &'a str,
    /// Key that signs the checkpoints of the WORM log.
    pub(crate) signing_key: &'a Path,
}

/// The configuration of an instance, TOML. An empty `instance` means dynamic membership.
pub(crate) fn config(service: &str, instance: &str, of: &Surroundings<'_>) -> String {
    let Surroundings { bootstrap_servers, registry, models, smtp, bucket, store, signing_key } = of;
    let common = format!(
        "[kafka]\n\
         bootstrap_servers = \"{bootstrap_servers}\"\n\
         group_id = \"drill.{service}\"\n\
         group_instance_id = \"{instance}\"\n\
         [kafka.tuning]\n\
         workers = {WORKERS}\n\
         session_timeout = \"{SESSION_SECONDS}s\"\n\
         transaction_timeout = \"{TRANSACTION_SECONDS}s\"\n\
         [kafka.properties]\n\
         \"heartbeat.interval.ms\" = \"1000\"\n\
         [registry]\n\
         url = \"{registry}\"\n\
         [telemetry]\n\
         listen = \"127.0.0.1:0\"\n"
    );
    let own = match service {
        redact::NAME => {
            let redact::Deid { key, vault_key, .. } = deid();
            // Drills are about records, not about what is found in them.
            format!(
                "[models]\nenabled = false\n[deid]\nkey = \"{}\"\nvault_key = \"{}\"\n",
                key.expose(),
                vault_key.expose()
            )
        }
        classify::NAME | summarize::NAME => format!("[models]\nfolder = \"{}\"\n", models.display()),
        notify::NAME => {
            let notify::Smtp { host, port, username, password, ca_file, hello_name, .. } = smtp;
            format!(
                "[smtp]\n\
                 host = \"{host}\"\n\
                 port = {port}\n\
                 username = \"{username}\"\n\
                 password = \"{}\"\n\
                 ca_file = \"{}\"\n\
                 hello_name = \"{}\"\n",
                password.expose(),
                ca_file.as_deref().unwrap_or(Path::new("")).display(),
                hello_name.as_deref().unwrap_or_default(),
            )
        }
        audit::NAME => {
            let (id, secret) = bucket
                .access_key
                .as_ref()
                .map_or_else(Default::default, |key| (key.id.clone(), key.secret.clone()));
            format!(
                "[worm]\n\
                 bucket = \"{}\"\n\
                 endpoint = \"{store}\"\n\
                 path_style = true\n\
                 access_key_id = \"{id}\"\n\
                 secret_access_key = \"{secret}\"\n\
                 segment_age = \"5s\"\n\
                 [worm.merkle_log]\n\
                 signing_key_file = \"{}\"\n\
                 every = \"2s\"\n",
                bucket.bucket,
                signing_key.display()
            )
        }
        _ => String::new(),
    };
    common + &own
}
