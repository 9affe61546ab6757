//! Profiles: what is demanded of resources beyond R4, from packages embedded in the crate or read from folders.
//!
//! A profile is compiled from the snapshot of its StructureDefinition to [`rule::Profile`] when it is first asked for,
//! and checked in addition to the walk over the resource, which knows R4 itself.

mod check;
mod codes;
mod compile;
mod constraint;
mod fixed;
mod package;
mod rule;
mod session;
mod slicing;
mod terminology;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::Value;

use crate::definitions::{Definitions, Type};
use compile::Unusable;
pub(crate) use rule::Profile;
use terminology::{Known, Terminology};

pub(crate) use check::Check;
pub use package::PackageError;
pub(crate) use session::Session;

/// Where R4's own definitions are.
const R4: &str = "http://hl7.org/fhir/StructureDefinition/";

/// What a set of packages defines.
#[derive(Debug, Default)]
pub(crate) struct Packages {
    /// By URL, and by URL and version: `http://…/us-core-patient|5.0.1`.
    profiles: HashMap<String, usize>,
    entries: Vec<Entry>,
    terminology: Terminology,
}

/// A definition, compiled on first use.
#[derive(Debug)]
struct Entry {
    type_name: String,
    definition: Definition,
    compiled: OnceLock<Result<Profile, Unusable>>,
}

#[derive(Debug)]
enum Definition {
    /// JSON of the embedded table.
    Text(&'static str),
    Read(Value),
}

/// What a profile URL leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'p> {
    Profile(&'p Profile),
    /// A type of R4 itself: nothing more is demanded.
    Type(&'p Type),
    Unusable(Unusable),
}

/// Everything at hand: the packages of a validator, those embedded, and R4.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Library<'p> {
    pub(crate) definitions: &'p Definitions,
    pub(crate) packages: &'p Packages,
}

impl Packages {
    fn add(&mut self, url: &str, version: &str, type_name: &str, definition: Definition) {
        let at = self.entries.len();
        self.entries.push(Entry { type_name: type_name.to_owned(), definition, compiled: OnceLock::new() });
        self.profiles.insert(url.to_owned(), at);
        self.profiles.insert(format!("{url}|{version}"), at);
    }

    fn entry(&self, url: &str) -> Option<&Entry> {
        self.profiles.get(url).and_then(|at| self.entries.get(*at))
    }

    /// Those that come with the crate. Their index is read on first use.
    fn embedded() -> &'static Self {
        static EMBEDDED: OnceLock<Packages> = OnceLock::new();
        EMBEDDED.get_or_init(package::embedded)
    }
}

impl Entry {
    fn compiled(&self, definitions: &Definitions) -> Result<&Profile, Unusable> {
        let compile = || match &self.definition {
            Definition::Read(value) => compile::compile(definitions, value),
            Definition::Text(text) => {
                let value: Value = serde_json::from_str(text).map_err(|_| Unusable::Malformed)?;
                compile::compile(definitions, &value)
            }
        };
        self.compiled.get_or_init(compile).as_ref().map_err(|unusable| *unusable)
    }
}

impl<'p> Library<'p> {
    fn layers(self) -> [&'p Packages; 2] {
        [self.packages, Packages::embedded()]
    }

    /// A profile by its URL, with or without `|version`.
    pub(crate) fn find(self, url: &str) -> Option<Found<'p>> {
        if let Some(entry) = self.layers().into_iter().find_map(|layer| layer.entry(url)) {
            return Some(match entry.compiled(self.definitions) {
                Ok(profile) => Found::Profile(profile),
                Err(unusable) => Found::Unusable(unusable),
            });
        }
        let name = compile::unversioned(url).strip_prefix(R4)?;
        self.definitions.type_named(name).map(Found::Type)
    }

    /// The type a profile constrains, without compiling it.
    pub(crate) fn type_of(self, url: &str) -> Option<&'p str> {
        if let Some(entry) = self.layers().into_iter().find_map(|layer| layer.entry(url)) {
            return Some(&entry.type_name);
        }
        let name = compile::unversioned(url).strip_prefix(R4)?;
        self.definitions.type_named(name).map(Type::name)
    }

    /// Whether packages define an extension; HL7's own of R4 are checked by the walk.
    pub(crate) fn extension(self, url: &str) -> Option<&'p Profile> {
        let entry = self.layers().into_iter().find_map(|layer| layer.entry(url))?;
        (entry.type_name == "Extension").then(|| entry.compiled(self.definitions).ok())?
    }

    fn terminology(self) -> Known<'p> {
        let layers = self.layers().map(|layer| Some(&layer.terminology));
        Known { layers, definitions: self.definitions }
    }
}
