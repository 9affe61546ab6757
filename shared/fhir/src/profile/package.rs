//! Packages: the embedded table, and folders with an unpacked FHIR package.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compile::{list, text};
use super::{Definition, Packages};

/// Written by `examples/generate`: lines of `P`, URL, version, type and definition, or of `V` or `K` and definition.
const EMBEDDED: &str = include_str!("embedded.tsv");

/// Why a folder could not be read as a FHIR package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The folder or a file in it.
    #[error("{path} cannot be read", path = path.display())]
    Io {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not JSON.
    #[error("{path} is not JSON", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A definition for another release of FHIR.
    #[error("{path} is for FHIR {release}; packages for FHIR R4 (4.0.1) are expected", path = path.display())]
    Release {
        /// The file.
        path: PathBuf,
        /// The release it states.
        release: String,
    },
    /// No definitions at all.
    #[error("{path} holds no StructureDefinition, ValueSet or CodeSystem as a .json file", path = path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

pub(super) fn embedded() -> Packages {
    let mut packages = Packages::default();
    for line in EMBEDDED.lines() {
        let mut columns = line.splitn(5, '\t');
        match [(); 5].map(|()| columns.next().unwrap_or("")) {
            ["P", url, version, type_name, definition] => {
                packages.add(url, version, type_name, Definition::Text(definition));
            }
            ["V", definition, ..] => {
                if let Ok(set) = serde_json::from_str(definition) {
                    packages.terminology.add_set(&set);
                }
            }
            _ => {}
        }
    }
    packages
}

impl Packages {
    /// Adds what the JSON files of a folder define. An unpacked package's `package` subfolder is looked for.
    pub(crate) fn read(&mut self, folder: &Path) -> Result<(), PackageError> {
        let inner = folder.join("package");
        let folder = if inner.is_dir() { &inner } else { folder };
        let fault = |source| PackageError::Io { path: folder.to_owned(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            if path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
                files.push(path);
            }
        }
        // The order of a folder is that of the file system: two definitions of one URL must not depend on it.
        files.sort();
        let mut found = false;
        for path in files {
            found |= self.file(&path)?;
        }
        if found { Ok(()) } else { Err(PackageError::Empty { path: folder.to_owned() }) }
    }

    fn file(&mut self, path: &Path) -> Result<bool, PackageError> {
        let bytes =
            std::fs::read(path).map_err(|source| PackageError::Io { path: path.to_owned(), source })?;
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let json = serde_json::from_slice(bytes);
        let resource: Value = json.map_err(|source| PackageError::Json { path: path.to_owned(), source })?;
        if text(&resource, "resourceType") == "Bundle" {
            let resources = list(&resource, "entry").iter().filter_map(|entry| entry.get("resource"));
            return resources
                .cloned()
                .try_fold(false, |found, resource| Ok(found | self.resource(path, resource)?));
        }
        self.resource(path, resource)
    }

    fn resource(&mut self, path: &Path, resource: Value) -> Result<bool, PackageError> {
        match text(&resource, "resourceType") {
            "StructureDefinition" if text(&resource, "derivation") == "constraint" => {
                let release = text(&resource, "fhirVersion");
                if !release.is_empty() && !release.starts_with("4.0") {
                    return Err(PackageError::Release { path: path.to_owned(), release: release.to_owned() });
                }
                let [url, version, kind] =
                    ["url", "version", "type"].map(|name| text(&resource, name).to_owned());
                self.add(&url, &version, &kind, Definition::Read(resource));
            }
            "ValueSet" => self.terminology.add_set(&resource),
            "CodeSystem" => self.terminology.add_system(&resource),
            _ => return Ok(false),
        }
        Ok(true)
    }
}
