//! De-identification of FHIR R4 resources by the policy tables.

mod attachment;
mod identity;
mod residual;
mod values;
mod walk;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use residual::Minted;

use crate::text::{DateShift, Span, Tags};
use crate::vault::{self, VaultEntry};
use crate::{Error, Gazetteer, Kind, Redactor, Report, TextDates};

/// The `system` of identifiers whose value is a pseudonym.
pub const PSEUDONYM_SYSTEM: &str = "urn:wardstream:pseudonym";

/// A bundle without identifiers.
#[derive(Clone)]
pub struct RedactedBundle {
    /// The bundle.
    pub bundle: Value,
    /// The patient's pseudonym; none when the bundle has no patient with an identifier.
    pub pseudonym: Option<String>,
    /// What the pseudonym stands for, sealed; empty without a vault or a pseudonym.
    pub vault: Vec<VaultEntry>,
    /// How many elements and spans of each kind were replaced or removed.
    pub counts: BTreeMap<Kind, u32>,
    /// The same by kind, what was done, and the layer that found it; and what was withheld.
    pub report: Report,
    /// What was replaced in free text.
    pub spans: Vec<ElementSpan>,
}

impl std::fmt::Debug for RedactedBundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedactedBundle")
            .field("pseudonym", &self.pseudonym)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// An identifier in the free text of an element.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ElementSpan {
    /// The element's FHIRPath in the input: `Bundle.entry[3].resource.note[0].text`.
    pub path: String,
    /// Where in the element's text.
    pub span: Span,
}

/// De-identifies a bundle or resource.
pub(crate) fn redact(redactor: &Redactor, bundle: &Value) -> Result<RedactedBundle, Error> {
    let root = bundle.as_object().ok_or(Error::NotAResource { reason: "not a JSON object" })?;
    let name = root
        .get("resourceType")
        .and_then(Value::as_str)
        .ok_or(Error::NotAResource { reason: "no resourceType" })?;
    let gazetteer = Gazetteer::from_bundle(bundle);
    let sender = identity::sender(bundle);
    let subject = identity::subject(redactor, bundle, sender.as_deref());
    let mut tags = Tags::default();
    if redactor.config.text_dates == TextDates::Shift {
        tags.shift = Some(DateShift { days: subject.days });
    }
    let mut walk = walk::Walk {
        redactor,
        gazetteer: &gazetteer,
        ids: identity::ids(redactor, bundle),
        sender: sender.as_deref(),
        days: subject.days,
        as_of: values::latest_date(bundle),
        tags,
        report: Report::default(),
        minted: Minted::default(),
        refused: None,
        spans: Vec::new(),
        path: name.chars().filter(char::is_ascii_alphabetic).take(64).collect(),
        depth: 0,
    };
    let result = walk.resource(root)?.ok_or(Error::NothingAllowed)?;
    if let Some((path, reason)) = walk.refused {
        return Err(Error::Unreadable { path, reason });
    }
    residual::scan(
        &result,
        &residual::Known { gazetteer: &gazetteer, local: &redactor.local },
        &walk.minted,
    )?;
    let vault = match (&redactor.config.vault, &subject.pseudonym, &subject.identity) {
        (Some(keys), Some(pseudonym), Some(identity)) => {
            vec![vault::seal_entry(keys.as_ref(), pseudonym, identity)?]
        }
        _ => Vec::new(),
    };
    Ok(RedactedBundle {
        bundle: result,
        pseudonym: subject.pseudonym,
        vault,
        counts: walk.report.by_kind(),
        report: walk.report,
        spans: walk.spans,
    })
}
