//! Avro in the Confluent wire format: a zero byte, the schema id in four bytes big endian, the datum.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Datum;
use apache_avro::writer::datum::GenericDatumWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use contracts::Record;
use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::avro_common::get_supplied_schema;
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::SubjectNameStrategy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{Duration, Secret};
use tokio::runtime::Handle;

use crate::{Reject, Unavailable};

/// Where the schema registry is.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// Base URL of a registry with Confluent's API.
    pub url: String,
    /// User name for basic authentication; empty means none.
    pub username: String,
    /// Password for basic authentication.
    pub password: Secret,
    /// How long one request may take.
    pub timeout: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8081".to_owned(),
            username: String::new(),
            password: Secret::default(),
            timeout: Duration::from_secs(5),
        }
    }
}

impl RegistryConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// Every fault, with the key it lies in.
    pub fn check(&self) -> Result<(), Vec<settings::Error>> {
        if self.url.starts_with("http://") || self.url.starts_with("https://") {
            Ok(())
        } else {
            let reason = "it is no http:// or https:// URL".to_owned();
            Err(vec![settings::Error::Invalid { key: "registry.url".to_owned(), reason }])
        }
    }
}

const REGISTRY: &str = "schema-registry";

/// Encodes and decodes records; schemas are fetched once and kept.
#[derive(Clone)]
pub struct Codec {
    inner: Arc<Inner>,
    /// Set on a codec that registers nothing.
    apart: Option<Arc<Apart>>,
}

/// Schemas of a codec that registers nothing, each with its text. The first has the highest id there is, the next the one below: a
/// registry counts from 1 on.
#[derive(Default)]
struct Apart(RwLock<Vec<(&'static str, Arc<Schema>)>>);

struct Inner {
    encoder: AvroEncoder,
    decoder: AvroDecoder,
    subjects: RwLock<HashMap<String, Arc<SubjectNameStrategy>>>,
    runtime: Handle,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").finish_non_exhaustive()
    }
}

/// Why a record could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes or the value are wrong.
    #[error("{}", .0.reason)]
    Reject(Reject),
    /// The registry cannot be asked now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl CodecError {
    /// What a stage answers when decoding or encoding fails.
    ///
    /// # Errors
    /// [`Unavailable`] as it is.
    pub fn into_fate(self) -> Result<crate::Fate, Unavailable> {
        match self {
            Self::Reject(reject) => Ok(reject.into()),
            Self::Unavailable(unavailable) => Err(unavailable),
        }
    }
}

impl Codec {
    /// A codec that asks this registry, on this runtime. Opens no connection yet.
    ///
    /// # Errors
    /// When the URL is no URL; the text names the key.
    pub fn new(config: &RegistryConfig, runtime: Handle) -> Result<Self, String> {
        let mut builder = SrSettings::new_builder(config.url.trim_end_matches('/').to_owned());
        builder.set_timeout(config.timeout.get()).no_proxy();
        if !config.username.is_empty() {
            builder.set_basic_authorization(&config.username, Some(config.password.expose()));
        }
        let settings = builder.build().map_err(|_| "registry.url cannot be used".to_owned())?;
        Ok(Self {
            inner: Arc::new(Inner {
                encoder: AvroEncoder::new(settings.clone()),
                decoder: AvroDecoder::new(settings),
                subjects: RwLock::default(),
                runtime,
            }),
            apart: None,
        })
    }

    /// A codec that reads what this one reads, and whose own records nobody else can read: it never registers a schema. For a
    /// stage whose output is looked at and not published.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { inner: self.inner.clone(), apart: Some(Arc::default()) }
    }

    /// Encodes a value for a topic, registering its schema under `<topic>-value` at first use.
    ///
    /// Call it from a plain thread: it may block on the registry.
    ///
    /// # Errors
    /// [`CodecError::Unavailable`] when the registry cannot be asked; [`CodecError::Reject`] when the registry
    /// refuses the schema or the value does not fit it.
    pub fn encode<T: Record>(&self, topic: &str, value: &T) -> Result<Vec<u8>, CodecError> {
        if let Some(apart) = &self.apart {
            return apart.encode(value);
        }
        let subject = self.subject::<T>(topic)?;
        let inner = &self.inner;
        inner
            .runtime
            .block_on(inner.encoder.get_schema_and_id(&format!("{topic}-value"), (*subject).clone()))
            .map_err(|error| {
                inner.encoder.remove_errors_from_cache();
                classify(
                    &error,
                    "AVRO-403",
                    "the registry refuses the schema; compare it with the subject's versions",
                )
            })?;
        inner.runtime.block_on(inner.encoder.encode_struct(value, &subject)).map_err(|_| misfit())
    }

    /// Decodes a value.
    ///
    /// Call it from a plain thread: it may block on the registry.
    ///
    /// # Errors
    /// [`CodecError::Reject`] with `AVRO-401` when the bytes are not in the wire format or do not fit the schema,
    /// `AVRO-402` when the registry does not know the schema id; [`CodecError::Unavailable`] when it cannot be asked.
    pub fn decode<T: Record>(&self, bytes: Option<&[u8]>) -> Result<T, CodecError> {
        apache_avro::from_value(&self.datum(bytes)?).map_err(|_| malformed("value is of another record type"))
    }

    /// Decodes a value of whatever record type, to be looked at. Bytes are text where they are text, else
    /// `{"base64": …}`; a number that JSON does not have is null.
    ///
    /// Call it from a plain thread: it may block on the registry.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_json(&self, bytes: Option<&[u8]>) -> Result<serde_json::Value, CodecError> {
        self.datum(bytes).map(json)
    }

    fn datum(&self, bytes: Option<&[u8]>) -> Result<Datum, CodecError> {
        let bytes = bytes.ok_or_else(|| malformed("record has no value"))?;
        let id = match bytes {
            [0, a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
            _ => return Err(malformed("value is not Avro in the Confluent wire format")),
        };
        if let Some(schema) = self.apart.as_ref().and_then(|apart| apart.schema(id)) {
            return GenericDatumReader::builder(&schema)
                .build()
                .and_then(|reader| reader.read_value(&mut bytes.get(5..).unwrap_or_default()))
                .map_err(|_| malformed("value does not fit the schema it names"));
        }
        let inner = &self.inner;
        inner.runtime.block_on(inner.decoder.get_schema(id)).map_err(|error| {
            inner.decoder.remove_errors_from_cache();
            classify(&error, "AVRO-402", "the registry does not know the schema id")
        })?;
        let decoded = inner
            .runtime
            .block_on(inner.decoder.decode(Some(bytes)))
            .map_err(|_| malformed("value does not fit the schema it names"))?;
        Ok(decoded.value)
    }

    fn subject<T: Record>(&self, topic: &str) -> Result<Arc<SubjectNameStrategy>, CodecError> {
        let subjects = self.inner.subjects.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(subject) = subjects.get(topic) {
            return Ok(subject.clone());
        }
        drop(subjects);
        let schema = embedded::<T>()?;
        let strategy = Arc::new(SubjectNameStrategy::TopicNameStrategyWithSchema(
            topic.to_owned(),
            false,
            get_supplied_schema(&schema),
        ));
        let mut subjects = self.inner.subjects.write().unwrap_or_else(PoisonError::into_inner);
        Ok(subjects.entry(topic.to_owned()).or_insert(strategy).clone())
    }
}

impl Apart {
    fn encode<T: Record>(&self, value: &T) -> Result<Vec<u8>, CodecError> {
        let (id, schema) = self.id::<T>()?;
        let datum = apache_avro::to_value(value)
            .and_then(|value| value.resolve(&schema))
            .and_then(|value| GenericDatumWriter::builder(&schema).build()?.write_value_to_vec(value))
            .map_err(|_| misfit())?;
        Ok([&[0], &id.to_be_bytes()[..], &datum].concat())
    }

    fn id<T: Record>(&self) -> Result<(u32, Arc<Schema>), CodecError> {
        let mut schemas = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let at = match schemas.iter().position(|(text, _)| *text == T::SCHEMA) {
            Some(at) => at,
            None => {
                schemas.push((T::SCHEMA, Arc::new(embedded::<T>()?)));
                schemas.len() - 1
            }
        };
        let (_, schema) = schemas.get(at).ok_or_else(misfit)?;
        Ok((u32::MAX - u32::try_from(at).map_err(|_| misfit())?, schema.clone()))
    }

    fn schema(&self, id: u32) -> Option<Arc<Schema>> {
        let schemas = self.0.read().unwrap_or_else(PoisonError::into_inner);
        schemas.get(usize::try_from(u32::MAX - id).ok()?).map(|(_, schema)| schema.clone())
    }
}

fn embedded<T: Record>() -> Result<Schema, CodecError> {
    Schema::parse_str(T::SCHEMA).map_err(|_| {
        CodecError::Reject(Reject::new(
            "AVRO-404",
            "embedded schema cannot be parsed; this is a defect, report it",
        ))
    })
}

fn misfit() -> CodecError {
    CodecError::Reject(Reject::new("AVRO-404", "value does not fit its schema; this is a defect, report it"))
}

fn malformed(what: &str) -> CodecError {
    CodecError::Reject(Reject::new("AVRO-401", what))
}

fn json(datum: Datum) -> serde_json::Value {
    use serde_json::{Value, json};
    match datum {
        Datum::Union(_, datum) => json(*datum),
        Datum::Bytes(bytes) | Datum::Fixed(_, bytes) => match String::from_utf8(bytes) {
            Ok(text) => Value::String(text),
            Err(error) => json!({"base64": BASE64.encode(error.as_bytes())}),
        },
        Datum::Array(items) => items.into_iter().map(json).collect(),
        Datum::Map(items) => items.into_iter().map(|(name, datum)| (name, json(datum))).collect(),
        Datum::Record(fields) => fields.into_iter().map(|(name, datum)| (name, json(datum))).collect(),
        datum => Value::try_from(datum).unwrap_or_default(),
    }
}

/// The registry's answer decides: 404, 409 and 422 are about the schema, all else is about the registry.
fn classify(error: &SRCError, code: &str, reason: &str) -> CodecError {
    let says = |status: &str| error.error.contains(status);
    if says("404 Not Found") || says("409 Conflict") || says("422 Unprocessable") {
        CodecError::Reject(Reject::new(code, reason))
    } else {
        CodecError::Unavailable(Unavailable { dependency: REGISTRY, detail: error.error.clone() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_codec_apart_reads_its_own_records_without_a_registry() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let nowhere = RegistryConfig { url: "http://127.0.0.1:1".to_owned(), ..RegistryConfig::default() };
        let codec = Codec::new(&nowhere, runtime.handle().clone()).unwrap();
        let apart = codec.apart();
        let replayed = contracts::Replayed {
            letter: "a/0/1".to_owned(),
            event_id: "e".to_owned(),
            failed_at: 1,
            source_topic: "a".to_owned(),
            replayed_at: 2,
        };
        let bytes = apart.encode("dead-letters.replayed", &replayed).unwrap();
        assert_eq!(apart.decode::<contracts::Replayed>(Some(&bytes)).unwrap(), replayed);
        assert_eq!(apart.decode_json(Some(&bytes)).unwrap()["letter"], "a/0/1");
        assert!(matches!(codec.decode_json(Some(&bytes)), Err(CodecError::Unavailable(_))));
        // A second schema has an id of its own.
        let dropped = contracts::Dropped {
            stage: "s".to_owned(),
            reason: "r".to_owned(),
            event_id: "e".to_owned(),
            source_topic: "a".to_owned(),
            source_partition: 0,
            source_offset: 1,
        };
        let other = apart.encode("line.dropped", &dropped).unwrap();
        assert_ne!(bytes[..5], other[..5]);
        assert_eq!(apart.decode::<contracts::Dropped>(Some(&other)).unwrap(), dropped);
    }

    #[test]
    fn a_datum_is_looked_at_as_json() {
        let bytes = |bytes: &[u8]| Datum::Bytes(bytes.to_vec());
        let datum = Datum::Record(vec![
            ("key".to_owned(), Datum::Union(1, Box::new(bytes(b"HARBOR|1")))),
            ("none".to_owned(), Datum::Union(0, Box::new(Datum::Null))),
            ("sealed".to_owned(), bytes(&[0xFF, 0])),
            ("at".to_owned(), Datum::Long(1_790_000_000_123)),
            ("p".to_owned(), Datum::Double(0.25)),
            ("abstained".to_owned(), Datum::Boolean(true)),
            ("reasons".to_owned(), Datum::Array(vec![Datum::String("low".to_owned())])),
            ("redactions".to_owned(), Datum::Map(HashMap::from([("NAME".to_owned(), Datum::Int(2))]))),
        ]);
        let expected = json!({
            "key": "HARBOR|1",
            "none": null,
            "sealed": {"base64": "/wA="},
            "at": 1_790_000_000_123_i64,
            "p": 0.25,
            "abstained": true,
            "reasons": ["low"],
            "redactions": {"NAME": 2},
        });
        assert_eq!(super::json(datum), expected);
    }
}
