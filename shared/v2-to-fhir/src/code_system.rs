//! Names of code systems and authorities to FHIR URIs.

use std::sync::LazyLock;

use compact_str::format_compact;

use crate::primitive::trim;
use crate::value::Text;

/// HL7 table 0396 names (HL7 v2.9 chapter 2C) and what senders write for them, to the canonical URI.
const NAMED: &[(&str, &str)] = &[
    ("LN", "http://loinc.org"),
    ("LOINC", "http://loinc.org"),
    ("SCT", "http://snomed.info/sct"),
    ("SNOMED", "http://snomed.info/sct"),
    ("SNOMED-CT", "http://snomed.info/sct"),
    ("SNOMEDCT", "http://snomed.info/sct"),
    ("SN", "http://snomed.info/sct"),
    ("I9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CDX", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CP", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9M", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ICD9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ICD-9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ICD9CM", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD-10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD10CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD-10-CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("I10P", "http://www.cms.gov/Medicare/Coding/ICD10"),
    ("C4", "http://www.ama-assn.org/go/cpt"),
    ("C5", "http://www.ama-assn.org/go/cpt"),
    ("CPT", "http://www.ama-assn.org/go/cpt"),
    ("CPT4", "http://www.ama-assn.org/go/cpt"),
    ("CPT-4", "http://www.ama-assn.org/go/cpt"),
    ("HPC", "http://terminology.hl7.org/CodeSystem/HCPCS"),
    ("HCPCS", "http://terminology.hl7.org/CodeSystem/HCPCS"),
    ("UCUM", "http://unitsofmeasure.org"),
    ("NDC", "http://hl7.org/fhir/sid/ndc"),
    ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("RX", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("MVX", "http://hl7.org/fhir/sid/mvx"),
    ("UNII", "http://fdasis.nlm.nih.gov"),
    ("CDCREC", "urn:oid:2.16.840.1.113883.6.238"),
    ("DCM", "http://dicom.nema.org/resources/ontology/DCM"),
    ("ISO3166_1", "urn:iso:std:iso:3166"),
    ("ISO3166", "urn:iso:std:iso:3166"),
    ("ISO639", "urn:ietf:bcp:47"),
    ("NCIT", "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"),
    ("ATC", "http://www.whocc.no/atc"),
    ("NUCC", "http://nucc.org/provider-taxonomy"),
    ("PHENX", "http://phenxtoolkit.org"),
];

const TERMINOLOGY: &str = "http://terminology.hl7.org/CodeSystem/";

/// The URI behind a short name of the maps: `sct`, `loinc`, `ucum`, a URI, or the name of an HL7 code system.
pub(crate) fn short(name: &str) -> String {
    match name {
        "sct" => "http://snomed.info/sct".into(),
        "loinc" => "http://loinc.org".into(),
        "ucum" => "http://unitsofmeasure.org".into(),
        name if name.contains(':') => name.into(),
        name => format!("{TERMINOLOGY}{name}"),
    }
}

/// The URI of an HL7 v2 table: `0203` to `…/v2-0203`.
pub(crate) fn table(number: &str) -> String {
    format!("{TERMINOLOGY}v2-{number}")
}

/// The URI of the HL7 v2 table of that number.
fn numbered(number: u16) -> Text {
    // The standard has fewer than a thousand tables; what is past them is rare, and made anew each time.
    static TABLES: LazyLock<Vec<String>> =
        LazyLock::new(|| (0..1000).map(|n| table(&format!("{n:04}"))).collect());
    match TABLES.get(usize::from(number)) {
        Some(uri) => Text::const_new(uri),
        None => table(&format!("{number:04}")).into(),
    }
}

/// The number of an HL7 table that a coding-system name stands for: `HL70078`, `HL778`, `HL7-0078`.
pub(crate) fn table_number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("HL7").or_else(|| name.strip_prefix("hl7"))?;
    let digits = digits.trim_start_matches('-');
    if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u16 = digits.parse().ok()?;
    (number > 0 && number < 10_000).then_some(number)
}

/// The URI of a coding system named in a coded field; local names are made unique by the facility.
pub(crate) fn uri(name: &str, facility: &str) -> Option<Text> {
    let name = trim(name);
    if name.is_empty() {
        return None;
    }
    if let Some(number) = table_number(name) {
        return Some(numbered(number));
    }
    if let Some((_, uri)) = NAMED.iter().find(|(short, _)| short.eq_ignore_ascii_case(name)) {
        return Some(Text::const_new(uri));
    }
    universal(name).or_else(|| Some(local(facility, name)))
}

/// The URI of an id that is unique by itself: an OID, a UUID, or a URI.
pub(crate) fn universal(id: &str) -> Option<Text> {
    let id = trim(id);
    if is_oid(id) {
        return Some(format_compact!("urn:oid:{id}"));
    }
    if is_uuid(id) {
        return Some(format_compact!("urn:uuid:{}", id.to_ascii_lowercase()));
    }
    let absolute = ["http://", "https://", "urn:"].iter().any(|scheme| id.starts_with(scheme));
    (absolute && id.len() > 8 && !id.chars().any(|c| c.is_whitespace() || c.is_control()))
        .then(|| Text::new(id))
}

/// The URI of a name that means something only at one facility.
pub(crate) fn local(facility: &str, name: &str) -> Text {
    let mut uri = Text::const_new("urn:local:");
    escape(if facility.is_empty() { "unknown" } else { facility }, &mut uri);
    uri.push(':');
    escape(name, &mut uri);
    uri
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// Percent-encodes what may not stand in the specific part of a URN (RFC 8141).
fn escape(text: &str, out: &mut Text) {
    use std::fmt::Write as _;
    let text = trim(text);
    if text.bytes().all(is_plain) {
        out.push_str(text);
        return;
    }
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// FHIR's form of an OID: at least two arcs, no leading zeros.
pub(crate) fn is_oid(text: &str) -> bool {
    if !matches!(text.as_bytes(), [b'0'..=b'2', b'.', ..]) {
        return false;
    }
    let mut arcs = text.split('.');
    arcs.next();
    arcs.all(|arc| {
        !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    })
}

/// Eight, four, four, four and twelve hexadecimal digits.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_become_canonical() {
        assert_eq!(uri("LN", "f").as_deref(), Some("http://loinc.org"));
        assert_eq!(uri("HL70078", "f").as_deref(), Some("http://terminology.hl7.org/CodeSystem/v2-0078"));
        assert_eq!(uri("HL7127", "f").as_deref(), Some("http://terminology.hl7.org/CodeSystem/v2-0127"));
        assert_eq!(uri("2.16.840.1.113883.6.1", "f").as_deref(), Some("urn:oid:2.16.840.1.113883.6.1"));
        assert_eq!(uri("L", "St. Mary").as_deref(), Some("urn:local:St.%20Mary:L"));
        assert_eq!(uri("", "f"), None);
    }

    #[test]
    fn oids_are_checked() {
        assert!(is_oid("1.2.840.114350"));
        for text in ["2.", "2.16.08", "3.1", "1", "1.2.x"] {
            assert!(!is_oid(text), "{text}");
        }
    }
}
