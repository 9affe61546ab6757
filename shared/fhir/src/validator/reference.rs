//! References: form, target type, and resolution in the resource and the Bundle.

use std::borrow::Cow;

use super::{Path, Scope, Walk};
use crate::definitions::ElementType;
use crate::json::Value;
use crate::primitive::{is_absolute, is_id};
use crate::{ErrorCode, IssueType};

const FORM: &str =
    "A reference is Type/id, an absolute URL, urn:uuid:… or urn:oid:…, or #id of a contained resource.";

/// What a literal reference says of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form<'r> {
    /// `#id`; `#` alone is the resource around.
    Contained(&'r str),
    /// `Type/id`, with a version or without: its type.
    Relative(&'r str),
    /// `Type?parameters`, to be resolved by the server that processes a transaction.
    Conditional(&'r str),
    /// `urn:…`
    Urn,
    /// Another absolute URL; its type if it ends like a relative reference.
    Absolute(Option<&'r str>),
    /// None of these.
    Other,
}

impl<'w> Walk<'w> {
    pub(super) fn reference(
        &mut self,
        element_type: &'w ElementType,
        value: Value<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        let stated = value.get("type").filter(|stated| stated.is_text());
        let stated_name = stated.map(Value::text);
        let stated_name = stated_name.as_deref().map(type_name);
        if let (Some(name), Some(stated)) = (stated_name, stated) {
            let at = path.member("type");
            if self.definitions.resource_type(name).is_some() {
                self.target(element_type, name, stated, &at);
            } else {
                let message = "The type of a reference is the name of a FHIR R4 resource type.".to_owned();
                self.warn(stated, &at, IssueType::CodeInvalid, ErrorCode::Terminology, message);
            }
        }
        let Some(literal) = value.get("reference").filter(|literal| literal.is_text()) else {
            let others = ["identifier", "display", "extension", "_reference", "_display"];
            if others.iter().all(|name| value.get(name).is_none()) {
                let message = "A reference has a reference, an identifier or a display.".to_owned();
                self.warn(value, path, IssueType::Required, ErrorCode::Reference, message);
            }
            return;
        };
        let text = literal.text();
        let at = path.member("reference");
        if text.trim().is_empty() {
            return;
        }
        let form = self.form(&text);
        let mut found = match form {
            Form::Relative(name) | Form::Conditional(name) | Form::Absolute(Some(name)) => {
                Some(name.to_owned())
            }
            _ => None,
        };
        match form {
            Form::Other => {
                self.error(literal, &at, IssueType::Value, ErrorCode::Reference, FORM.to_owned());
                return;
            }
            Form::Contained(id) => match contained(scope, id) {
                Some(target) => found = target.get_text("resourceType").map(|name| name.into_owned()),
                None => {
                    let message = "There is no contained resource with this id";
                    self.broken(literal, &at, "ref-1", ErrorCode::Unresolved, message);
                }
            },
            Form::Conditional(_) if scope.bundle.is_none_or(|bundle| !bundle.is_transaction()) => {
                let message =
                    "A reference with search parameters is allowed in a transaction only.".to_owned();
                self.error(literal, &at, IssueType::Value, ErrorCode::Reference, message);
            }
            _ => {}
        }
        if let Some(bundle) = scope.bundle {
            match bundle.resolve(&text) {
                Some(target) => {
                    found = target.get_text("resourceType").map(|name| name.into_owned()).or(found)
                }
                None => self.unresolved(form, literal, &at, scope),
            }
        }
        let Some(found) = found else { return };
        if stated_name.is_some_and(|name| name != found && self.definitions.resource_type(name).is_some()) {
            let message = "The type stated beside the reference is not that of its target.".to_owned();
            self.error(literal, &at, IssueType::Value, ErrorCode::Reference, message);
        }
        self.target(element_type, &found, literal, &at);
    }

    fn form<'r>(&self, text: &'r str) -> Form<'r> {
        if let Some(id) = text.strip_prefix('#') {
            return if id.is_empty() || is_id(id) { Form::Contained(id) } else { Form::Other };
        }
        if text.contains(char::is_whitespace) {
            return Form::Other;
        }
        if text.starts_with("urn:") {
            // Of a reference the form of the URN is judged, not its case: that matters for what it refers to.
            let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
            let lower = if upper { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) };
            let valid = crate::primitive::Primitive::Uri.check(&lower).is_ok();
            return if valid { Form::Urn } else { Form::Other };
        }
        if is_absolute(text) {
            return Form::Absolute(self.tail_type(text));
        }
        if let Some((name, query)) = text.split_once('?') {
            let known = self.definitions.resource_type(name).is_some();
            return if known && is_query(query) { Form::Conditional(name) } else { Form::Other };
        }
        let slashes = text.matches('/').count();
        match self.tail_type(text) {
            Some(name) if text.starts_with(name) && (slashes == 1 || slashes == 3) => Form::Relative(name),
            _ => Form::Other,
        }
    }

    /// The resource type in `…/Type/id` or `…/Type/id/_history/version`.
    fn tail_type<'r>(&self, text: &'r str) -> Option<&'r str> {
        let mut segments = text.rsplit('/');
        let mut id = segments.next()?;
        let mut name = segments.next()?;
        if name == "_history" {
            if !is_id(id) {
                return None;
            }
            id = segments.next()?;
            name = segments.next()?;
        }
        (is_id(id) && self.definitions.resource_type(name).is_some()).then_some(name)
    }

    fn target(&mut self, element_type: &ElementType, name: &str, at: Value<'w>, path: &Path<'_>) {
        let allowed = element_type.targets();
        if allowed.is_empty() || allowed.contains(&name) {
            return;
        }
        let message =
            format!("The target of this reference has a wrong type; allowed are: {}.", allowed.join(", "));
        self.error(at, path, IssueType::Structure, ErrorCode::Reference, message);
    }

    fn unresolved(&mut self, form: Form<'_>, literal: Value<'w>, path: &Path<'_>, scope: &Scope<'_, 'w>) {
        let Some(bundle) = scope.bundle else { return };
        let resource_type = scope.resource.get_text("resourceType");
        let focus = resource_type.as_deref() == Some("MessageHeader") && path.to_string().contains(".focus[");
        let in_document = bundle.is("document")
            && resource_type.as_deref() == Some("Composition")
            && !path.to_string().contains(".relatesTo[");
        match form {
            Form::Urn => {
                let message =
                    "No entry of the Bundle has this fullUrl; a urn: reference must have its target in the \
                               same Bundle."
                        .to_owned();
                self.error(literal, path, IssueType::NotFound, ErrorCode::Unresolved, message);
            }
            Form::Relative(_) | Form::Absolute(_) if (bundle.is("message") && focus) || in_document => {
                let message = "The target of this reference must be an entry of the Bundle.".to_owned();
                self.error(literal, path, IssueType::NotFound, ErrorCode::Unresolved, message);
            }
            Form::Relative(_) if bundle.is("message") || bundle.is("document") => {
                let message = "The target of this reference is not in the Bundle.".to_owned();
                self.warn(literal, path, IssueType::NotFound, ErrorCode::Unresolved, message);
            }
            _ => {}
        }
    }
}

/// The resource `#id` means, seen from anywhere in the container; `#` is the container itself.
fn contained<'t>(scope: &Scope<'_, 't>, id: &str) -> Option<Value<'t>> {
    if id.is_empty() { Some(scope.root) } else { scope.contained.get(id) }
}

/// `name=value&name:modifier=value`: search parameters, each with a value (FHIR R4, 3.1.1.3).
fn is_query(query: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:%".contains(&byte))
    };
    let is_parameter = |(name, value): (&str, &str)| is_name(name) && !value.is_empty();
    query.split('&').all(|parameter| parameter.split_once('=').is_some_and(is_parameter))
}

/// `Patient` of `Patient` or `http://hl7.org/fhir/StructureDefinition/Patient`.
fn type_name(stated: &str) -> &str {
    stated.strip_prefix("http://hl7.org/fhir/StructureDefinition/").unwrap_or(stated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_parameters_have_a_name_and_a_value() {
        assert!(
            ["identifier=a|1", "name:exact=x&_id=1", "subject:Patient.name=x"]
                .iter()
                .all(|text| is_query(text))
        );
        assert!(
            ["", "identifier", "identifier=", "identifier=1&", "identifier=1&?=="]
                .iter()
                .all(|text| !is_query(text))
        );
    }
}
