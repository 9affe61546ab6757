//! Extensions: their form everywhere, and HL7's own against their definitions.

use super::element::Typed;
use super::{Path, Scope, Walk, suggest};
use crate::definitions::{ExtensionDefinition, NativeType, Strength, TypeKind};
use crate::json::Value;
use crate::primitive::is_absolute;
use crate::{ErrorCode, IssueType, Severity};

const HL7: &str = "http://hl7.org/fhir/StructureDefinition/";

impl<'w> Walk<'w> {
    pub(super) fn extension(
        &mut self,
        typed: Typed<'w>,
        extension: Value<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        let nested = extension.get("extension").is_some();
        let valued = extension.members().any(|(key, _)| {
            let name = key.text();
            name.strip_prefix('_').unwrap_or(&name).starts_with("value")
        });
        if nested == valued {
            let message = "An extension has either a value[x] or nested extensions, not both and not neither";
            self.broken(extension, path, "ext-1", ErrorCode::Extension, message);
        }
        // Inside a complex extension the parts have names; outside, the url names a definition.
        let is_part = typed.owner.native == NativeType::Extension;
        let is_modifier = typed.element.name() == "modifierExtension";
        if let Some(url) = extension.get("url").filter(|url| url.is_text()).filter(|_| !is_part) {
            let text = url.text();
            if !is_absolute(&text) {
                let message =
                    "The url of an extension is absolute: it names the definition of the extension.";
                let at = path.member("url");
                self.error(url, &at, IssueType::Extension, ErrorCode::Extension, message.to_owned());
            } else if text.starts_with(HL7) {
                match self.definitions.extension(&text) {
                    Some(definition) => {
                        self.defined(typed, definition, extension, path, scope);
                    }
                    None => self.not_hl7s(url, &text, &path.member("url")),
                }
            }
        }
        if is_modifier {
            let message =
                "A modifier extension changes the meaning of what it stands in; it must be understood \
                           before the element is used."
                    .to_owned();
            self.warn(extension, path, IssueType::Extension, ErrorCode::Extension, message);
        }
    }

    /// HL7 publishes further extensions for R4 outside of the release: only what looks like a misspelling is an error.
    fn not_hl7s(&mut self, url: Value<'w>, text: &str, path: &Path<'_>) {
        let name = text.get(HL7.len()..).unwrap_or("");
        let known = self.definitions.extension_urls().filter_map(|known| known.strip_prefix(HL7));
        // Beyond the warnings that are listed a search is not worth its time.
        let close = if self.lists_warnings() { suggest::closest(name, known) } else { None };
        if let Some(close) = close {
            let message = format!("FHIR R4 has no extension of HL7 with this url; did you mean '{close}'?");
            self.error(url, path, IssueType::Extension, ErrorCode::Extension, message);
        } else {
            let message = "FHIR R4 itself has no extension of HL7 with this url.".to_owned();
            self.warn(url, path, IssueType::Extension, ErrorCode::Extension, message);
        }
    }

    fn defined(
        &mut self,
        typed: Typed<'w>,
        definition: &'w ExtensionDefinition,
        extension: Value<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        let is_modifier = typed.element.name() == "modifierExtension";
        if definition.is_modifier != is_modifier {
            let message = if is_modifier {
                "This extension of HL7 modifies nothing; it stands in extension, not in modifierExtension."
            } else {
                "This extension of HL7 changes the meaning of its element; it stands in modifierExtension."
            };
            self.error(extension, path, IssueType::Extension, ErrorCode::Extension, message.to_owned());
        }
        if !self.is_placed(typed, &definition.contexts, path, scope) {
            let places = definition.contexts.join(", ");
            let message = format!("This extension of HL7 is not for this place; it is for: {places}.");
            // R4's own definitions use extensions in more places than their contexts name.
            let defines = scope.resource.get_text("resourceType");
            let lax = matches!(
                defines.as_deref(),
                Some("StructureDefinition" | "OperationDefinition" | "ValueSet" | "CodeSystem")
            );
            let severity = if lax { Severity::Warning } else { Severity::Error };
            let (code, error) = (IssueType::Extension, ErrorCode::Extension);
            self.report(severity, extension, path, code, error, message);
        }
        self.holds(typed, &definition.types, &definition.bindings, extension, path);
        if !definition.parts.is_empty() {
            self.parts(typed, definition, extension, path);
        }
    }

    /// The value of an extension, or of a part of one, against the types it is defined with.
    fn holds(
        &mut self,
        typed: Typed<'w>,
        types: &[&str],
        bindings: &[(Strength, u16)],
        extension: Value<'w>,
        path: &Path<'_>,
    ) {
        let found = extension.members().find_map(|(key, value)| {
            let name = key.text();
            let field = typed.kind.field(&name)?;
            field.element.is_choice().then_some((field.element_type, value))
        });
        let Some((element_type, value)) = found else {
            if !types.is_empty() && extension.get("extension").is_some() {
                let message =
                    format!("This extension of HL7 has a value of type {}, not parts.", types.join(" or "));
                self.error(extension, path, IssueType::Extension, ErrorCode::Extension, message);
            }
            return;
        };
        if !types.contains(&element_type.name()) {
            let message = if types.is_empty() {
                "This extension of HL7 is made of parts, it has no value of its own.".to_owned()
            } else {
                format!("The value of this extension of HL7 is of type {}.", types.join(" or "))
            };
            self.error(extension, path, IssueType::Extension, ErrorCode::Extension, message);
            return;
        }
        let native = self.definitions.typed(element_type.id).native;
        self.bound(bindings, native, "value", value, &path.member("value"));
    }

    fn parts(
        &mut self,
        typed: Typed<'w>,
        definition: &'w ExtensionDefinition,
        extension: Value<'w>,
        path: &Path<'_>,
    ) {
        let held = || extension.get("extension").into_iter().flat_map(Value::items);
        let list = path.member("extension");
        let mut counts = vec![0u32; definition.parts.len()];
        for (index, part) in held().enumerate() {
            let Some(url) = part.get("url").and_then(Value::as_text) else { continue };
            let at = list.index(index);
            let known = definition.parts.iter().position(|known| known.name == url);
            match known.and_then(|known| Some((definition.parts.get(known)?, counts.get_mut(known)?))) {
                Some((known, count)) => {
                    *count += 1;
                    if known.max.is_some_and(|max| *count > max) {
                        let message =
                            format!("The part '{}' of this extension of HL7 is there too often.", known.name);
                        self.error(part, &at, IssueType::Extension, ErrorCode::TooManyValues, message);
                    }
                    self.holds(typed, &known.types, &known.bindings, part, &at);
                }
                None if is_absolute(&url) => {}
                None => {
                    let names: Vec<&str> = definition.parts.iter().map(|part| part.name).collect();
                    let message =
                        format!("This extension of HL7 has no such part; it has: {}.", names.join(", "));
                    self.error(part, &at, IssueType::Extension, ErrorCode::Extension, message);
                }
            }
        }
        for (part, &count) in definition.parts.iter().zip(&counts) {
            if count < part.min {
                let message = format!("The part '{}' of this extension of HL7 is required.", part.name);
                self.error(extension, path, IssueType::Required, ErrorCode::Missing, message);
            }
        }
    }

    /// Whether an extension may stand in its element, by the paths and types its definition names.
    fn is_placed(&self, typed: Typed<'w>, contexts: &[&str], path: &Path<'_>, scope: &Scope<'_, 'w>) -> bool {
        let owner = typed.owner;
        let is_resource = owner.kind() == TypeKind::Resource;
        let general = |context: &&str| match *context {
            "Element" => true,
            "Resource" => is_resource,
            "DomainResource" => is_resource && owner.field_at("contained").is_some(),
            "BackboneElement" => owner.kind() == TypeKind::Backbone,
            "Quantity" => owner.native == NativeType::Quantity,
            name => name == owner.name(),
        };
        if contexts.is_empty() || contexts.iter().any(general) {
            return true;
        }
        // By the path in the data type or group, or by the type, of the element around the extension.
        let around = self.within.last().is_some_and(|(owner, element)| {
            contexts.iter().any(|context| {
                let rest = context.strip_prefix(owner.name()).and_then(|rest| rest.strip_prefix('.'));
                rest.is_some_and(|rest| rest == element.name() || rest == element.path_name())
            })
        });
        around || self.is_named(contexts, path, scope)
    }

    /// Whether a context is the path of the element around an extension, in its resource.
    fn is_named(&self, contexts: &[&str], path: &Path<'_>, scope: &Scope<'_, 'w>) -> bool {
        let mut names = path.names();
        names.pop();
        let root = scope.resource.get_text("resourceType").unwrap_or_default();
        contexts.iter().filter_map(|context| context.strip_prefix(&*root)).any(|rest| {
            let depth = rest.matches('.').count();
            let tail = names.get(names.len().saturating_sub(depth)..).unwrap_or(&[]);
            rest.starts_with('.') && rest.split('.').skip(1).eq(tail.iter().copied())
        })
    }
}
