//! Who the bundle is about, and the new ids of its resources.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::Redactor;

/// The patient a bundle is about.
pub(super) struct Subject {
    pub(super) pseudonym: Option<String>,
    /// Days that dates move back, 1 to 365, or 1 to 52 whole weeks.
    pub(super) days: i64,
    /// What the vault keeps.
    pub(super) identity: Option<Value>,
}

/// The resources of a bundle, or the resource itself.
pub(super) fn resources(bundle: &Value) -> impl Iterator<Item = (Option<&str>, &Map<String, Value>)> {
    let entries = bundle.get("entry").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of_entries = entries.iter().filter_map(|entry| {
        let url = entry.get("fullUrl").and_then(Value::as_str);
        Some((url, entry.get("resource")?.as_object()?))
    });
    of_entries.chain(bundle.as_object().map(|resource| (None, resource)))
}

/// The identifier types (HL7 table 0203) that are not record numbers and leave no pseudonym: a pseudonym of a number with few possible
/// values that others know as well, such as the social security number, helps only those who want to link.
pub(super) const CIVIL: [&str; 10] = ["SS", "SB", "DL", "PPN", "TAX", "NI", "NNUSA", "BC", "CZ", "LN"];

/// Assigning authority and value of an identifier.
pub(super) fn authority_and_value(identifier: &Map<String, Value>) -> Option<(&str, &str)> {
    let filled = |text: &&str| !text.is_empty();
    let value = identifier.get("value").and_then(Value::as_str).map(str::trim).filter(filled)?;
    let authority = identifier
        .get("system")
        .and_then(Value::as_str)
        .or_else(|| identifier.get("assigner")?.get("display")?.as_str())
        .map_or("", str::trim);
    Some((authority, value))
}

/// What assigns a patient's number that names no assigner: the sender. Two hospitals that leave the authority out would otherwise make one
/// person of two patients who have the same number.
pub(super) fn sender(bundle: &Value) -> Option<String> {
    let header = resources(bundle)
        .find(|(_, resource)| resource.get("resourceType").and_then(Value::as_str) == Some("MessageHeader"))
        .map(|(_, header)| header)?;
    let string =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let reference = header.get("sender").and_then(|sender| string(sender, "/reference"));
    let organization = reference.and_then(|reference| {
        resources(bundle)
            .find(|(url, resource)| {
                let id = resource.get("id").and_then(Value::as_str).unwrap_or("");
                *url == Some(reference.as_str()) || reference.strip_prefix("Organization/") == Some(id)
            })
            .map(|(_, organization)| Value::Object(organization.clone()))
    });
    let name = organization
        .and_then(|organization| {
            string(&organization, "/name").or_else(|| string(&organization, "/identifier/0/value"))
        })
        .or_else(|| header.get("sender").and_then(|sender| string(sender, "/display")))
        .or_else(|| header.get("source").and_then(|source| string(source, "/endpoint")))?;
    Some(format!("sender:{}", name.trim()))
}

pub(super) fn identifier_type(identifier: &Map<String, Value>) -> &str {
    identifier
        .get("type")
        .and_then(|kind| kind.pointer("/coding/0/code"))
        .and_then(Value::as_str)
        .unwrap_or("")
}

/// The pseudonym of a patient's identifier.
pub(super) fn patient_pseudonym(
    redactor: &Redactor,
    authority: &str,
    value: &str,
    sender: Option<&str>,
) -> String {
    redactor.pseudonym(if authority.is_empty() { sender.unwrap_or("") } else { authority }, value)
}

/// Finds the first patient that was not replaced by another one (`link.type = replaced-by`) and its record number.
pub(super) fn subject(redactor: &Redactor, bundle: &Value, sender: Option<&str>) -> Subject {
    let is_patient = |resource: &&Map<String, Value>| {
        resource.get("resourceType").and_then(Value::as_str) == Some("Patient")
    };
    let replaced = |resource: &Map<String, Value>| {
        resource.get("link").and_then(Value::as_array).is_some_and(|links| {
            links.iter().any(|link| link.get("type").and_then(Value::as_str) == Some("replaced-by"))
        })
    };
    let patients: Vec<&Map<String, Value>> =
        resources(bundle).map(|(_, resource)| resource).filter(is_patient).collect();
    let patient = patients.iter().find(|patient| !replaced(patient)).or(patients.first()).copied();
    let identifiers: Vec<&Map<String, Value>> = patient
        .and_then(|patient| patient.get("identifier"))
        .and_then(Value::as_array)
        .map(|all| all.iter().filter_map(Value::as_object).collect())
        .unwrap_or_default();
    let of_type = |wanted: &str| {
        identifiers.iter().find(|id| identifier_type(id) == wanted && id.contains_key("value"))
    };
    let chosen = of_type("MR")
        .or_else(|| of_type("PI"))
        .or_else(|| of_type("PT"))
        .or_else(|| {
            identifiers.iter().find(|id| !CIVIL.contains(&identifier_type(id)) && id.contains_key("value"))
        })
        .and_then(|id| authority_and_value(id));
    let pseudonym = chosen.map(|(authority, value)| patient_pseudonym(redactor, authority, value, sender));

    // Without a patient's identifier every message gets a shift of its own: a shift for all would be known once one date is.
    let key = redactor.keys.current();
    let mac = match &pseudonym {
        Some(pseudonym) => key.mac("date-shift", &[pseudonym.as_bytes()]),
        None => key.mac("date-shift/message", &[bundle.to_string().as_bytes()]),
    };
    let number = mac.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let (unit, units) = if redactor.config.shift_whole_weeks { (7, 52) } else { (1, 365) };
    let days = unit * (1 + i64::try_from(number % units).unwrap_or(0));

    let identity = patient.map(|patient| {
        let kept = ["name", "birthDate", "identifier", "telecom", "address", "gender"];
        let mut identity: Map<String, Value> = patient
            .iter()
            .filter(|(element, _)| kept.contains(&element.as_str()))
            .map(|(element, value)| (element.clone(), value.clone()))
            .collect();
        // What older records call this patient. It is sealed with the rest: a rotation links nobody's history for those without the vault.
        let former = chosen.map(|(authority, value)| {
            let authority = if authority.is_empty() { sender.unwrap_or("") } else { authority };
            redactor.former_pseudonyms(authority, value)
        });
        if let Some(former) = former.filter(|former| !former.is_empty()) {
            identity.insert("formerPseudonyms".into(), former.into());
        }
        Value::Object(identity)
    });
    Subject { pseudonym, days, identity }
}

/// The new UUIDs of a bundle's resources, by every way a reference can name them: fullUrl, `Type/id` and `#id`.
pub(super) fn ids(redactor: &Redactor, bundle: &Value) -> HashMap<String, String> {
    let mut ids = HashMap::new();
    for (url, resource) in resources(bundle) {
        let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or("");
        let id = resource.get("id").and_then(Value::as_str);
        let local = id.map(|id| format!("{name}/{id}"));
        let Some(seed) = local.as_deref().or(url) else { continue };
        let uuid = uuid(redactor, seed);
        if let Some(url) = url {
            ids.insert(url.to_owned(), uuid.clone());
        }
        if let Some(local) = local {
            ids.insert(local, uuid);
        }
    }
    ids
}

/// A keyed UUID (RFC 9562, version 8) for an id or URL.
pub(super) fn uuid(redactor: &Redactor, seed: &str) -> String {
    let mac = redactor.keys.current().mac("uuid", &[seed.as_bytes()]);
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&mac[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
