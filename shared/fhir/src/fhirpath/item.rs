//! What collections hold.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::node::Node;
use super::temporal::Temporal;
use crate::definitions::NativeType;
use crate::json::Kind;
use crate::primitive::Primitive;

/// One item of a collection.
#[derive(Clone, Debug)]
pub(crate) enum Item<'t> {
    /// An element of the resource.
    Node(Node<'t>),
    /// A value computed by the expression.
    System(System<'t>),
}

/// A value of FHIRPath's own types.
#[derive(Clone, Debug)]
pub(crate) enum System<'t> {
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    String(Cow<'t, str>),
    Temporal(Temporal),
    Quantity(Quantity<'t>),
    /// What `type()` gives: namespace and name.
    Type(&'static str, &'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Quantity<'t> {
    pub(crate) value: Decimal,
    pub(crate) unit: Cow<'t, str>,
}

impl<'t> Item<'t> {
    /// The value: that of a primitive element, or of a Quantity.
    pub(crate) fn system(&self) -> Option<System<'t>> {
        match self {
            Self::System(system) => Some(system.clone()),
            Self::Node(node) => value_of(*node),
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.system()? {
            System::Boolean(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<Cow<'t, str>> {
        match self.system()? {
            System::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self.system()? {
            System::Integer(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn bool(value: bool) -> Self {
        Self::System(System::Boolean(value))
    }

    pub(crate) fn integer(value: usize) -> Self {
        Self::System(System::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    pub(crate) fn text(value: impl Into<Cow<'t, str>>) -> Self {
        Self::System(System::String(value.into()))
    }
}

fn value_of(node: Node<'_>) -> Option<System<'_>> {
    let value = node.value?;
    let Some(primitive) = node.kind.primitive else { return quantity_of(node) };
    Some(match (primitive, value.kind()) {
        (_, Kind::True) => System::Boolean(true),
        (_, Kind::False) => System::Boolean(false),
        (Primitive::Decimal, Kind::Number) => System::Decimal(decimal(value.raw())?),
        (_, Kind::Number) => match value.raw().parse() {
            Ok(number) => System::Integer(number),
            Err(_) => System::Decimal(decimal(value.raw())?),
        },
        (Primitive::Date | Primitive::DateTime | Primitive::Instant | Primitive::Time, Kind::Text) => {
            let text = value.text();
            let parsed =
                if primitive == Primitive::Time { Temporal::time(&text) } else { Temporal::parse(&text) };
            match parsed {
                Some(temporal) if primitive != Primitive::Date => {
                    System::Temporal(if primitive == Primitive::Time {
                        temporal
                    } else {
                        temporal.as_date_time()
                    })
                }
                Some(temporal) => System::Temporal(temporal),
                None => System::String(text),
            }
        }
        (_, Kind::Text) => System::String(value.text()),
        _ => return None,
    })
}

/// A FHIR Quantity by its UCUM code; one of another system keeps its unit as it is written.
fn quantity_of(node: Node<'_>) -> Option<System<'_>> {
    if node.kind.native != NativeType::Quantity {
        return None;
    }
    let object = node.value?;
    let value = decimal(object.get("value")?.raw())?;
    let unit = object.get_text("code").or_else(|| object.get_text("unit")).unwrap_or(Cow::Borrowed("1"));
    Some(System::Quantity(Quantity { value, unit }))
}

/// A decimal as JSON or FHIRPath writes it; None beyond 28 digits.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    Decimal::from_str_exact(text).ok()
}
