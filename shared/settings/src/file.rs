//! The TOML file, with the line of each key.

use std::path::Path;

use toml::Table;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Source};
use crate::layers::{Layers, join, nearest, overlay};
use crate::schema::{Child, Node};

/// Lays a file over what is there.
pub(crate) fn read(layers: &mut Layers<'_>, path: &Path) -> Result<(), Error> {
    let unreadable = |source| Error::ReadFile { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let syntax = |error: &toml::de::Error| {
        let (line, column) = position(&text, error.span().map_or(0, |span| span.start));
        // Only the parser's own words: `Display` of this error quotes the line, which may hold a password.
        Error::Syntax { path: path.to_owned(), line, column, reason: error.message().replace('\n', ", ") }
    };
    let parsed = DeTable::parse(&text).map_err(|error| syntax(&error))?;
    let mut walk = Walk { layers, path, text: &text };
    let root = walk.layers.schema.root();
    walk.table(&root, parsed.get_ref(), "")?;
    let values: Table = toml::from_str(&text).map_err(|error| syntax(&error))?;
    overlay(&root, &mut layers.values, values);
    Ok(())
}

struct Walk<'w, 's> {
    layers: &'w mut Layers<'s>,
    path: &'w Path,
    text: &'w str,
}

impl<'s> Walk<'_, 's> {
    fn table(&mut self, node: &Node<'s>, table: &DeTable<'_>, parent: &str) -> Result<(), Error> {
        for (name, value) in table {
            let key = join(parent, name.get_ref());
            let line = position(self.text, name.span().start).0;
            let origin = Source::File { path: self.path.to_owned(), line: Some(line) };
            let Some(Child::Field(child) | Child::Entry(child)) = node.child(name.get_ref()) else {
                let nearest = self.nearest(node, name.get_ref(), parent);
                return Err(Error::UnknownKey { key, origin, nearest });
            };
            self.layers.origins.insert(key.clone(), origin);
            self.value(&child, value.get_ref(), &key)?;
        }
        Ok(())
    }

    fn value(&mut self, node: &Node<'s>, value: &DeValue<'_>, key: &str) -> Result<(), Error> {
        match value {
            DeValue::Table(table) if node.is_section() || node.entries().is_some() => {
                self.table(node, table, key)
            }
            DeValue::Array(items) => {
                let Some(node) = node.items() else { return Ok(()) };
                for (index, item) in items.iter().enumerate() {
                    let key = format!("{key}[{index}]");
                    let line = position(self.text, item.span().start).0;
                    let origin = Source::File { path: self.path.to_owned(), line: Some(line) };
                    self.layers.origins.insert(key.clone(), origin);
                    self.value(&node, item.get_ref(), &key)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A key of this section that is spelt alike, or else the section to which exactly this key belongs.
    fn nearest(&self, node: &Node<'s>, name: &str, parent: &str) -> Option<String> {
        let fields = node.fields();
        let here = nearest(name, fields.iter().map(|(field, _)| *field)).map(|field| join(parent, field));
        here.or_else(|| {
            let sections = self.layers.schema.root().fields();
            sections
                .into_iter()
                .find(|(_, section)| section.fields().iter().any(|(field, _)| *field == name))
                .map(|(section, _)| join(section, name))
        })
    }
}

/// 1-based line and column (in bytes) of an offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}
