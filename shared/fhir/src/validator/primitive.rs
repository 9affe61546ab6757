//! Primitive values with their `_element` siblings.

use super::element::Typed;
use super::{Path, Scope, Walk};
use crate::json::{Kind, Value};
use crate::narrative;
use crate::primitive::{Primitive, Shape};
use crate::{ErrorCode, IssueType};

impl<'w> Walk<'w> {
    /// One place of a list: null is allowed on either side where the other has something.
    pub(super) fn list_primitive(
        &mut self,
        typed: Typed<'w>,
        value: Option<Value<'w>>,
        sibling: Option<Value<'w>>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        let present = |value: &Value<'_>| value.kind() != Kind::Null;
        let any = value.or(sibling);
        let (value, sibling) = (value.filter(present), sibling.filter(present));
        match any {
            Some(any) if value.is_none() && sibling.is_none() => {
                let name = typed.element.path_name();
                let message = format!(
                    "A null in {name} is allowed only where _{name} has an extension at the same place."
                );
                self.error(any, path, IssueType::Structure, ErrorCode::PrimitiveExtension, message);
            }
            _ => self.primitive(typed, value, sibling, path, scope),
        }
    }

    /// One primitive value, its extensions, or both.
    pub(super) fn primitive(
        &mut self,
        typed: Typed<'w>,
        value: Option<Value<'w>>,
        sibling: Option<Value<'w>>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        if let Some(sibling) = sibling {
            self.within.push((typed.owner, typed.element));
            self.object(sibling, typed.kind, path, scope);
            self.within.pop();
            if value.is_none() && sibling.get("id").is_some() && sibling.get("extension").is_none() {
                self.broken(
                    sibling,
                    path,
                    "ele-1",
                    ErrorCode::Empty,
                    "An element needs a value or an extension, an id alone is nothing",
                );
            }
        }
        let (Some(value), Some(primitive)) = (value, typed.kind.primitive) else { return };
        let fits = match primitive.shape() {
            Shape::Boolean => matches!(value.kind(), Kind::True | Kind::False),
            Shape::Number => value.kind() == Kind::Number,
            Shape::Text => value.kind() == Kind::Text,
        };
        if !fits {
            self.wrong_type(typed, primitive, value, path);
            return;
        }
        let text = value.text();
        if text.is_empty() && value.kind() == Kind::Text {
            let message = "A text may not be empty; leave the element out";
            self.broken(value, path, "ele-1", ErrorCode::Empty, message);
            return;
        }
        if let Err(violation) = primitive.check(&text) {
            let name = typed.element.path_name();
            let message = format!("{name} is not a valid {}: {}.", typed.kind.name(), violation.message);
            self.error(value, path, violation.code, ErrorCode::Format, message);
            return;
        }
        if primitive == Primitive::Xhtml {
            if let Err(reason) = narrative::check(&text) {
                let rule = reason.rule();
                self.broken(value, path, rule, ErrorCode::Narrative, reason.message());
            }
        } else if primitive == Primitive::String
            && typed.element.name() == "id"
            && text.contains(char::is_whitespace)
        {
            let message = "The id of an element has no spaces.".to_owned();
            self.error(value, path, IssueType::Value, ErrorCode::Format, message);
        }
        self.doubtful(primitive, value, &text, path);
        if !typed.element.bindings.is_empty() {
            self.code_bindings(typed, value, &text, path);
        }
        self.invariants(&typed.element.invariants, value, path, scope);
    }

    /// Valid values that are rarely meant.
    fn doubtful(&mut self, primitive: Primitive, value: Value<'w>, text: &str, path: &Path<'_>) {
        let (first, last) = (text.as_bytes().first(), text.as_bytes().last());
        let message = match primitive {
            Primitive::String
                if first.is_some_and(u8::is_ascii_whitespace)
                    || last.is_some_and(u8::is_ascii_whitespace) =>
            {
                "There is white space before or after this text."
            }
            Primitive::Date | Primitive::DateTime | Primitive::Instant
                if text.get(..4).is_some_and(|year| !("1800".."2101").contains(&year)) =>
            {
                "This year is far away; is it a slip?"
            }
            Primitive::Decimal if text.len() > 18 && significant_digits(text) > 18 => {
                "This number has more than 18 digits; many systems cannot keep them all."
            }
            _ => return,
        };
        self.warn(value, path, IssueType::Value, ErrorCode::Format, message.to_owned());
    }

    fn wrong_type(&mut self, typed: Typed<'w>, primitive: Primitive, value: Value<'w>, path: &Path<'_>) {
        let name = typed.element.path_name();
        let kind = typed.kind.name();
        let found = value.kind().described();
        let message = match (primitive.shape(), value.kind()) {
            (_, Kind::Null) => format!("{name} is null; leave the element out."),
            (Shape::Number, Kind::Text) => {
                format!("{name} is a number ({kind}) and is written without quotes.")
            }
            (Shape::Boolean, Kind::Text) => format!("{name} is true or false and is written without quotes."),
            (Shape::Text, Kind::Number | Kind::True | Kind::False) => {
                format!("{name} is a text ({kind}) and is written in quotes.")
            }
            _ => format!("{name} is {found}; a value of type {kind} is expected."),
        };
        self.error(value, path, IssueType::Structure, ErrorCode::JsonType, message);
    }
}

/// The digits of a decimal without its exponent and leading zeros.
fn significant_digits(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    digits.skip_while(|digit| *digit == b'0').count()
}
