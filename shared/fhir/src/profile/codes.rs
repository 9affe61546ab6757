//! Value sets that a profile binds an element to.

use std::borrow::Cow;

use super::Library;
use super::check::Check;
use crate::definitions::{NativeType, Strength};
use crate::fhirpath::{Node, Stop};
use crate::json::Value;
use crate::validator::Path;
use crate::{ErrorCode, IssueType, Severity};

impl<'w> Check<'_, 'w> {
    pub(super) fn binding(
        &mut self,
        strength: Strength,
        set: &str,
        node: Node<'w>,
        path: &Path<'_>,
    ) -> Result<(), Stop> {
        let codes = codes_of(node);
        self.session.budget.take(1 + codes.len())?;
        let terminology = self.library.terminology();
        let name = path.name();
        let title = self.title();
        if codes.is_empty() {
            let extended = node.value.is_none_or(|value| value.get("extension").is_some());
            if strength == Strength::Required && !extended {
                let message = format!(
                    "{name} needs a code; the profile '{title}' expects {}.",
                    terminology.described(set)
                );
                self.error(node.at(), path, IssueType::CodeInvalid, ErrorCode::RequiredBinding, message);
            }
            return Ok(());
        }
        let certain = match self.library.has_member(set, node) {
            Some(true) => return Ok(()),
            known => known.is_some(),
        };
        let (severity, code, error, message) = match (certain, strength) {
            (true, Strength::Required | Strength::Max) => (
                Severity::Error,
                IssueType::CodeInvalid,
                ErrorCode::RequiredBinding,
                format!(
                    "The code in {name} is not allowed by the profile '{title}'; expected is {}.",
                    terminology.described(set)
                ),
            ),
            (true, Strength::Extensible) => (
                Severity::Warning,
                IssueType::CodeInvalid,
                ErrorCode::Terminology,
                format!(
                    "The code in {name} is none of those the profile '{title}' advises: {}.",
                    terminology.described(set)
                ),
            ),
            (false, _) => (
                if strength == Strength::Extensible { Severity::Information } else { Severity::Warning },
                IssueType::NotSupported,
                ErrorCode::Terminology,
                format!(
                    "The code in {name} was not checked against the profile '{title}': the value set {} needs a terminology server.",
                    set.rsplit('/').next().unwrap_or(set)
                ),
            ),
        };
        self.report(severity, node.at(), path, code, error, message);
        Ok(())
    }
}

impl<'w> Library<'w> {
    /// Whether one of the codes of an element is in a value set; None where that cannot be known here.
    pub(super) fn has_member(self, set: &str, node: Node<'w>) -> Option<bool> {
        let terminology = self.terminology();
        let mut certain = true;
        for (system, code) in codes_of(node) {
            // Of a primitive the code alone is known; a Coding without its system is in no set.
            let found = match system {
                None if !node.is_primitive() => Some(false),
                system => terminology.member(set, system.as_deref(), &code),
            };
            match found {
                Some(true) => return Some(true),
                Some(false) => {}
                None => certain = false,
            }
        }
        certain.then_some(false)
    }
}

/// System and code of a coded value; several of a CodeableConcept.
fn codes_of<'w>(node: Node<'w>) -> Vec<(Option<Cow<'w, str>>, Cow<'w, str>)> {
    let Some(value) = node.value else { return Vec::new() };
    let coding = |coding: Value<'w>| Some((coding.get_text("system"), coding.get_text("code")?));
    match node.kind.native {
        NativeType::CodeableConcept => {
            value.get("coding").into_iter().flat_map(Value::items).filter_map(coding).collect()
        }
        NativeType::Coding | NativeType::Quantity => coding(value).into_iter().collect(),
        _ => value.as_text().map(|code| (None, code)).into_iter().collect(),
    }
}
