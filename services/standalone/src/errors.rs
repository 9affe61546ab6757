//! Every error code of the product: what it means, what to do next. The pages of `docs/errors` are made of it.

/// One code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The stable code.
    pub code: &'static str,
    /// What happened, in a line.
    pub title: &'static str,
    /// What to do next.
    pub help: &'static str,
}

const fn page(code: &'static str, title: &'static str, help: &'static str) -> Page {
    Page { code, title, help }
}

/// Codes of crates whose errors carry data, and of the services.
const OWN: &[Page] = &[
    page(
        "AVRO-401",
        "value is not Avro in the Confluent wire format, or does not fit the schema it names",
        "have the producer write with the schema registered for the topic; the dead letter holds the bytes",
    ),
    page(
        "AVRO-402",
        "the registry does not know the schema id",
        "point the producer and this service at the same registry, or restore the registry's log, then replay the dead letters",
    ),
    page(
        "AVRO-403",
        "the registry refuses a schema of this version",
        "compare the file in schemas/ with the subject's versions; compatibility is BACKWARD_TRANSITIVE",
    ),
    page(
        "AVRO-404",
        "a value does not fit its own schema",
        "this is a defect: report it with the version of the service",
    ),
    page(
        "CLASSIFY-101",
        "bundle of fhir.deidentified is not JSON",
        "only redact writes to fhir.deidentified: check the topic's ACLs for another writer",
    ),
    page(
        "SUMMARIZE-101",
        "bundle of triage.classified is not JSON",
        "only classify writes to triage.classified: check the topic's ACLs for another writer",
    ),
    page(
        "INGEST-101",
        "record has no value",
        "have the feed publish one HL7 v2 message (ER7 bytes) as the value of each record",
    ),
    page("INGEST-102", "record holds several messages", "have the feed publish one HL7 v2 message a record"),
    page(
        "STREAM-901",
        "the stage panicked on the record as often as it may be tried",
        "this is a defect: report the stage, the version and the kind of message; the dead letter can be replayed after an upgrade",
    ),
    page(
        "STREAM-902",
        "record is over kafka.tuning.max_record_bytes",
        "raise the limit here and on the topic, or have the feed send documents by reference; the record is still in its topic at the position that the dead letter names",
    ),
    page(
        "STREAM-903",
        "what the stage made of the record is over kafka.tuning.max_record_bytes",
        "raise the limit here and on the output topic, then replay the dead letter",
    ),
    page(
        "STREAM-904",
        "instances of the service died again and again while this record alone was worked on",
        "look at how the process ended (memory, a native library) and report it with the kind of message; the dead letter can be replayed after an upgrade",
    ),
    page(
        "STREAM-905",
        "a record keeps failing for something that answers other records, so its key is parked",
        "find out why with the service's log and the dependency's, then release the key: its records go on in their order",
    ),
    page(
        "STREAM-906",
        "an earlier record of the same key is parked, and this one may not overtake it",
        "release the key: its records go on in their order",
    ),
    page(
        "STREAM-911",
        "a topic that the service needs does not exist",
        "create it with `wardstream topics apply`; a service that has just started waits a minute for it",
    ),
    page(
        "STREAM-912",
        "a topic has another number of partitions than kafka.partitions",
        "correct kafka.partitions; if the topic was made wrongly, see docs/operations.md on the number of partitions",
    ),
    page(
        "STREAM-913",
        "this principal may not describe, read or write a topic that the service needs",
        "add the ACL that the message names; docs/operations.md lists what each service needs",
    ),
    page(
        "STREAM-914",
        "this principal may not read as the consumer group of the service",
        "add an ACL that allows Read on the group, by default wardstream.<stage>",
    ),
    page(
        "STREAM-915",
        "this principal may not write with the transactional id of the service",
        "add an ACL that allows Write on transactional ids with the prefix wardstream.<stage>.",
    ),
    page(
        "STREAM-916",
        "the broker is too old, or has no transactions",
        "use Apache Kafka 2.5 or later; for a broker without transactions set kafka.delivery to lineage-guarded",
    ),
    page("CONF-700", "the command line is wrong", "run the program with --help"),
    page(
        "CONF-701",
        "the configuration file cannot be read",
        "check the path given with --config or WARDSTREAM_CONFIG, and its permissions",
    ),
    page("CONF-702", "the configuration file is not TOML", "correct the line that the message names"),
    page(
        "CONF-703",
        "the configuration file has a key that the service does not have",
        "correct the spelling: docs/configuration.md lists every key",
    ),
    page(
        "CONF-704",
        "a value has the wrong type or is out of its range",
        "give the type that the message names; docs/configuration.md shows the form",
    ),
    page(
        "CONF-705",
        "an environment variable names a key that the service does not have",
        "correct the spelling: WARDSTREAM_<SECTION>__<KEY>, two underscores between levels",
    ),
    page(
        "CONF-706",
        "the file of a secret cannot be read",
        "check the path in the _FILE variable, and that this user may read it",
    ),
    page("CONF-707", "an environment variable is not UTF-8", "set it again as UTF-8"),
    page(
        "CONF-708",
        "a secret is set both directly and by file",
        "keep one of the variable and its _FILE twin",
    ),
    page("CONF-709", "the configuration has no TOML form", "this is a defect of the service: report it"),
    page(
        "CONF-710",
        "a value is well formed and cannot be used",
        "the message says why; nothing was started",
    ),
    page(
        "CONF-711",
        "a key without a default is not set",
        "set it in the file or as the variable that the message names",
    ),
    page("DEID-101", "a key is too short", "make one with `openssl rand -hex 32`"),
    page(
        "DEID-102",
        "the de-identification policy cannot be read",
        "this is a defect of the build: report it",
    ),
    page(
        "DEID-103",
        "a local identifier format cannot be searched for",
        "correct the pattern of the format that the message names; the syntax is that of the Rust crate regex",
    ),
    page(
        "DEID-104",
        "a former key has the version of the current one or a later one",
        "give the current key a version above those in deid.former_keys",
    ),
    page(
        "DEID-201",
        "input is not a FHIR resource",
        "only validated bundles belong into fhir.validated: check the topic's ACLs for another writer",
    ),
    page(
        "DEID-202",
        "the policy releases nothing of the resource",
        "send a Bundle or a resource type that the policy knows",
    ),
    page(
        "DEID-203",
        "elements are nested too deeply",
        "flatten the resource at its source; such depth has no clinical meaning",
    ),
    page(
        "DEID-204",
        "content cannot be de-identified, and the configuration refuses it",
        "the reason says why: another language, an image, another format; look at the element that the location names, or set deid.unreadable_text or deid.unreadable_attachments to withhold, then replay",
    ),
    page(
        "DEID-301",
        "a vault entry cannot be sealed or opened",
        "check deid.vault_key, or the key that deid.key_service names; a key that was in use before belongs into deid.former_vault_keys",
    ),
    page(
        "DEID-302",
        "the service that keeps the vault's key does not answer or refuses",
        "redact waits and goes on by itself; look at the key service, its address, the token or credentials, and the rights to encrypt with the key",
    ),
    page(
        "DEID-401",
        "output still looks as if it held an identifier, and was withheld",
        "look at the element that the location names in the dead letter; add it to deid.local_formats if it is a format of your hospital's, then replay",
    ),
    page(
        "MODEL-501",
        "a model file cannot be read",
        "run deploy/local/models/fetch.sh, or set models.folder to a folder with config.json, tokenizer.json and model.safetensors",
    ),
    page(
        "MODEL-502",
        "the model's configuration is of another kind",
        "use an encoder whose config.json has model_type \"bert\"",
    ),
    page(
        "MODEL-503",
        "the tokenizer cannot be read or failed",
        "use the tokenizer.json that was published with the weights",
    ),
    page(
        "MODEL-504",
        "the weights do not fit the configuration",
        "fetch config.json and model.safetensors again from one release",
    ),
    page(
        "MODEL-505",
        "the model failed on an input",
        "check the memory limit of the process, then report the input's size",
    ),
    page(
        "MODEL-506",
        "the heads were trained on another encoder",
        "use the default encoder, or train heads on yours with `cargo run -p wardstream-inference --example train`",
    ),
    page("MODEL-507", "a table of the classifier cannot be read", "correct the entry that the message names"),
    page(
        "MODEL-508",
        "a model file does not have the expected SHA-256",
        "delete it and run deploy/local/models/fetch.sh again",
    ),
    page(
        "TEL-801",
        "telemetry.log.level is no filter",
        "give a level (error, warn, info, debug, trace), optionally with levels for modules",
    ),
    page("TEL-802", "telemetry.trace_sample_ratio is out of its range", "give a number from 0 to 1"),
    page(
        "TEL-803",
        "telemetry.otlp_endpoint is no http:// or https:// URL",
        "give the base URL of an OTLP collector over HTTP, for instance http://otel-collector:4318",
    ),
    page(
        "TEL-804",
        "the client that exports traces cannot be made",
        "check the certificates of this machine; without telemetry.otlp_endpoint nothing is exported",
    ),
    page(
        "TEL-805",
        "the address for health and metrics cannot be listened on",
        "choose another with telemetry.listen",
    ),
    page(
        "TEL-806",
        "the server for health and metrics stopped",
        "check the limit on open files of this process",
    ),
    page(
        "TEL-807",
        "signal handlers cannot be installed",
        "run the service where it may handle SIGTERM and SIGINT",
    ),
    page(
        "TEL-810",
        "a thread panicked",
        "this is a defect: report the place that the line names; the message of the panic is withheld because it may quote clinical data",
    ),
    page(
        "TEL-811",
        "the last spans could not be exported",
        "the traces of the last seconds are incomplete, the messages are not: check that the collector at telemetry.otlp_endpoint was up when the service stopped",
    ),
    page(
        "WORM-601",
        "topic or partition not legal",
        "name topics with 1 to 249 of the characters a-z A-Z 0-9 . _ -, partitions from 0",
    ),
    page(
        "WORM-602",
        "offset already accounted for",
        "seek the consumer to the expected offset; the earlier records are stored already",
    ),
    page(
        "WORM-603",
        "record too large for a segment",
        "lower max.message.bytes of the topic to 1 GiB or less",
    ),
    page(
        "WORM-604",
        "segment malformed",
        "run `wardstream audit verify` to see whether the object was altered, and keep it as evidence",
    ),
    page(
        "WORM-605",
        "manifest malformed",
        "run `wardstream audit verify` to see whether the object was altered, and keep it as evidence",
    ),
    page(
        "WORM-606",
        "stored log contradicts itself",
        "run `wardstream audit verify`; the writer stops here so that the evidence stays as it is",
    ),
    page("WORM-607", "segment context invalid", "correct the writer's version text, offsets or retention"),
    page("WORM-608", "partition not assigned", "this is a defect: report it"),
    page(
        "WORM-610",
        "store unavailable",
        "nothing is lost: offsets are committed only after the write, which is tried again; check the store's health",
    ),
    page(
        "WORM-611",
        "store denies access",
        "give the audit principal PutObject, PutObjectRetention, GetObject, ListBucket, ListBucketVersions, GetBucketVersioning and GetBucketObjectLockConfiguration on the bucket; who changes legal holds needs PutObjectLegalHold and GetObjectLegalHold",
    ),
    page(
        "WORM-612",
        "bucket unfit for a WORM log",
        "create a bucket with Object Lock enabled (that enables versioning too) and name it in worm.bucket",
    ),
    page(
        "WORM-613",
        "object not found",
        "check topic, partition and offset; `wardstream audit verify` says whether it should exist",
    ),
    page(
        "WORM-614",
        "store rejects the request",
        "look the code up in the store's documentation: a setting of the bucket or the request is wrong",
    ),
    page(
        "WORM-615",
        "local store failed",
        "check free space, permissions, and that the folder's file system has hard links",
    ),
    page("WORM-616", "store settings invalid", "correct the setting that the message names"),
    page(
        "WORM-617",
        "reading stopped half way",
        "try again; if it recurs, check the disk or the network to the store",
    ),
    page(
        "WORM-618",
        "checkpoint malformed",
        "run `wardstream audit verify` to see whether the log was altered, and keep it as evidence",
    ),
    page(
        "WORM-619",
        "key of the Merkle log invalid",
        "name a signing key made by `wardstream audit key`, and list its verifying key with the times in which it counts",
    ),
    page(
        "WORM-620",
        "proof does not hold",
        "take the record for unproven; if the proof was made just now, run `wardstream audit verify` on the log",
    ),
    page(
        "WORM-621",
        "offset cannot be proved",
        "check topic, partition and offset; a new record is provable once its segment is under a checkpoint",
    ),
    page(
        "WORM-622",
        "witness refuses a checkpoint",
        "the log is not the one that was cosigned before: verify it with that checkpoint, and keep both as evidence",
    ),
    page(
        "WORM-623",
        "segment is not the one in the log",
        "run `wardstream audit verify` to see what else was altered, and keep the store as evidence; nothing of the segment was given",
    ),
];

/// All codes, in order.
#[must_use]
pub fn all() -> Vec<Page> {
    let mut pages = OWN.to_vec();
    pages.extend(hl7v2::ErrorCode::ALL.iter().map(|code| page(code.code(), code.title(), code.help())));
    pages.extend(v2_to_fhir::Error::pages().iter().map(|of| page(of.code, of.title, of.help)));
    pages.extend(fhir::ErrorCode::ALL.iter().map(|code| page(code.code(), code.title(), code.help())));
    pages.extend(notify::ErrorCode::ALL.iter().map(|code| page(code.as_str(), code.title(), code.help())));
    pages.sort_by_key(|page| page.code);
    pages
}

/// The page of a code.
#[must_use]
pub fn find(code: &str) -> Option<Page> {
    all().into_iter().find(|page| page.code == code)
}

/// The list of all pages as it stands in `docs/errors/README.md`.
#[must_use]
pub fn index() -> String {
    let mut text = "# Error codes\n\nEvery code that a dead letter, a log line or a message of the command line carries. \
                    `wardstream explain CODE` prints the same page.\n\n| Code | Meaning |\n| --- | --- |\n"
        .to_owned();
    for page in all() {
        text.push_str(&format!(
            "| [{0}]({0}.md) | {1} |\n",
            page.code,
            sentence(page.title).replace('|', "\\|")
        ));
    }
    text
}

/// Begins with a capital and ends with a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase).into_iter().flatten();
    let text: String = first.chain(characters).collect();
    if text.ends_with('.') { text } else { format!("{text}.") }
}

/// The page as it stands in `docs/errors`.
#[must_use]
pub fn markdown(page: &Page) -> String {
    format!(
        "# {}\n\n{}\n\n**What to do**: {}\n",
        page.code,
        sentence(page.title),
        page.help.trim_end_matches('.').to_owned() + "."
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn workspace() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// The pages are made by `WARDSTREAM_UPDATE_DOCS=1 cargo test -p wardstream-standalone`.
    #[test]
    fn docs_errors_holds_a_page_a_code() {
        let folder = workspace().join("docs/errors");
        let mut expected = BTreeMap::from([("README.md".to_owned(), index())]);
        for page in all() {
            let other = expected.insert(format!("{}.md", page.code), markdown(&page));
            assert_eq!(other, None, "{} is there twice", page.code);
        }
        for (name, content) in &expected {
            let path = folder.join(name);
            if std::env::var_os("WARDSTREAM_UPDATE_DOCS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, content).unwrap();
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(&text, content, "docs/errors/{name} is not up to date");
        }
        let there: BTreeSet<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(there, expected.into_keys().collect());
    }

    /// A code that is written somewhere in the sources has a page.
    #[test]
    fn no_code_is_without_a_page() {
        let known: BTreeSet<&str> = all().iter().map(|page| page.code).collect();
        let prefixes: BTreeSet<&str> = known.iter().filter_map(|code| code.split('-').next()).collect();
        let mut folders = vec![workspace().join("shared"), workspace().join("services")];
        let mut unknown = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                if path.extension().is_none_or(|extension| extension != "rs") {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                for literal in text.split('"').skip(1).step_by(2) {
                    let Some((prefix, number)) = literal.split_once('-') else { continue };
                    let is_code = prefixes.contains(prefix)
                        && number.len() == 3
                        && number.bytes().all(|byte| byte.is_ascii_digit());
                    if is_code && !known.contains(literal) {
                        unknown.insert(literal.to_owned());
                    }
                }
            }
        }
        assert_eq!(unknown, BTreeSet::new());
    }
}
