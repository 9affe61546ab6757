//! Defaults, file and environment laid over one another and read as one typed value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::{Table, Value};

use crate::cli::Args;
use crate::environment::{self, CONFIG_VARIABLE};
use crate::error::{Error, Source};
use crate::file;
use crate::schema::{Child, Node, Schema};
use crate::secret::MASK_REASON;

/// What is known before the struct is read: the merged values, and where each came from.
pub(crate) struct Layers<'s> {
    pub(crate) schema: &'s Schema,
    pub(crate) values: Table,
    pub(crate) origins: BTreeMap<String, Source>,
}

/// Reads the configuration of a service from its defaults, the file that `args` or `WARDSTREAM_CONFIG` names,
/// and this process's environment.
///
/// # Errors
/// Every [`Error`]; the first problem found, file before environment.
pub fn load<T>(args: &Args) -> Result<T, Error>
where
    T: DeserializeOwned + Serialize + JsonSchema + Default,
{
    let named = || std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    load_from(args.config.clone().or_else(named).as_deref(), std::env::vars_os())
}

/// [`load`] with the file and the environment passed in.
///
/// # Errors
/// As [`load`].
pub fn load_from<T>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<T, Error>
where
    T: DeserializeOwned + Serialize + JsonSchema + Default,
{
    let schema = Schema::of::<T>();
    let mut values = defaults::<T>()?;
    // A secret's default is masked by now; the struct's own default stands in for what is removed here.
    remove_secrets(&schema.root(), &mut values);
    let mut layers = Layers { schema: &schema, values, origins: BTreeMap::new() };
    if let Some(path) = file {
        file::read(&mut layers, path)?;
    }
    environment::read(&mut layers, environment)?;
    layers.deserialize()
}

/// The effective configuration as TOML, with secrets masked.
///
/// # Errors
/// [`Error::Unrepresentable`] if the struct has no TOML form.
pub fn to_toml<T: Serialize>(config: &T) -> Result<String, Error> {
    toml::to_string_pretty(config).map_err(Error::Unrepresentable)
}

pub(crate) fn defaults<T: Default + Serialize>() -> Result<Table, Error> {
    Table::try_from(T::default()).map_err(Error::Unrepresentable)
}

fn remove_secrets(node: &Node<'_>, table: &mut Table) {
    for (name, field) in node.fields() {
        if field.is_secret() {
            table.remove(name);
        } else if let Some(Value::Table(inner)) = table.get_mut(name) {
            remove_secrets(&field, inner);
        }
    }
}

/// Lays one table over another. Sections merge key by key; everything else, maps and lists included, replaces
/// what was there, so that an operator can take a default entry out of a map.
pub(crate) fn overlay(node: &Node<'_>, under: &mut Table, over: Table) {
    for (key, value) in over {
        let section = match node.child(&key) {
            Some(Child::Field(field)) if field.is_plain_section() => Some(field),
            _ => None,
        };
        match (section, under.get_mut(&key), value) {
            (Some(field), Some(Value::Table(under)), Value::Table(over)) => overlay(&field, under, over),
            (_, _, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// A key's path as messages show it: `kafka.bootstrap_servers`, `channels[2].url`.
pub(crate) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// The candidate that is nearest in spelling, if any is near enough to be meant.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        // Similarity rates a slip in a three-letter name too low; one edit apart is near whatever the length.
        .filter(|(score, candidate)| {
            *score >= 0.75 || (name.len() > 2 && strsim::osa_distance(name, candidate) == 1)
        })
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

impl Layers<'_> {
    fn deserialize<T: DeserializeOwned>(self) -> Result<T, Error> {
        let Self { schema, values, origins } = self;
        let values = Value::Table(values);
        serde_path_to_error::deserialize(values.clone()).map_err(|error| {
            let (mut path, mut origin) = (String::new(), Source::Default);
            let (mut node, mut at) = (Some(schema.root()), Some(&values));
            let mut secret = false;
            for segment in error.path() {
                let (child, value) = match segment {
                    Segment::Map { key } => {
                        path = join(&path, key);
                        let child = node.as_ref().and_then(|node| match node.child(key)? {
                            Child::Field(child) | Child::Entry(child) => Some(child),
                        });
                        (child, at.and_then(|value| value.get(key)))
                    }
                    Segment::Seq { index } => {
                        path = format!("{path}[{index}]");
                        (node.as_ref().and_then(Node::items), at.and_then(|value| value.get(index)))
                    }
                    Segment::Enum { .. } | Segment::Unknown => continue,
                };
                (node, at) = (child, value);
                secret |= node.as_ref().is_some_and(Node::is_secret);
                if let Some(source) = origins.get(&path) {
                    origin = source.clone();
                }
            }
            let message = error.inner().message();
            if let Some(field) =
                message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
            {
                let key = join(&path, field);
                return Error::Missing { variable: environment::variable(&key), key };
            }
            let expected = node.map_or_else(|| "of another type".to_owned(), |node| node.expected());
            let reason = reason(message, at, secret).map(str::to_owned);
            Error::WrongType { key: path, origin, expected, reason }
        })
    }
}

/// What a type's own parser said, unless it may quote the value: serde's standard messages do, and so may others.
fn reason<'m>(message: &'m str, value: Option<&Value>, secret: bool) -> Option<&'m str> {
    let quotes = ["invalid type", "invalid value", "invalid length", "unknown variant", "unknown field"]
        .iter()
        .any(|prefix| message.starts_with(prefix));
    let contains = match value {
        Some(Value::String(text)) => !text.is_empty() && message.contains(text.as_str()),
        Some(_) => false,
        None => true,
    };
    let shown = if secret { message == MASK_REASON } else { !quotes && !contains };
    shown.then_some(message)
}
