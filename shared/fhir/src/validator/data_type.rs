//! Rules of single data types: Attachment, Coding, Identifier.

use super::element::Typed;
use super::{Path, Scope, Walk};
use crate::definitions::NativeType;
use crate::fhirpath::Node;
use crate::json::Value;
use crate::primitive::{is_absolute, is_unit};
use crate::{ErrorCode, IssueType};

const UCUM: &str = "http://unitsofmeasure.org";

impl<'w> Walk<'w> {
    pub(super) fn data_type(
        &mut self,
        typed: Typed<'w>,
        value: Value<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        match typed.kind.native {
            NativeType::Extension => {
                self.extension(typed, value, path, scope);
                self.extension_profile(
                    Node { value: Some(value), sibling: None, kind: typed.kind },
                    path,
                    scope,
                );
            }
            NativeType::Attachment => self.attachment(value, path),
            NativeType::Identifier => {
                self.absolute_system(value, path);
                self.identifier_uri(value, path);
            }
            NativeType::Coding => {
                self.absolute_system(value, path);
                self.coding(value, path);
            }
            NativeType::Reference => self.reference(typed.element_type, value, path, scope),
            NativeType::Quantity => self.quantity(value, path),
            NativeType::Bundle | NativeType::CodeableConcept | NativeType::Other => {}
        }
    }

    fn coding(&mut self, coding: Value<'w>, path: &Path<'_>) {
        let Some(code) = coding.get("code").filter(|code| code.is_text()) else { return };
        let Some(system) = coding.get_text("system") else {
            if coding.get("_system").is_none() {
                let message = "A code without its system has no defined meaning.".to_owned();
                self.warn(coding, path, IssueType::CodeInvalid, ErrorCode::Terminology, message);
            }
            return;
        };
        let text = code.text();
        let at = path.member("code");
        let definitions = self.definitions;
        if let Some(known) = definitions.code_system(&system) {
            match known.name_of(&text) {
                Some(name) => self.display(coding, name, path),
                None => {
                    // Systems of FHIR itself are closed with the release; those of terminology.hl7.org grow.
                    let near = if self.lists_warnings() { known.in_another_case(&text) } else { None };
                    let closed = system.starts_with("http://hl7.org/fhir/");
                    let message = match near {
                        Some(near) => format!("The code system has no such code; did you mean '{near}'?"),
                        None => "The code system has no such code.".to_owned(),
                    };
                    if closed || near.is_some() {
                        self.error(code, &at, IssueType::CodeInvalid, ErrorCode::RequiredBinding, message);
                    } else {
                        self.warn(code, &at, IssueType::CodeInvalid, ErrorCode::Terminology, message);
                    }
                }
            }
        } else if system == "http://loinc.org" && !is_loinc(&text) {
            let message = "A LOINC code is a number, a hyphen and the right check digit, such as 2160-0.";
            self.warn(code, &at, IssueType::CodeInvalid, ErrorCode::Terminology, message.to_owned());
        } else if system == UCUM && !is_unit(&text) {
            self.no_unit(code, &at);
        }
    }

    /// A display says what the code system says; it may add to it or be in another language, so it is never an error.
    fn display(&mut self, coding: Value<'w>, name: &str, path: &Path<'_>) {
        let Some(display) = coding.get("display").filter(|display| display.is_text()) else { return };
        if name.is_empty() || same_words(&display.text(), name) {
            return;
        }
        let message = format!("The display is not the name of this code in its system, which is '{name}'.");
        let at = path.member("display");
        self.warn(display, &at, IssueType::Invalid, ErrorCode::Terminology, message);
    }

    fn quantity(&mut self, quantity: Value<'w>, path: &Path<'_>) {
        let Some(code) = quantity.get("code").filter(|code| code.is_text()) else { return };
        if quantity.get_text("system").is_some_and(|system| system == UCUM) && !is_unit(&code.text()) {
            self.no_unit(code, &path.member("code"));
        }
    }

    fn no_unit(&mut self, code: Value<'w>, path: &Path<'_>) {
        let message =
            "This is no unit of UCUM; its codes are written like mg/dL, mm[Hg], 10*3/uL, /min or {score}.";
        self.error(code, path, IssueType::CodeInvalid, ErrorCode::RequiredBinding, message.to_owned());
    }

    /// `urn:ietf:rfc:3986` says that the value is itself a URI.
    fn identifier_uri(&mut self, identifier: Value<'w>, path: &Path<'_>) {
        let Some(value) = identifier.get("value").filter(|value| value.is_text()) else { return };
        let uri = identifier.get_text("system").is_some_and(|system| system == "urn:ietf:rfc:3986");
        if uri && !is_absolute(&value.text()) {
            let message =
                "With the system urn:ietf:rfc:3986 the value of an identifier is an absolute URI.".to_owned();
            self.error(value, &path.member("value"), IssueType::Value, ErrorCode::Format, message);
        }
    }

    /// The stated size is that of the decoded data (FHIR R4, 2.24.0.9).
    fn attachment(&mut self, attachment: Value<'w>, path: &Path<'_>) {
        let stated = attachment.get("size").and_then(|size| size.raw().parse::<usize>().ok());
        let (Some(stated), Some(data)) = (stated, attachment.get_text("data")) else { return };
        let digits = data.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count();
        if digits / 4 * 3 + (digits % 4 * 3) / 4 != stated {
            let message =
                "The size of an attachment is the number of bytes of its data, before base64.".to_owned();
            let at = path.member("size");
            self.error(attachment, &at, IssueType::Value, ErrorCode::Format, message);
        }
    }

    pub(super) fn absolute_system(&mut self, value: Value<'w>, path: &Path<'_>) {
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

/// The same words, whatever their case and the spaces between them.
fn same_words(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right) || {
        let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
        words(left) == words(right)
    }
}

/// The form of LOINC: digits, a hyphen and their check digit by the Luhn algorithm; parts (LP, LA, LL, LG) have letters
/// before. LOINC Users' Guide, appendix on the check digit.
fn is_loinc(code: &str) -> bool {
    let prefixed = ["LP", "LA", "LL", "LG", "MTHU"].iter().find_map(|prefix| code.strip_prefix(prefix));
    let Some((digits, check)) = prefixed.unwrap_or(code).split_once('-') else { return false };
    if digits.is_empty() || digits.len() > 7 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    check.parse() == Ok((10 - sum % 10) % 10) && check.len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loinc_codes_have_a_check_digit() {
        assert!(
            ["2160-0", "24323-8", "718-7", "34108-1", "11503-0", "8302-2"].iter().all(|code| is_loinc(code))
        );
        assert!(["2160-1", "2160", "-0", "GLU", "2160-00", ""].iter().all(|code| !is_loinc(code)));
    }
}
