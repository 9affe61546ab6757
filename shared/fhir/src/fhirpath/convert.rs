//! Conversions (FHIRPath 2.0.0, 5.5).

use rust_decimal::Decimal;

use super::Stop;
use super::ast::Function;
use super::eval::{Collection, single};
use super::item::{Item, Quantity, System, decimal};
use super::lexer::{Token, tokens};
use super::temporal::{Temporal, TemporalKind};

/// None if the function is no conversion.
pub(super) fn call<'t>(function: Function, input: &[Item<'t>]) -> Result<Option<Collection<'t>>, Stop> {
    let (target, asks) = match function {
        Function::ToBoolean => (Function::ToBoolean, false),
        Function::ConvertsToBoolean => (Function::ToBoolean, true),
        Function::ToDate => (Function::ToDate, false),
        Function::ConvertsToDate => (Function::ToDate, true),
        Function::ToDateTime => (Function::ToDateTime, false),
        Function::ConvertsToDateTime => (Function::ToDateTime, true),
        Function::ToDecimal => (Function::ToDecimal, false),
        Function::ConvertsToDecimal => (Function::ToDecimal, true),
        Function::ToInteger => (Function::ToInteger, false),
        Function::ConvertsToInteger => (Function::ToInteger, true),
        Function::ToQuantity => (Function::ToQuantity, false),
        Function::ConvertsToQuantity => (Function::ToQuantity, true),
        Function::ToString => (Function::ToString, false),
        Function::ConvertsToString => (Function::ToString, true),
        Function::ToTime => (Function::ToTime, false),
        Function::ConvertsToTime => (Function::ToTime, true),
        _ => return Ok(None),
    };
    let Some(item) = single(input)? else { return Ok(Some(Vec::new())) };
    let converted = item.system().and_then(|value| convert(target, value));
    Ok(Some(if asks {
        vec![Item::bool(converted.is_some())]
    } else {
        converted.map(Item::System).into_iter().collect()
    }))
}

fn convert<'t>(target: Function, value: System<'t>) -> Option<System<'t>> {
    match (target, value) {
        (Function::ToBoolean, System::Boolean(value)) => Some(System::Boolean(value)),
        (Function::ToBoolean, System::Integer(number @ (0 | 1))) => Some(System::Boolean(number == 1)),
        (Function::ToBoolean, System::Decimal(number)) => {
            (number == Decimal::ONE || number.is_zero()).then_some(System::Boolean(!number.is_zero()))
        }
        (Function::ToBoolean, System::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(System::Boolean(true)),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(System::Boolean(false)),
            _ => None,
        },
        (Function::ToInteger, System::Integer(number)) => Some(System::Integer(number)),
        (Function::ToInteger, System::Boolean(value)) => Some(System::Integer(value.into())),
        (Function::ToInteger, System::String(text)) => {
            text.parse::<i32>().ok().map(|number| System::Integer(number.into()))
        }
        (Function::ToDecimal, System::Integer(number)) => Some(System::Decimal(number.into())),
        (Function::ToDecimal, System::Decimal(number)) => Some(System::Decimal(number)),
        (Function::ToDecimal, System::Boolean(value)) => Some(System::Decimal(i64::from(value).into())),
        (Function::ToDecimal, System::String(text)) => number(&text).map(System::Decimal),
        (Function::ToQuantity, value) => to_quantity(value).map(System::Quantity),
        (Function::ToString, value) => text_of(&value).map(|text| System::String(text.into())),
        (Function::ToDate, System::Temporal(temporal)) if temporal.kind != TemporalKind::Time => {
            Some(System::Temporal(temporal.as_date()))
        }
        (Function::ToDate, System::String(text)) => Temporal::parse(&text)
            .filter(|temporal| temporal.kind == TemporalKind::Date)
            .map(System::Temporal),
        (Function::ToDateTime, System::Temporal(temporal)) if temporal.kind != TemporalKind::Time => {
            Some(System::Temporal(temporal.as_date_time()))
        }
        (Function::ToDateTime, System::String(text)) => {
            Temporal::parse(&text).map(|temporal| System::Temporal(temporal.as_date_time()))
        }
        (Function::ToTime, System::Temporal(temporal)) if temporal.kind == TemporalKind::Time => {
            Some(System::Temporal(temporal))
        }
        (Function::ToTime, System::String(text)) => {
            Temporal::time(text.strip_prefix('T').unwrap_or(&text)).map(System::Temporal)
        }
        _ => None,
    }
}

/// An optional sign and digits with at most one point between them.
fn number(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (plain && digits.starts_with(|first: char| first.is_ascii_digit()) && !digits.ends_with('.'))
        .then(|| decimal(text.strip_prefix('+').unwrap_or(text)))?
}

fn to_quantity(value: System<'_>) -> Option<Quantity<'_>> {
    let of = |value: Decimal| Some(Quantity { value, unit: "1".into() });
    match value {
        System::Quantity(quantity) => Some(quantity),
        System::Integer(number) => of(number.into()),
        System::Decimal(number) => of(number),
        System::Boolean(value) => of(i64::from(value).into()),
        System::String(text) => {
            if let Some(number) = number(&text) {
                return of(number);
            }
            let (value, unit) = text.split_once(' ')?;
            let unit = match tokens(unit.trim()).ok()?.as_slice() {
                [(Token::Text(unit), _), _] => unit.clone(),
                [(Token::Name(unit), _), _] if super::parser::is_calendar(unit) => unit.clone(),
                _ => return None,
            };
            Some(Quantity { value: number(value)?, unit: unit.into() })
        }
        _ => None,
    }
}

fn text_of(value: &System<'_>) -> Option<String> {
    Some(match value {
        System::Boolean(value) => value.to_string(),
        System::Integer(number) => number.to_string(),
        System::Decimal(number) => number.to_string(),
        System::String(text) => text.to_string(),
        System::Temporal(temporal) => temporal.to_string(),
        System::Quantity(quantity) if super::parser::is_calendar(&quantity.unit) => {
            format!("{} {}", quantity.value, quantity.unit)
        }
        System::Quantity(quantity) => format!("{} '{}'", quantity.value, quantity.unit),
        System::Type(..) => return None,
    })
}
