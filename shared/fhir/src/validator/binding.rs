//! Value sets: required ones are errors, extensible ones warnings.

use super::element::Typed;
use super::{Path, Walk};
use crate::definitions::{NativeType, Strength, ValueSet};
use crate::json::{Kind, Value};
use crate::{ErrorCode, IssueType, Severity};

impl<'w> Walk<'w> {
    /// A code, string or uri.
    pub(super) fn code_bindings(&mut self, typed: Typed<'w>, value: Value<'w>, code: &str, path: &Path<'_>) {
        // Reference.type is looked at together with the reference.
        if typed.owner.native == NativeType::Reference {
            return;
        }
        let name = typed.element.path_name();
        // "Formats supported (xml | json | ttl | mime type)", although the value set has media types only.
        if name == "format" && matches!(code, "xml" | "json" | "ttl") {
            return;
        }
        for &(strength, set) in &typed.element.bindings {
            self.code(strength, set, name, value, code, path);
        }
    }

    /// A Coding, CodeableConcept or Quantity.
    pub(super) fn bindings(&mut self, typed: Typed<'w>, value: Value<'w>, path: &Path<'_>) {
        let bindings = &typed.element.bindings;
        if !bindings.is_empty() {
            self.bound(bindings, typed.kind.native, typed.element.path_name(), value, path);
        }
    }

    /// A value of any type against the value sets that it is bound to.
    pub(super) fn bound(
        &mut self,
        bindings: &[(Strength, u16)],
        native: NativeType,
        name: &str,
        value: Value<'w>,
        path: &Path<'_>,
    ) {
        for &(strength, at) in bindings {
            let Some(set) = self.definitions.value_sets.get(usize::from(at)) else { continue };
            match native {
                NativeType::Coding | NativeType::Quantity => match coding_in(strength, set, value) {
                    Some(Some(true)) => {}
                    Some(Some(false)) => self.outside(strength, set, name, value, path),
                    Some(None) => self.unknown_set(strength, set, name, value, path),
                    None => {
                        if strength == Strength::Required && value.get("extension").is_none() {
                            self.outside(strength, set, name, value, path);
                        }
                    }
                },
                NativeType::CodeableConcept => self.concept(strength, set, name, value, path),
                _ => {
                    if let Some(code) = value.as_text() {
                        self.code(strength, at, name, value, &code, path);
                    }
                }
            }
        }
    }

    fn code(
        &mut self,
        strength: Strength,
        set: u16,
        name: &str,
        value: Value<'w>,
        code: &str,
        path: &Path<'_>,
    ) {
        let Some(set) = self.definitions.value_sets.get(usize::from(set)) else { return };
        match set.has_code(code) {
            Some(true) => {}
            Some(false) => self.outside(strength, set, name, value, path),
            None => self.unknown_set(strength, set, name, value, path),
        }
    }

    /// One coding of the set is enough; further codings may be local ones.
    fn concept(&mut self, strength: Strength, set: &ValueSet, name: &str, value: Value<'w>, path: &Path<'_>) {
        let codings = || value.get("coding").into_iter().flat_map(Value::items);
        let mut judged: Vec<Option<bool>> =
            codings().filter_map(|coding| coding_in(strength, set, coding)).collect();
        if judged.is_empty() {
            // A text alone is no code: that breaks a required binding, and is usual for the others.
            if strength == Strength::Required && value.get("extension").is_none() {
                self.outside(strength, set, name, value, path);
            }
            return;
        }
        if judged.contains(&Some(true)) {
            return;
        }
        judged.retain(Option::is_none);
        if judged.is_empty() {
            self.outside(strength, set, name, value, path);
        } else {
            self.unknown_set(strength, set, name, value, path);
        }
    }

    fn outside(&mut self, strength: Strength, set: &ValueSet, name: &str, value: Value<'w>, path: &Path<'_>) {
        let expected = set.described();
        let (severity, error, message) = match strength {
            Strength::Required | Strength::Max => {
                let message = format!("The code in {name} is not allowed; expected is {expected}.");
                (Severity::Error, ErrorCode::RequiredBinding, message)
            }
            Strength::Extensible => {
                // HL7's other codes are a sound choice where none of the set fits; only a local one is worth a warning.
                let severity =
                    if self.is_published(value) { Severity::Information } else { Severity::Warning };
                let message = format!("The code in {name} is none of the advised ones: {expected}.");
                (severity, ErrorCode::Terminology, message)
            }
        };
        self.report(severity, value, path, IssueType::CodeInvalid, error, message);
    }

    /// Whether a Coding, or one of a CodeableConcept, is a code of a system that R4 publishes.
    fn is_published(&self, value: Value<'w>) -> bool {
        let codings = value.get("coding").into_iter().flat_map(Value::items).chain([value]);
        codings.filter(|coding| coding.kind() == Kind::Object).any(|coding| {
            let (system, code) = (coding.get_text("system"), coding.get_text("code"));
            matches!((system, code), (Some(system), Some(code)) if self.definitions.code_system(&system).is_some_and(|known| known.name_of(&code).is_some()))
        })
    }

    fn unknown_set(
        &mut self,
        strength: Strength,
        set: &ValueSet,
        name: &str,
        value: Value<'w>,
        path: &Path<'_>,
    ) {
        if strength == Strength::Extensible {
            return;
        }
        let message = format!(
            "The code in {name} was not checked: the value set {} needs a terminology server.",
            set.short_name()
        );
        self.warn(value, path, IssueType::NotSupported, ErrorCode::Terminology, message);
    }
}

/// None where there is no code; else what the value set says of it. A code without system is in no set; an outer limit
/// is still judged by the code alone, since a language or a media type is recognised without its system.
fn coding_in(strength: Strength, set: &ValueSet, coding: Value<'_>) -> Option<Option<bool>> {
    if coding.kind() != Kind::Object {
        return None;
    }
    let code = coding.get_text("code")?;
    Some(match coding.get_text("system") {
        Some(system) => set.has_coding(&system, &code),
        None => set.has_code(&code).map(|known| known && strength == Strength::Max),
    })
}
