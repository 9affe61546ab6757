//! Rules of single data types: Extension, Coding, Identifier, Reference.

use super::element::Typed;
use super::{Path, Scope, Walk};
use crate::definitions::NativeType;
use crate::json::Value;
use crate::primitive::is_absolute;
use crate::{ErrorCode, IssueType};

impl<'w> Walk<'w> {
    pub(super) fn data_type(
        &mut self,
        typed: Typed<'w>,
        value: Value<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        match typed.kind.native {
            NativeType::Extension => self.extension(typed, value, path),
            NativeType::Identifier => self.absolute_system(value, path),
            NativeType::Coding => {
                self.absolute_system(value, path);
                if value.get("code").is_some()
                    && value.get("system").is_none()
                    && value.get("_system").is_none()
                {
                    let message = "A code without its system has no defined meaning.".to_owned();
                    self.warn(value, path, IssueType::CodeInvalid, ErrorCode::Terminology, message);
                }
            }
            NativeType::Reference => self.reference(typed.element_type, value, path, scope),
            NativeType::Bundle | NativeType::CodeableConcept | NativeType::Quantity | NativeType::Other => {}
        }
    }

    fn extension(&mut self, typed: Typed<'w>, extension: Value<'w>, path: &Path<'_>) {
        let nested = extension.get("extension").is_some();
        let valued = extension.members().any(|(key, _)| {
            let name = key.raw();
            name.strip_prefix('_').unwrap_or(name).starts_with("value")
        });
        if nested == valued {
            let message = "An extension has either a value[x] or nested extensions, not both and not neither";
            self.broken(extension, path, "ext-1", ErrorCode::Extension, message);
        }
        // Inside a complex extension the parts have names; outside, the url names a definition.
        let is_part = typed.owner.native == NativeType::Extension;
        if let Some(url) = extension.get("url").filter(|url| url.is_text())
            && !is_part
            && !is_absolute(&url.text())
        {
            let message =
                "The url of an extension is absolute: it names the definition of the extension.".to_owned();
            self.error(url, &path.member("url"), IssueType::Extension, ErrorCode::Extension, message);
        }
        if typed.element.name() == "modifierExtension" {
            let message =
                "A modifier extension changes the meaning of what it stands in; it must be understood \
                           before the element is used."
                    .to_owned();
            self.warn(extension, path, IssueType::Extension, ErrorCode::Extension, message);
        }
    }

    fn absolute_system(&mut self, value: Value<'w>, path: &Path<'_>) {
        let Some(system) = value.get("system").filter(|system| system.is_text()) else { return };
        let text = system.text();
        if !text.is_empty() && !text.contains(char::is_whitespace) && !is_absolute(&text) {
            let message =
                "A system is an absolute URI, such as http://loinc.org or urn:oid:2.16.840.1.113883.6.1.";
            let at = path.member("system");
            self.error(system, &at, IssueType::Value, ErrorCode::Format, message.to_owned());
        }
    }
}
