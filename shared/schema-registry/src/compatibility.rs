//! Whether a schema can read what its predecessors wrote.

use std::collections::HashMap;

use apache_avro::error::CompatibilityError;
use apache_avro::schema::{Schema, UnionSchema};
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

/// A schema with its references written out is refused beyond this many types: each use of a type counts, so a
/// few lines of a hostile schema could otherwise name millions.
const MAX_TYPES: usize = 20_000;
/// A schema nested deeper than this is refused.
const MAX_DEPTH: usize = 200;

/// Why a schema cannot read what an earlier version wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{detail}", version.map(|version| format!("version {version}: ")).unwrap_or_default())]
pub struct Incompatible {
    /// The earlier version, counted from 1; none where the schema itself is at fault.
    pub version: Option<usize>,
    /// The field and the reason.
    pub detail: String,
}

/// Checks that records written with any of `previous` (oldest first) can be read with `new`
/// (`BACKWARD_TRANSITIVE`), by the rules of schema resolution in the Avro 1.12 specification.
///
/// Stricter than "can sometimes be read": a reader that lacks a symbol of an enum (and has no default for it) or a
/// branch of a union fails on some records, and is refused.
///
/// # Errors
/// [`Incompatible`] for the latest version that cannot be read, or if a schema is not valid Avro.
pub fn check_backward_transitive(new: &str, previous: &[&str]) -> Result<(), Incompatible> {
    let new = parse(new).map_err(|detail| Incompatible { version: None, detail })?;
    for (index, old) in previous.iter().enumerate().rev() {
        let incompatible = |detail| Incompatible { version: Some(index + 1), detail };
        let old = parse(old).map_err(incompatible)?;
        can_read(&new, &old).map_err(incompatible)?;
    }
    Ok(())
}

/// Parses a schema and writes its references out.
///
/// The comparison takes two references for equal when their names are: a type that changed and is first used in a
/// place that the other version lacks would go unseen. Only references of a type to itself remain, and those are
/// compared where the type is.
pub(crate) fn parse(text: &str) -> Result<Schema, String> {
    let mut schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
    let mut definitions = HashMap::new();
    define(&schema, &mut definitions, 0)?;
    let mut budget = MAX_TYPES;
    inline(&mut schema, &definitions, &mut Vec::new(), &mut budget, 0)?;
    Ok(schema)
}

pub(crate) fn can_read(reader: &Schema, writer: &Schema) -> Result<(), String> {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => Ok(()),
        Ok(Compatibility::Partial) => {
            Err("only some records can be read: an enum lacks symbols or a union lacks branches".to_owned())
        }
        Err(error) => Err(explain(&error)),
    }
}

fn explain(error: &CompatibilityError) -> String {
    match error {
        CompatibilityError::FieldTypeMismatch(field, cause) => format!("field `{field}`: {}", explain(cause)),
        CompatibilityError::MissingDefaultValue(field) => {
            format!("field `{field}` is new and has no default value")
        }
        // This variant prints both schemas whole; their kinds are enough beside the field's name.
        CompatibilityError::WrongType { writer_schema_type, reader_schema_type } => {
            let kind = |text: &str| {
                text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_lowercase()
            };
            format!("{} cannot be read as {}", kind(writer_schema_type), kind(reader_schema_type))
        }
        CompatibilityError::MissingSymbols => "an enum has none of the symbols it had".to_owned(),
        CompatibilityError::MissingUnionElements | CompatibilityError::SchemaMismatchAllUnionElements => {
            "no branch of the union can be read".to_owned()
        }
        error => error.to_string(),
    }
}

fn define(schema: &Schema, definitions: &mut HashMap<String, Schema>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(too_large());
    }
    if let (Some(name), false) = (schema.name(), matches!(schema, Schema::Ref { .. })) {
        definitions.insert(name.fullname(None), schema.clone());
    }
    match schema {
        Schema::Record(record) => {
            record.fields.iter().try_for_each(|field| define(&field.schema, definitions, depth + 1))
        }
        Schema::Array(array) => define(&array.items, definitions, depth + 1),
        Schema::Map(map) => define(&map.types, definitions, depth + 1),
        Schema::Union(union) => {
            union.variants().iter().try_for_each(|branch| define(branch, definitions, depth + 1))
        }
        _ => Ok(()),
    }
}

fn inline(
    schema: &mut Schema,
    definitions: &HashMap<String, Schema>,
    within: &mut Vec<String>,
    budget: &mut usize,
    depth: usize,
) -> Result<(), String> {
    *budget = budget.checked_sub(1).filter(|_| depth <= MAX_DEPTH).ok_or_else(too_large)?;
    if let Schema::Ref { name } = schema {
        let name = name.fullname(None);
        match definitions.get(&name) {
            Some(definition) if !within.contains(&name) => *schema = definition.clone(),
            _ => return Ok(()),
        }
    }
    match schema {
        Schema::Record(record) => {
            within.push(record.name.fullname(None));
            for field in &mut record.fields {
                inline(&mut field.schema, definitions, within, budget, depth + 1)?;
            }
            within.pop();
        }
        Schema::Array(array) => inline(&mut array.items, definitions, within, budget, depth + 1)?,
        Schema::Map(map) => inline(&mut map.types, definitions, within, budget, depth + 1)?,
        Schema::Union(union) => {
            let mut branches = union.variants().to_vec();
            for branch in &mut branches {
                inline(branch, definitions, within, budget, depth + 1)?;
            }
            *union = UnionSchema::new(branches).map_err(|error| error.to_string())?;
        }
        _ => {}
    }
    Ok(())
}

fn too_large() -> String {
    format!("the schema is nested deeper than {MAX_DEPTH} levels or uses more than {MAX_TYPES} types")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"Case","namespace":"x","fields":[{fields}]}}"#)
    }

    fn detail(new: &str, previous: &[&str]) -> String {
        check_backward_transitive(new, previous).unwrap_err().to_string()
    }

    #[test]
    fn a_new_field_needs_a_default() {
        let old = record(r#"{"name":"id","type":"string"}"#);
        let with = record(
            r#"{"name":"id","type":"string"},{"name":"note","type":["null","string"],"default":null}"#,
        );
        let without = record(r#"{"name":"id","type":"string"},{"name":"note","type":"string"}"#);
        assert_eq!(check_backward_transitive(&with, &[&old]), Ok(()));
        assert_eq!(detail(&without, &[&old]), "version 1: field `note` is new and has no default value");
    }

    #[test]
    fn every_earlier_version_counts_and_not_the_last_alone() {
        let first = record("");
        let second = record(r#"{"name":"a","type":"int","default":0}"#);
        let third = record(r#"{"name":"a","type":"int"}"#);
        assert_eq!(check_backward_transitive(&third, &[&second]), Ok(()));
        assert_eq!(
            detail(&third, &[&first, &second]),
            "version 1: field `a` is new and has no default value"
        );
    }

    #[test]
    fn types_may_widen_and_not_narrow() {
        let int = record(r#"{"name":"n","type":"int"}"#);
        let long = record(r#"{"name":"n","type":"long"}"#);
        assert_eq!(check_backward_transitive(&long, &[&int]), Ok(()));
        assert_eq!(detail(&int, &[&long]), "version 1: field `n`: long cannot be read as int");
    }

    #[test]
    fn a_symbol_or_branch_may_be_added_and_not_taken_away() {
        let two = record(r#"{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}}"#);
        let one = record(r#"{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}}"#);
        assert_eq!(check_backward_transitive(&two, &[&one]), Ok(()));
        assert!(detail(&one, &[&two]).contains("only some records"));
        let wide = record(r#"{"name":"u","type":["null","string","long"]}"#);
        let narrow = record(r#"{"name":"u","type":["null","string"]}"#);
        assert_eq!(check_backward_transitive(&wide, &[&narrow]), Ok(()));
        assert!(detail(&narrow, &[&wide]).contains("only some records"));
        let plain = record(r#"{"name":"u","type":"string"}"#);
        assert_eq!(check_backward_transitive(&narrow, &[&plain]), Ok(()));
        assert!(detail(&plain, &[&narrow]).contains("only some records"));
    }

    #[test]
    fn a_changed_type_is_seen_behind_references() {
        let old = record(
            r#"{"name":"a","type":{"type":"record","name":"X","fields":[{"name":"v","type":"string"}]}},
               {"name":"b","type":"x.X"}"#,
        );
        // `n` has a default and `a` is gone, so that only `b`, a reference in both, shows the change of `X`.
        let new = record(
            r#"{"name":"n","type":["null",{"type":"record","name":"X","fields":[{"name":"v","type":"int"}]}],"default":null},
               {"name":"b","type":"x.X"}"#,
        );
        assert_eq!(detail(&new, &[&old]), "version 1: field `b`: field `v`: string cannot be read as int");
    }

    #[test]
    fn a_recursive_type_is_compared() {
        let tree = |kind: &str| {
            record(&format!(
                r#"{{"name":"v","type":"{kind}"}},{{"name":"next","type":["null","x.Case"],"default":null}}"#
            ))
        };
        assert_eq!(check_backward_transitive(&tree("long"), &[&tree("int")]), Ok(()));
        assert!(check_backward_transitive(&tree("int"), &[&tree("long")]).is_err());
    }

    #[test]
    fn a_schema_that_grows_out_of_bounds_is_refused() {
        let mut fields = vec![r#"{"name":"f0","type":{"type":"record","name":"R0","fields":[]}}"#.to_owned()];
        for level in 1..40 {
            let below = level - 1;
            fields.push(format!(
                r#"{{"name":"f{level}","type":{{"type":"record","name":"R{level}","fields":[{{"name":"a","type":"x.R{below}"}},{{"name":"b","type":"x.R{below}"}}]}}}}"#
            ));
        }
        assert!(detail(&record(&fields.join(",")), &[]).contains("more than"));
    }

    #[test]
    fn what_is_not_a_schema_is_refused_with_a_reason() {
        for text in ["", "{}", "nonsense", r#"{"type":"record","name":"A"}"#, r#"{"type":"unheard"}"#] {
            assert!(check_backward_transitive(text, &[]).is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn every_schema_reads_what_it_wrote(kinds in proptest::collection::vec(
            prop_oneof![
                Just(r#""int""#), Just(r#""string""#), Just(r#"["null","long"]"#), Just(r#"{"type":"array","items":"bytes"}"#),
                Just(r#"{"type":"map","values":["null","double"]}"#), Just(r#"{"type":"long","logicalType":"timestamp-millis"}"#),
            ], 0..6,
        )) {
            let fields: Vec<String> =
                kinds.iter().enumerate().map(|(i, kind)| format!(r#"{{"name":"f{i}","type":{kind}}}"#)).collect();
            let schema = record(&fields.join(","));
            prop_assert_eq!(check_backward_transitive(&schema, &[&schema]), Ok(()));
        }
    }
}
