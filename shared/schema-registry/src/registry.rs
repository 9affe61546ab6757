//! Subjects, versions and ids.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::compatibility::{Incompatible, can_read, parse};
use crate::error::Error;

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The subject, such as `fhir.received-value`.
    pub subject: String,
    /// Counted from 1 within the subject.
    pub version: u32,
    /// Global; the same schema has the same id under every subject.
    pub id: u32,
    /// The schema as compact JSON.
    pub schema: String,
}

/// Schemas by subject and by id, in memory.
#[derive(Debug, Default)]
pub struct Registry {
    /// By id less one.
    schemas: Vec<Stored>,
    /// By canonical text.
    ids: HashMap<String, u32>,
    /// Ids by version less one.
    subjects: BTreeMap<String, Vec<u32>>,
}

#[derive(Debug)]
struct Stored {
    text: String,
    parsed: apache_avro::Schema,
}

/// A schema that was found to be valid.
struct Checked {
    stored: Stored,
    canonical: String,
}

impl Registry {
    /// A registry of the given `(subject, schema)` pairs. Several schemas of one subject are its versions, in the
    /// order given; otherwise the order has no influence on ids.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`], naming the subject, and [`Error::Incompatible`].
    pub fn with_schemas(schemas: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut schemas: Vec<(String, String)> = schemas.into_iter().collect();
        schemas.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut registry = Self::default();
        for (subject, schema) in schemas {
            registry.register(&subject, &schema).map_err(|error| match error {
                Error::InvalidSchema(reason) => {
                    Error::InvalidSchema(format!("subject '{subject}': {reason}"))
                }
                error => error,
            })?;
        }
        Ok(registry)
    }

    /// Registers a schema as the next version of a subject and gives its id. A schema that the subject has already
    /// keeps its version.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`], and [`Error::Incompatible`] if it cannot read what an earlier version wrote.
    pub fn register(&mut self, subject: &str, schema: &str) -> Result<u32, Error> {
        let checked = check(schema)?;
        if let Some(found) = self.find(subject, &checked) {
            return Ok(found.id);
        }
        self.compatible(subject, &checked, None)
            .map_err(|source| Error::Incompatible { subject: subject.to_owned(), source })?;
        let id = match self.ids.get(&checked.canonical) {
            Some(id) => *id,
            None => {
                self.schemas.push(checked.stored);
                let id = u32::try_from(self.schemas.len())
                    .map_err(|_| Error::InvalidSchema("the registry is full".to_owned()))?;
                self.ids.insert(checked.canonical, id);
                id
            }
        };
        self.subjects.entry(subject.to_owned()).or_default().push(id);
        Ok(id)
    }

    /// Finds a schema under a subject.
    ///
    /// # Errors
    /// [`Error::SubjectNotFound`], [`Error::SchemaNotFound`], [`Error::InvalidSchema`].
    pub fn lookup(&self, subject: &str, schema: &str) -> Result<Registered, Error> {
        self.versions(subject)?;
        self.find(subject, &check(schema)?).ok_or(Error::SchemaNotFound)
    }

    /// Whether a schema could be registered: against one version, or against all. A subject without versions takes
    /// any schema.
    ///
    /// # Errors
    /// [`Error::VersionNotFound`] if `version` is given and the subject lacks it; [`Error::InvalidSchema`].
    pub fn compatibility(
        &self,
        subject: &str,
        schema: &str,
        version: Option<u32>,
    ) -> Result<Result<(), Incompatible>, Error> {
        let checked = check(schema)?;
        if let Some(version) = version {
            self.version(subject, version)?;
        }
        Ok(self.compatible(subject, &checked, version))
    }

    /// The text of a schema.
    ///
    /// # Errors
    /// [`Error::IdNotFound`].
    pub fn schema(&self, id: u32) -> Result<&str, Error> {
        self.stored(id).map(|stored| stored.text.as_str()).ok_or(Error::IdNotFound(id))
    }

    /// The subjects and versions that have a schema.
    ///
    /// # Errors
    /// [`Error::IdNotFound`].
    pub fn uses(&self, id: u32) -> Result<Vec<(&str, u32)>, Error> {
        self.schema(id)?;
        let mut uses = Vec::new();
        for (subject, ids) in &self.subjects {
            uses.extend(
                (1..)
                    .zip(ids)
                    .filter(|(_, used)| **used == id)
                    .map(|(version, _)| (subject.as_str(), version)),
            );
        }
        Ok(uses)
    }

    /// All subjects, sorted.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.subjects.keys().map(String::as_str)
    }

    /// The versions of a subject, ascending.
    ///
    /// # Errors
    /// [`Error::SubjectNotFound`].
    pub fn versions(&self, subject: &str) -> Result<Vec<u32>, Error> {
        Ok((1..).zip(self.ids_of(subject)?).map(|(version, _)| version).collect())
    }

    /// One version of a subject.
    ///
    /// # Errors
    /// [`Error::SubjectNotFound`], [`Error::VersionNotFound`].
    pub fn version(&self, subject: &str, version: u32) -> Result<Registered, Error> {
        let ids = self.ids_of(subject)?;
        let missing = || Error::VersionNotFound(version);
        let index =
            version.checked_sub(1).and_then(|index| usize::try_from(index).ok()).ok_or_else(missing)?;
        let id = *ids.get(index).ok_or_else(missing)?;
        let schema = self.schema(id)?.to_owned();
        Ok(Registered { subject: subject.to_owned(), version, id, schema })
    }

    /// The latest version of a subject.
    ///
    /// # Errors
    /// [`Error::SubjectNotFound`].
    pub fn latest(&self, subject: &str) -> Result<Registered, Error> {
        let count = self.ids_of(subject)?.len();
        self.version(subject, u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn ids_of(&self, subject: &str) -> Result<&[u32], Error> {
        self.subjects
            .get(subject)
            .map(Vec::as_slice)
            .ok_or_else(|| Error::SubjectNotFound(subject.to_owned()))
    }

    fn stored(&self, id: u32) -> Option<&Stored> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.schemas.get(index)
    }

    fn find(&self, subject: &str, checked: &Checked) -> Option<Registered> {
        let id = self.ids.get(&checked.canonical)?;
        let (version, _) = (1..).zip(self.subjects.get(subject)?).find(|(_, known)| *known == id)?;
        self.version(subject, version).ok()
    }

    fn compatible(&self, subject: &str, checked: &Checked, only: Option<u32>) -> Result<(), Incompatible> {
        let ids = self.subjects.get(subject).map_or(&[][..], Vec::as_slice);
        for (version, id) in (1u32..).zip(ids).filter(|(version, _)| only.is_none_or(|only| only == *version))
        {
            let Some(earlier) = self.stored(*id) else { continue };
            can_read(&checked.stored.parsed, &earlier.parsed)
                .map_err(|detail| Incompatible { version: usize::try_from(version).ok(), detail })?;
        }
        Ok(())
    }
}

fn check(text: &str) -> Result<Checked, Error> {
    let parsed = parse(text).map_err(Error::InvalidSchema)?;
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        // A primitive schema may stand without quotes, as in `string`.
        Err(_) => Value::String(text.trim().to_owned()),
    };
    Ok(Checked { canonical: sorted(&value).to_string(), stored: Stored { text: value.to_string(), parsed } })
}

/// The same JSON with sorted keys.
///
/// This is what makes two schemas the same. Avro's own Parsing Canonical Form would not do: it leaves out defaults and
/// aliases, so that a version which only adds a default would be taken for the one that lacks it.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            Value::Object(fields.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"type":"record","name":"A","fields":[]}"#;
    const TWO: &str = r#"{"type":"record","name":"A","fields":[{"name":"a","type":"int","default":0}]}"#;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(subject, schema)| ((*subject).to_owned(), (*schema).to_owned())).collect()
    }

    #[test]
    fn ids_do_not_depend_on_the_order_given() {
        let left = Registry::with_schemas(pairs(&[("b", TWO), ("a", ONE)])).unwrap();
        let right = Registry::with_schemas(pairs(&[("a", ONE), ("b", TWO)])).unwrap();
        for subject in ["a", "b"] {
            assert_eq!(left.latest(subject).unwrap(), right.latest(subject).unwrap());
        }
        assert_eq!(left.latest("a").unwrap().id, 1);
    }

    #[test]
    fn registering_again_changes_nothing() {
        let mut registry = Registry::default();
        let id = registry.register("a", ONE).unwrap();
        let spaced = "{ \"name\": \"A\",\n \"fields\": [ ], \"type\": \"record\" }";
        assert_eq!(registry.register("a", spaced).unwrap(), id);
        assert_eq!(registry.versions("a").unwrap(), [1]);
        assert_eq!(registry.register("b", spaced).unwrap(), id);
        assert_eq!(registry.uses(id).unwrap(), [("a", 1), ("b", 1)]);
    }

    #[test]
    fn a_version_that_only_adds_a_default_is_a_version() {
        let mut registry = Registry::default();
        let bare = r#"{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]}"#;
        let first = registry.register("a", bare).unwrap();
        assert_ne!(registry.register("a", TWO).unwrap(), first);
        assert_eq!(registry.versions("a").unwrap(), [1, 2]);
    }

    #[test]
    fn an_incompatible_schema_is_refused_and_leaves_no_trace() {
        let mut registry = Registry::with_schemas(pairs(&[("a", ONE)])).unwrap();
        let bare = r#"{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]}"#;
        let error = registry.register("a", bare).unwrap_err();
        assert_eq!((error.code(), error.status()), (409, 409));
        assert!(error.message().contains("version 1: field `a` is new and has no default value"));
        assert_eq!(registry.versions("a").unwrap(), [1]);
        assert!(registry.schema(2).is_err());
    }

    #[test]
    fn what_is_absent_has_its_own_code() {
        let registry = Registry::with_schemas(pairs(&[("a", ONE)])).unwrap();
        assert_eq!(registry.latest("z").unwrap_err().code(), 40401);
        assert_eq!(registry.version("a", 2).unwrap_err().code(), 40402);
        assert_eq!(registry.version("a", 0).unwrap_err().code(), 40402);
        assert_eq!(registry.schema(9).unwrap_err().code(), 40403);
        assert_eq!(registry.lookup("a", TWO).unwrap_err().code(), 40403);
        assert_eq!(registry.lookup("z", TWO).unwrap_err().code(), 40401);
        assert_eq!(Registry::with_schemas(pairs(&[("a", "{}")])).unwrap_err().code(), 42201);
    }

    #[test]
    fn a_primitive_schema_needs_no_quotes() {
        let mut registry = Registry::default();
        let quoted = registry.register("k", "\"string\"").unwrap();
        assert_eq!(registry.schema(quoted).unwrap(), "\"string\"");
    }
}
