//! Records as an Apache Parquet file with typed columns, a row a record.
//!
//! | column | type |
//! | --- | --- |
//! | `topic`, `partition`, `offset` | where the record is: string, int32, int64 |
//! | `timestamp` | when it was written: milliseconds, UTC |
//! | `leaf` | the leaf of the Merkle log that its segment was proved by: int64, null without |
//! | `masked` | whether identifiers were left out: boolean |
//! | `key`, `headers` | string; headers as a JSON object |
//! | `message` | the bytes of a feed's record as text; only where a feed's topic is asked for |
//! | one each | for each field of the records of the topics, as the Avro schema of the contract types it |
//!
//! A field that has fields of its own becomes a column for each of them, `urgency_label`. Lists, maps and JSON come as JSON
//! text. A field with the name of a column above has `value_` before it. Where two topics disagree about a field's type, it is text. What is masked
//! is `***` where it is text, and null where it is a number.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

use crate::view::{Content, View};

/// Rows of one row group: what DuckDB gives to one thread.
const GROUP_ROWS: usize = 122_880;
/// Bytes of text after which a row group ends, so that memory stays small with large records.
const GROUP_BYTES: usize = 64 * 1024 * 1024;
/// Columns of every record.
const FIXED: [(&str, Kind, bool); 8] = [
    ("topic", Kind::Text, true),
    ("partition", Kind::Int, true),
    ("offset", Kind::Long, true),
    ("timestamp", Kind::Time, true),
    ("leaf", Kind::Long, false),
    ("masked", Kind::Bool, true),
    ("key", Kind::Text, false),
    ("headers", Kind::Text, true),
];
const MESSAGE: &str = "message";

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the Parquet file cannot be written")]
pub struct FileError(#[from] ParquetError);

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Int,
    Long,
    Time,
    Double,
    Bool,
}

impl Kind {
    /// As Parquet's own language of schemas has it.
    fn declared(self, name: &str) -> String {
        match self {
            Self::Text => format!("binary {name} (STRING)"),
            Self::Int => format!("int32 {name}"),
            Self::Long => format!("int64 {name}"),
            Self::Time => format!("int64 {name} (TIMESTAMP(MILLIS,true))"),
            Self::Double => format!("double {name}"),
            Self::Bool => format!("boolean {name}"),
        }
    }
}

/// Values that wait for their row group; those of rows without one are left out.
#[derive(Debug)]
enum Values {
    Text(Vec<ByteArray>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Double(Vec<f64>),
    Bool(Vec<bool>),
}

#[derive(Debug)]
struct Column {
    /// The way to it in the record's value; empty for those of every record.
    path: Vec<String>,
    required: bool,
    values: Values,
    /// For each row 1 where it has a value, and 0 where not (Parquet's definition level).
    levels: Vec<i16>,
}

impl Column {
    fn new(kind: Kind, path: Vec<String>, required: bool) -> Self {
        let values = match kind {
            Kind::Text => Values::Text(Vec::new()),
            Kind::Int => Values::Int(Vec::new()),
            Kind::Long | Kind::Time => Values::Long(Vec::new()),
            Kind::Double => Values::Double(Vec::new()),
            Kind::Bool => Values::Bool(Vec::new()),
        };
        Self { path, required, values, levels: Vec::new() }
    }

    /// Takes a value, if it is of the column's type; gives the bytes that it holds.
    fn push(&mut self, value: &Value) -> usize {
        let mut bytes = 0;
        let taken = match &mut self.values {
            Values::Text(values) => text(value).map(|text| {
                bytes = text.len();
                values.push(ByteArray::from(text.into_bytes()));
            }),
            Values::Int(values) => {
                value.as_i64().and_then(|number| i32::try_from(number).ok()).map(|number| values.push(number))
            }
            Values::Long(values) => value.as_i64().map(|number| values.push(number)),
            Values::Double(values) => value.as_f64().map(|number| values.push(number)),
            Values::Bool(values) => value.as_bool().map(|truth| values.push(truth)),
        };
        self.levels.push(i16::from(taken.is_some()));
        bytes
    }

    fn write(&mut self, mut to: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = std::mem::take(&mut self.levels);
        let levels = (!self.required).then_some(&levels[..]);
        match &mut self.values {
            Values::Text(values) => {
                to.typed::<ByteArrayType>().write_batch(&std::mem::take(values), levels, None)
            }
            Values::Int(values) => to.typed::<Int32Type>().write_batch(&std::mem::take(values), levels, None),
            Values::Long(values) => {
                to.typed::<Int64Type>().write_batch(&std::mem::take(values), levels, None)
            }
            Values::Double(values) => {
                to.typed::<DoubleType>().write_batch(&std::mem::take(values), levels, None)
            }
            Values::Bool(values) => to.typed::<BoolType>().write_batch(&std::mem::take(values), levels, None),
        }?;
        to.close()
    }
}

/// Text as it is, anything else as JSON; none for null.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}

/// Writes a Parquet file.
pub struct ParquetFile<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file for records of these topics.
    ///
    /// # Errors
    /// When its first bytes cannot be written.
    pub fn new(to: W, topics: &[String]) -> Result<Self, FileError> {
        let mut declared = String::from("message record {\n");
        let mut columns = Vec::new();
        let mut column = |name: &str, kind: Kind, path: Vec<String>, required: bool| {
            let need = if required { "required" } else { "optional" };
            declared.push_str(&format!("{need} {};\n", kind.declared(name)));
            columns.push(Column::new(kind, path, required));
        };
        for (name, kind, required) in FIXED {
            column(name, kind, Vec::new(), required);
        }
        let Fields { fields, message } = Fields::of(topics);
        if message {
            column(MESSAGE, Kind::Text, Vec::new(), false);
        }
        for (name, (kind, path)) in fields {
            column(&name, kind, path, false);
        }
        declared.push('}');
        let schema = Arc::new(parse_message_type(&declared)?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("wardstream ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let file = SerializedFileWriter::new(to, schema, Arc::new(properties))?;
        Ok(Self { file, columns, rows: 0, bytes: 0 })
    }

    /// Adds a record; with `masked` without what a patient could be known by.
    ///
    /// # Errors
    /// When the rows that waited cannot be written.
    pub fn give(&mut self, view: &View<'_>, masked: bool) -> Result<(), FileError> {
        let shown = view.to_json(masked);
        let time = Value::from(view.timestamp_ms);
        let is_feed = matches!(view.content, Content::Feed(_));
        let mut fixed =
            FIXED.iter().map(|(name, ..)| if *name == "timestamp" { &time } else { &shown[*name] });
        for column in &mut self.columns {
            let value = if column.path.is_empty() {
                fixed.next().unwrap_or_else(|| if is_feed { &shown["value"] } else { &Value::Null })
            } else if is_feed {
                &Value::Null
            } else {
                column.path.iter().fold(&shown["value"], |value, name| &value[name.as_str()])
            };
            self.bytes += column.push(value);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.end_group() } else { Ok(()) }
    }

    fn end_group(&mut self) -> Result<(), FileError> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            let Some(to) = group.next_column()? else { break };
            column.write(to)?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Writes the rows that wait, and the index without which the file cannot be read.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(mut self) -> Result<(), FileError> {
        if self.rows > 0 {
            self.end_group()?;
        }
        self.file.close()?;
        Ok(())
    }
}

/// The columns that the contracts of the topics ask for.
#[derive(Default)]
struct Fields {
    fields: BTreeMap<String, (Kind, Vec<String>)>,
    /// Whether one of them is a feed's.
    message: bool,
}

impl Fields {
    fn of(topics: &[String]) -> Self {
        let contracts = contracts::topics(1);
        let mut fields = Self::default();
        for topic in topics {
            let schema = contracts
                .iter()
                .find(|contract| contract.name == *topic)
                .and_then(|contract| contract.schema);
            match schema.and_then(|schema| serde_json::from_str::<Value>(schema).ok()) {
                Some(schema) => fields.record(&schema, &[], &mut HashMap::new()),
                None => fields.message = true,
            }
        }
        fields
    }

    fn record(&mut self, schema: &Value, path: &[String], named: &mut HashMap<String, Value>) {
        if let Some(name) = schema["name"].as_str() {
            named.insert(name.to_owned(), schema.clone());
        }
        for field in schema["fields"].as_array().into_iter().flatten() {
            let Some(name) = field["name"].as_str() else { continue };
            let mut path = path.to_vec();
            path.push(name.to_owned());
            let typed = one_of(&field["type"]);
            // A record that was described before is named by its name, with or without its namespace.
            let known =
                typed.as_str().and_then(|name| named.get(name.rsplit('.').next().unwrap_or(name)).cloned());
            match known.as_ref().unwrap_or(typed) {
                record if record["type"] == "record" => self.record(record, &path, named),
                plain => self.add(kind(plain), path),
            }
        }
    }

    fn add(&mut self, kind: Kind, path: Vec<String>) {
        let mut name = path.join("_");
        if name == MESSAGE || FIXED.iter().any(|(fixed, ..)| *fixed == name) {
            name.insert_str(0, "value_");
        }
        let (known, _) = self.fields.entry(name).or_insert((kind, path));
        if *known != kind {
            *known = Kind::Text;
        }
    }
}

/// The type beside null of a union; any other type as it is.
fn one_of(typed: &Value) -> &Value {
    let mut others = typed.as_array().into_iter().flatten().filter(|typed| **typed != "null");
    match (others.next(), others.next()) {
        (Some(other), None) => other,
        _ => typed,
    }
}

fn kind(typed: &Value) -> Kind {
    let (name, logical) = match typed {
        Value::String(name) => (name.as_str(), None),
        typed => (typed["type"].as_str().unwrap_or_default(), typed["logicalType"].as_str()),
    };
    match (name, logical) {
        ("long", Some("timestamp-millis")) => Kind::Time,
        ("long", _) => Kind::Long,
        ("int", _) => Kind::Int,
        ("float" | "double", _) => Kind::Double,
        ("boolean", _) => Kind::Bool,
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn view<'a>(topic: &'a str, offset: i64, content: &'a Content) -> View<'a> {
        View {
            topic,
            partition: 2,
            offset,
            timestamp_ms: 1_790_000_000_123,
            key: Some(b"NORTH|7001"),
            headers: &[],
            content,
            leaf: (offset % 2 == 0).then_some(7),
        }
    }

    /// The rows as JSON, by Parquet's own reader.
    fn rows(file: Vec<u8>) -> Vec<Value> {
        let reader = SerializedFileReader::new(bytes_of(file)).unwrap();
        let rows = reader.get_row_iter(None).unwrap();
        rows.map(|row| {
            let row = row.unwrap();
            let columns = row.get_column_iter().map(|(name, field)| {
                let value = match field {
                    Field::Null => Value::Null,
                    Field::Bool(truth) => json!(truth),
                    Field::Int(number) => json!(number),
                    Field::Long(number) | Field::TimestampMillis(number) => json!(number),
                    Field::Double(number) => json!(number),
                    Field::Str(text) => json!(text),
                    other => panic!("{other:?}"),
                };
                (name.clone(), value)
            });
            Value::Object(columns.collect())
        })
        .collect()
    }

    fn bytes_of(file: Vec<u8>) -> bytes::Bytes {
        bytes::Bytes::from(file)
    }

    fn written(topics: &[&str], masked: bool, records: &[(&str, Content)]) -> Vec<Value> {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let mut bytes = Vec::new();
        let mut file = ParquetFile::new(&mut bytes, &topics).unwrap();
        for (offset, (topic, content)) in (0..).zip(records) {
            file.give(&view(topic, offset, content), masked).unwrap();
        }
        file.finish().unwrap();
        rows(bytes)
    }

    #[test]
    fn fields_are_columns_of_their_type() {
        let judged = json!({
            "event_id": "e", "facility": "F", "message_type": "ORU^R01", "received_at": 5, "pseudonym": null, "bundle": "{}",
            "urgency": {"label": "urgent", "p": 0.75}, "abstained": true, "reasons": ["one", "two"],
        });
        let rows = written(&["triage.classified"], true, &[("triage.classified", Content::Avro(judged))]);
        let [row] = &rows[..] else { panic!("{rows:?}") };
        for (name, value) in [
            ("topic", json!("triage.classified")),
            ("partition", json!(2)),
            ("offset", json!(0)),
            ("timestamp", json!(1_790_000_000_123_i64)),
            ("leaf", json!(7)),
            ("masked", json!(false)),
            ("key", json!("NORTH|7001")),
            ("headers", json!("{}")),
            ("event_id", json!("e")),
            ("received_at", json!(5)),
            ("pseudonym", Value::Null),
            ("urgency_label", json!("urgent")),
            ("urgency_p", json!(0.75)),
            ("abstained", json!(true)),
            ("reasons", json!(r#"["one","two"]"#)),
        ] {
            assert_eq!(row[name], value, "{name}");
        }
        assert!(row.get(MESSAGE).is_none());
    }

    #[test]
    fn names_of_every_record_are_kept_apart() {
        let manifest = json!({"topic": "hl7.raw", "partition": 4, "first_offset": 9});
        let rows = written(
            &["audit.manifests", "hl7.raw"],
            true,
            &[
                ("audit.manifests", Content::Avro(manifest)),
                (
                    "hl7.raw",
                    Content::Feed(b"MSH|^~\\&|LAB|NORTH|||20240506||ORU^R01|42|P|2.5\rPID|1\r".to_vec()),
                ),
                ("hl7.raw", Content::Nothing),
            ],
        );
        assert_eq!(
            (&rows[0]["topic"], &rows[0]["value_topic"]),
            (&json!("audit.manifests"), &json!("hl7.raw"))
        );
        assert_eq!((&rows[0]["value_partition"], &rows[0]["message"]), (&json!(4), &Value::Null));
        let message = json!("MSH|^~\\&|***|***|||***||ORU^R01|***|P|2.5\rPID|***");
        assert_eq!((&rows[1]["message"], &rows[1]["key"]), (&message, &json!("***")));
        assert_eq!((&rows[1]["leaf"], &rows[1]["first_offset"]), (&Value::Null, &Value::Null));
        assert_eq!((&rows[2]["message"], &rows[2]["offset"]), (&Value::Null, &json!(2)));
    }

    #[test]
    fn every_contract_has_columns() {
        for topic in contracts::topics(1) {
            let fields = Fields::of(std::slice::from_ref(&topic.name));
            assert_eq!(fields.fields.is_empty(), topic.schema.is_none(), "{}", topic.name);
            assert_eq!(fields.message, topic.schema.is_none(), "{}", topic.name);
        }
        let all: Vec<String> = contracts::topics(1).into_iter().map(|topic| topic.name).collect();
        let fields = Fields::of(&all).fields;
        assert_eq!(fields["received_at"].0, Kind::Time);
        // A word to notify, a judgement with its probability to classify.
        assert_eq!((fields["urgency"].0, fields["urgency_label"].0), (Kind::Text, Kind::Text));
        assert!(ParquetFile::new(Vec::new(), &all).is_ok());
    }

    #[test]
    fn a_file_without_records_is_read() {
        assert_eq!(written(&["hl7.raw"], true, &[]), Vec::<Value>::new());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever the fields hold, each row is there, in its order, and what a column cannot hold is null.
        #[test]
        fn rows_come_back(fields in proptest::collection::vec((any::<i64>(), ".{0,8}", any::<bool>()), 0..40)) {
            let records: Vec<(&str, Content)> = fields
                .iter()
                .map(|(number, text, odd)| {
                    let at = if *odd { json!(text) } else { json!(number) };
                    ("fhir.deidentified", Content::Avro(json!({"event_id": text, "received_at": at, "facility": number})))
                })
                .collect();
            let rows = written(&["fhir.deidentified"], true, &records);
            prop_assert_eq!(rows.len(), fields.len());
            for (offset, (row, (number, text, odd))) in (0_i64..).zip(rows.iter().zip(&fields)) {
                prop_assert_eq!(&row["offset"], &json!(offset));
                prop_assert_eq!(&row["event_id"], &json!(text));
                prop_assert_eq!(&row["received_at"], &if *odd { Value::Null } else { json!(number) });
                prop_assert_eq!(&row["facility"], &json!(number.to_string()));
            }
        }
    }
}
