//! Operators on single values and mathematical functions (FHIRPath 2.0.0, 5.7 and 6.6).

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, MathematicalOps, RoundingStrategy};

use super::Stop;
use super::ast::{Function, Op};
use super::compare::{number, order};
use super::eval::{Evaluated, single};
use super::item::{Item, Quantity, System};

pub(super) fn negate<'t>(items: &[Item<'t>]) -> Evaluated<'t> {
    let Some(item) = single(items)? else { return Ok(Vec::new()) };
    Ok(vec![Item::System(match item.system() {
        Some(System::Integer(number)) => System::Integer(-number),
        Some(System::Decimal(number)) => System::Decimal(-number),
        Some(System::Quantity(held)) => System::Quantity(Quantity { value: -held.value, unit: held.unit }),
        _ => return Err(Stop::Type),
    })])
}

/// Operators whose sides are single values; empty if one side is.
pub(super) fn binary<'t>(op: Op, left: &[Item<'t>], right: &[Item<'t>]) -> Evaluated<'t> {
    let (left, right) = (single(left)?, single(right)?);
    if op == Op::Concatenate {
        let text = |item: Option<&Item<'t>>| match item {
            None => Ok(Cow::Borrowed("")),
            Some(item) => item.as_text().ok_or(Stop::Type),
        };
        return Ok(vec![Item::text(text(left)?.into_owned() + &text(right)?)]);
    }
    let (Some(left), Some(right)) = (left, right) else { return Ok(Vec::new()) };
    let left = left.system().ok_or(Stop::Type)?;
    let right = right.system().ok_or(Stop::Type)?;
    if matches!(op, Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual) {
        let order = order(&left, &right)?;
        let holds = order.map(|order| match op {
            Op::Less => order == Ordering::Less,
            Op::LessOrEqual => order != Ordering::Greater,
            Op::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        });
        return Ok(holds.map(Item::bool).into_iter().collect());
    }
    Ok(calculate(op, left, right)?.map(Item::System).into_iter().collect())
}

/// None where there is no result: a division by zero, an overflow.
fn calculate<'t>(op: Op, left: System<'t>, right: System<'t>) -> Result<Option<System<'t>>, Stop> {
    Ok(match (op, left, right) {
        (Op::Add, System::String(left), System::String(right)) => {
            Some(System::String((left.into_owned() + &right).into()))
        }
        (Op::Add | Op::Subtract, System::Temporal(temporal), System::Quantity(quantity)) => {
            let amount = quantity.value.trunc().to_i64().ok_or(Stop::Type)?;
            let amount = if op == Op::Add { amount } else { -amount };
            Some(System::Temporal(temporal.add(amount, &quantity.unit)?))
        }
        (Op::Add | Op::Subtract, System::Quantity(left), System::Quantity(right)) => {
            if left.unit != right.unit {
                return Err(Stop::Unknown);
            }
            decimal(op, left.value, right.value)
                .map(|value| System::Quantity(Quantity { value, unit: left.unit }))
        }
        (Op::Multiply | Op::Divide, System::Quantity(left), right) => match number(&right) {
            Some(right) => decimal(op, left.value, right)
                .map(|value| System::Quantity(Quantity { value, unit: left.unit })),
            None => return Err(Stop::Unknown),
        },
        (Op::Multiply, left, System::Quantity(right)) => {
            decimal(op, number(&left).ok_or(Stop::Type)?, right.value)
                .map(|value| System::Quantity(Quantity { value, unit: right.unit }))
        }
        (_, System::Integer(left), System::Integer(right)) => whole(op, left, right),
        (_, left, right) => {
            let (left, right) = (number(&left).ok_or(Stop::Type)?, number(&right).ok_or(Stop::Type)?);
            let result = decimal(op, left, right);
            if op == Op::Div {
                result.and_then(|result| result.to_i64()).map(System::Integer)
            } else {
                result.map(System::Decimal)
            }
        }
    })
}

fn whole<'t>(op: Op, left: i64, right: i64) -> Option<System<'t>> {
    match op {
        Op::Add => left.checked_add(right),
        Op::Subtract => left.checked_sub(right),
        Op::Multiply => left.checked_mul(right),
        Op::Div => left.checked_div(right),
        Op::Mod => left.checked_rem(right),
        _ => return decimal(op, left.into(), right.into()).map(System::Decimal),
    }
    .map(System::Integer)
}

fn decimal(op: Op, left: Decimal, right: Decimal) -> Option<Decimal> {
    match op {
        Op::Add => left.checked_add(right),
        Op::Subtract => left.checked_sub(right),
        Op::Multiply => left.checked_mul(right),
        Op::Divide => left.checked_div(right),
        Op::Div => left.checked_div(right).map(|quotient| quotient.trunc()),
        Op::Mod => left.checked_rem(right),
        _ => None,
    }
}

/// A mathematical function of a number; the argument is that of `log`, `power` and `round`.
pub(super) fn math<'t>(function: Function, input: &[Item<'t>], argument: Option<&Item<'t>>) -> Evaluated<'t> {
    let Some(item) = single(input)? else { return Ok(Vec::new()) };
    let value = item.system().ok_or(Stop::Type)?;
    if let (Function::Abs, System::Quantity(held)) = (function, &value) {
        let unit = held.unit.clone();
        return Ok(vec![Item::System(System::Quantity(Quantity { value: held.value.abs(), unit }))]);
    }
    let is_whole = matches!(value, System::Integer(_));
    let base = number(&value).ok_or(Stop::Type)?;
    let argument = match argument {
        Some(item) => Some(item.system().as_ref().and_then(number).ok_or(Stop::Type)?),
        None => None,
    };
    let floating = |result: Option<f64>| {
        result.filter(|result| result.is_finite()).and_then(Decimal::from_f64).map(System::Decimal)
    };
    let integer = |result: Decimal| result.to_i64().map(System::Integer);
    let result = match function {
        Function::Abs if is_whole => integer(base.abs()),
        Function::Abs => Some(System::Decimal(base.abs())),
        Function::Ceiling => integer(base.ceil()),
        Function::Floor => integer(base.floor()),
        Function::Truncate => integer(base.trunc()),
        Function::Round => {
            let places = argument.map_or(Some(0), |places| places.to_u32()).ok_or(Stop::Type)?;
            let rounded = base.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
            Some(System::Decimal(rounded))
        }
        Function::Sqrt => base.sqrt().map(System::Decimal),
        Function::Exp => floating(base.to_f64().map(f64::exp)),
        Function::Ln => floating(base.to_f64().map(f64::ln)),
        Function::Log => {
            floating(base.to_f64().zip(argument.and_then(|by| by.to_f64())).map(|(x, by)| x.log(by)))
        }
        Function::Power => match (argument.and_then(|by| by.to_i64()), is_whole) {
            (Some(by @ 0..=64), _) if argument.is_some_and(|argument| argument.is_integer()) => base
                .checked_powi(by)
                .and_then(|raised| if is_whole { integer(raised) } else { Some(System::Decimal(raised)) }),
            _ => floating(base.to_f64().zip(argument.and_then(|by| by.to_f64())).map(|(x, by)| x.powf(by))),
        },
        _ => None,
    };
    Ok(result.map(Item::System).into_iter().collect())
}
