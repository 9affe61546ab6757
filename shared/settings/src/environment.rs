//! `WARDSTREAM_<SECTION>__<KEY>` variables.

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;

use toml::{Table, Value};

use crate::error::{Error, Source};
use crate::layers::{Layers, join, nearest};
use crate::reference::leaves;
use crate::schema::{Child, Node};

const PREFIX: &str = "WARDSTREAM_";
const LEVEL: &str = "__";
const FILE_SUFFIX: &str = "_FILE";
/// Names the configuration file; no key of any service.
pub(crate) const CONFIG_VARIABLE: &str = "WARDSTREAM_CONFIG";
/// More than any key or certificate needs; a larger file is a mistake such as a device or a core dump.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The variable of a key: `kafka.bootstrap_servers` is `WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS`.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', LEVEL))
}

/// Lays the environment over what is there.
pub(crate) fn read(
    layers: &mut Layers<'_>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Error> {
    let mut variables = Vec::new();
    for (name, text) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX) && *name != CONFIG_VARIABLE)
        else {
            continue;
        };
        let name = name.to_owned();
        let text = text.into_string().map_err(|_| Error::NotUnicode(name.clone()));
        variables.push((name, text));
    }
    variables.sort_by(|(left, _), (right, _)| left.cmp(right));
    for (name, text) in variables {
        if let Some(target) = resolve(layers, &name)? {
            layers.set(&name, target, text?)?;
        }
    }
    Ok(())
}

/// A key that a variable sets.
struct Target<'s> {
    path: Vec<String>,
    node: Node<'s>,
    from_file: bool,
}

fn resolve<'s>(layers: &Layers<'s>, name: &str) -> Result<Option<Target<'s>>, Error> {
    let levels: Vec<&str> = name.get(PREFIX.len()..).unwrap_or_default().split(LEVEL).collect();
    if let Some(target) = follow(layers.schema.root(), &levels, false) {
        return Ok(Some(target));
    }
    // `…__PASSWORD_FILE` where there is no key `password_file`: the secret `password`, read from a file.
    if let Some((last, parents)) = levels.split_last()
        && let Some(stem) = last.strip_suffix(FILE_SUFFIX)
    {
        let levels: Vec<&str> = parents.iter().copied().chain([stem]).collect();
        if let Some(target) =
            follow(layers.schema.root(), &levels, true).filter(|target| target.node.is_secret())
        {
            return Ok(Some(target));
        }
    }
    let known: Vec<String> = leaves(&layers.schema.root()).iter().map(|leaf| variable(&leaf.key)).collect();
    let first = levels.first().map(|level| level.to_lowercase()).unwrap_or_default();
    let of_this_service =
        levels.len() > 1 && layers.schema.root().fields().iter().any(|(field, _)| *field == first);
    // One underscore where two belong. Only an exact match counts: Kubernetes sets variables such as
    // `WARDSTREAM_NOTIFY_SERVICE_HOST` in every pod beside a service of that name.
    let flat = name.replace(LEVEL, "_");
    let meant = known.iter().find(|variable| variable.replace(LEVEL, "_") == flat);
    if !of_this_service && meant.is_none() {
        return Ok(None);
    }
    let nearest =
        meant.cloned().or_else(|| nearest(name, known.iter().map(String::as_str)).map(str::to_owned));
    Err(Error::UnknownKey { key: name.to_owned(), origin: Source::Variable(name.to_owned()), nearest })
}

fn follow<'s>(root: Node<'s>, levels: &[&str], from_file: bool) -> Option<Target<'s>> {
    let (mut node, mut path) = (root, Vec::new());
    for level in levels {
        let field = level.to_lowercase();
        // Variables are upper case by convention, field names lower case; the key of a map entry is the
        // operator's own and keeps its case.
        let (name, child) = match node.child(&field)? {
            Child::Field(child) => (field, child),
            Child::Entry(child) => ((*level).to_owned(), child),
        };
        path.push(name);
        node = child;
    }
    Some(Target { path, node, from_file })
}

impl Layers<'_> {
    fn set(&mut self, variable: &str, target: Target<'_>, text: String) -> Result<(), Error> {
        let key = target.path.iter().fold(String::new(), |parent, name| join(&parent, name));
        let origin = Source::Variable(variable.to_owned());
        let text = if target.from_file {
            if text.is_empty() {
                return Ok(());
            }
            if let Some(Source::Variable(other)) = self.origins.get(&key) {
                return Err(Error::SecretTwice { variable: other.clone() });
            }
            secret_file(variable, &text)?
        } else {
            text
        };
        let value = parse(&target.node, &text).map_err(|()| Error::WrongType {
            key: key.clone(),
            origin: origin.clone(),
            expected: target.node.expected(),
            reason: None,
        })?;
        let Some((last, parents)) = target.path.split_last() else { return Ok(()) };
        let mut table = &mut self.values;
        for parent in parents {
            let entry = table.entry(parent.as_str()).or_insert_with(|| Value::Table(Table::new()));
            // A file may hold a text where a section belongs; the variable is the later source and wins.
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            let Value::Table(inner) = entry else { return Ok(()) };
            table = inner;
        }
        match value {
            Some(value) => table.insert(last.clone(), value),
            None => table.remove(last),
        };
        self.origins.insert(key, origin);
        Ok(())
    }
}

fn secret_file(variable: &str, path: &str) -> Result<String, Error> {
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_SECRET_BYTES {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than 64 KiB"));
        }
        Ok(text)
    };
    let text = read().map_err(|source| Error::SecretFile {
        variable: variable.to_owned(),
        path: PathBuf::from(path),
        source,
    })?;
    // Editors and `echo` end a file with a line break that is no part of the secret.
    Ok(text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text).to_owned())
}

/// Reads a variable's text as the type its key takes; `None` unsets an optional key.
fn parse(node: &Node<'_>, text: &str) -> Result<Option<Value>, ()> {
    let trimmed = text.trim();
    if trimmed.is_empty() && node.takes("null") {
        return Ok(None);
    }
    if node.takes("boolean")
        && let Ok(flag) = trimmed.parse()
    {
        return Ok(Some(Value::Boolean(flag)));
    }
    if node.takes("integer")
        && let Ok(number) = trimmed.parse()
    {
        return Ok(Some(Value::Integer(number)));
    }
    if node.takes("number")
        && let Some(number) = trimmed.parse().ok().filter(|number: &f64| number.is_finite())
    {
        return Ok(Some(Value::Float(number)));
    }
    let structured = (node.takes("array") && trimmed.starts_with('['))
        || ((node.is_section() || node.takes("object")) && trimmed.starts_with('{'));
    if structured {
        return inline(trimmed).map(Some).ok_or(());
    }
    if node.takes("array") {
        let items = node.items();
        let pieces = trimmed.split(',').map(str::trim).filter(|piece| !piece.is_empty());
        let values: Result<Vec<Value>, ()> = pieces
            .map(|piece| match &items {
                Some(items) => parse(items, piece)?.ok_or(()),
                None => Ok(Value::String(piece.to_owned())),
            })
            .collect();
        return values.map(|values| Some(Value::Array(values)));
    }
    let scalar = ["boolean", "integer", "number", "object"].iter().any(|kind| node.takes(kind));
    if node.takes("string") || (!scalar && !node.is_section()) {
        return Ok(Some(Value::String(text.to_owned())));
    }
    Err(())
}

/// A list or table written in JSON, or inline in TOML.
fn inline(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        return from_json(value);
    }
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    // A line break in the text could otherwise bring in keys of its own.
    if table.len() == 1 { table.remove("value") } else { None }
}

fn from_json(value: serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(flag) => Value::Boolean(flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Float(number.as_f64()?),
        },
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(items) => {
            Value::Array(items.into_iter().map(from_json).collect::<Option<Vec<_>>>()?)
        }
        // A null is an absent key, as everywhere in TOML.
        serde_json::Value::Object(fields) => Value::Table(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| Some((key, from_json(value)?)))
                .collect::<Option<Table>>()?,
        ),
    })
}
