//! Quantities: units that differ by a factor of ten only, and the definite units of time. Others cannot be compared here.

use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::item::{Quantity, System};

/// A value in a base unit.
struct Based<'u> {
    value: Decimal,
    unit: &'u str,
}

/// Metric prefixes of UCUM as powers of ten.
const PREFIXES: [(&str, i32); 10] = [
    ("da", 1),
    ("k", 3),
    ("h", 2),
    ("d", -1),
    ("c", -2),
    ("m", -3),
    ("u", -6),
    ("n", -9),
    ("p", -12),
    ("M", 6),
];
/// Units that take prefixes.
const METRIC: [&str; 9] = ["m", "g", "L", "l", "mol", "Pa", "J", "V", "eq"];

/// Units of time as milliseconds: those whose length is the same always.
const TIMES: [(&str, i64); 21] = [
    ("week", 604_800_000),
    ("weeks", 604_800_000),
    ("wk", 604_800_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
    ("d", 86_400_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("h", 3_600_000),
    ("minute", 60_000),
    ("minutes", 60_000),
    ("min", 60_000),
    ("second", 1000),
    ("seconds", 1000),
    ("s", 1000),
    ("millisecond", 1),
    ("milliseconds", 1),
    ("ms", 1),
    ("us", 0),
    ("ns", 0),
    ("ps", 0),
];

fn based<'u>(quantity: &'u Quantity<'_>) -> Option<Based<'u>> {
    let unit = quantity.unit.as_ref();
    if let Some((_, milliseconds)) = TIMES.iter().find(|(name, factor)| *name == unit && *factor > 0) {
        let value = quantity.value.checked_mul(Decimal::from(*milliseconds))?;
        return Some(Based { value, unit: "ms" });
    }
    // Calendar years and months are those of UCUM only by convention: each is comparable with itself.
    let unit = match unit {
        "years" => "year",
        "months" => "month",
        other => other,
    };
    if METRIC.contains(&unit) {
        return Some(Based { value: quantity.value, unit });
    }
    for (prefix, power) in PREFIXES {
        if let Some(stem) = unit.strip_prefix(prefix).filter(|stem| METRIC.contains(stem)) {
            let factor = Decimal::from(10i64.checked_pow(power.unsigned_abs())?);
            let value = if power > 0 {
                quantity.value.checked_mul(factor)
            } else {
                quantity.value.checked_div(factor)
            };
            return Some(Based { value: value?, unit: stem });
        }
    }
    Some(Based { value: quantity.value, unit })
}

/// A number is a quantity of unit 1.
fn quantity<'a>(value: &'a System<'_>) -> Option<Quantity<'a>> {
    match value {
        System::Quantity(held) => Some(Quantity { value: held.value, unit: held.unit.as_ref().into() }),
        other => super::compare::number(other).map(|value| Quantity { value, unit: "1".into() }),
    }
}

/// Whether both are quantities or numbers.
pub(super) fn both(left: &System<'_>, right: &System<'_>) -> bool {
    quantity(left).is_some() && quantity(right).is_some()
}

/// None where the units cannot be converted into each other here.
pub(super) fn compare(left: &System<'_>, right: &System<'_>) -> Option<Ordering> {
    let (left, right) = (quantity(left)?, quantity(right)?);
    let (left, right) = (based(&left)?, based(&right)?);
    (left.unit == right.unit).then(|| left.value.cmp(&right.value))
}

/// Equal to the coarser precision.
pub(super) fn equivalent(left: &System<'_>, right: &System<'_>) -> bool {
    let (Some(left), Some(right)) = (quantity(left), quantity(right)) else { return false };
    let (Some(first), Some(second)) = (based(&left), based(&right)) else { return false };
    let scale = first.value.normalize().scale().min(second.value.normalize().scale());
    first.unit == second.unit && first.value.round_dp(scale) == second.value.round_dp(scale)
}
