//! The table of all keys, for the documentation.

use schemars::JsonSchema;
use serde::Serialize;
use toml::{Table, Value};

use crate::environment::variable;
use crate::layers::{defaults, join};
use crate::schema::{Node, Schema};

/// Sections within sections within lists; deeper than any configuration goes.
const MAX_DEPTH: usize = 8;

/// A key that takes a value.
pub(crate) struct Leaf<'s> {
    /// `kafka.bootstrap_servers`; `channels[].url` in a list of tables, `teams.<name>.url` in a map of them.
    pub(crate) key: String,
    pub(crate) node: Node<'s>,
}

/// All keys that take a value, in the order of the struct.
pub(crate) fn leaves<'s>(root: &Node<'s>) -> Vec<Leaf<'s>> {
    let mut found = Vec::new();
    descend(root, "", 0, &mut found);
    found
}

fn descend<'s>(node: &Node<'s>, parent: &str, depth: usize, found: &mut Vec<Leaf<'s>>) {
    for (name, field) in node.fields() {
        let key = join(parent, name);
        let items = field.items().filter(Node::is_section);
        let entries = field.entries().filter(Node::is_section);
        if depth < MAX_DEPTH && field.is_section() {
            descend(&field, &key, depth + 1, found);
            continue;
        }
        found.push(Leaf { key: key.clone(), node: field });
        if let Some(items) = items.filter(|_| depth < MAX_DEPTH) {
            descend(&items, &format!("{key}[]"), depth + 1, found);
        }
        if let Some(entries) = entries.filter(|_| depth < MAX_DEPTH) {
            descend(&entries, &format!("{key}.<name>"), depth + 1, found);
        }
    }
}

/// The keys of a service as a Markdown table under a heading: key, environment variable, type and unit, default,
/// and meaning, which is the doc comment of the field.
///
/// Defaults are those of `T::default()`. A service whose default has no TOML form gets a table without defaults.
#[must_use]
pub fn reference<T: JsonSchema + Default + Serialize>(service: &str) -> String {
    let schema = Schema::of::<T>();
    let defaults = defaults::<T>().unwrap_or_default();
    let mut page = format!(
        "## `{}`\n\n| Key | Environment variable | Type | Default | Meaning |\n| --- | --- | --- | --- | --- |\n",
        crate::cli::program(service)
    );
    for leaf in leaves(&schema.root()) {
        let (variable, default) = if leaf.key.contains("[]") || leaf.key.contains('<') {
            ("–".to_owned(), default_of_entry(&leaf.node))
        } else {
            let mut variable = format!("`{}`", variable(&leaf.key));
            if leaf.node.is_secret() {
                variable.push_str(&format!(" or `{}_FILE`", crate::environment::variable(&leaf.key)));
            }
            (variable, lookup(&defaults, &leaf.key).map_or_else(|| "–".to_owned(), show))
        };
        let default = if leaf.node.is_secret() { "–".to_owned() } else { default };
        page.push_str(&format!(
            "| `{}` | {variable} | {} | {} | {} |\n",
            leaf.key,
            cell(&leaf.node.expected()),
            cell(&default),
            cell(leaf.node.text("description").unwrap_or_default()),
        ));
    }
    page
}

fn lookup<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    let mut levels = key.split('.');
    let first = table.get(levels.next()?)?;
    levels.try_fold(first, |value, level| value.get(level))
}

fn default_of_entry(node: &Node<'_>) -> String {
    match node.first("default") {
        None | Some(serde_json::Value::Null) => "–".to_owned(),
        Some(serde_json::Value::String(text)) => show(&Value::String(text.clone())),
        Some(value) => format!("`{value}`"),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(items) if items.is_empty() => "empty".to_owned(),
        Value::Table(entries) if entries.is_empty() => "empty".to_owned(),
        value => format!("`{value}`"),
    }
}

/// A cell is one line and holds no bar.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
