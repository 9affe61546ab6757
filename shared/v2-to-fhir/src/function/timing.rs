//! Durations, and moments that a duration away from another.

use super::{Function, checked};
use crate::concept;
use crate::engine::Engine;
use crate::number;
use crate::rule::Source;
use crate::scope::Scope;
use crate::time::Stamp;
use crate::unit;
use crate::unmapped::bit;
use crate::value::{Text, Value, json};

pub(super) fn value(
    engine: &mut Engine<'_>,
    function: &Function,
    scope: Scope<'_>,
    index: usize,
    used: &mut u64,
) -> Option<Value> {
    match function {
        Function::MinutesIn(source) => {
            let unit = unit_in(engine, Some(source), index);
            let seconds = seconds(engine, scope, unit)?;
            *used |= bit(1);
            (seconds >= 60).then(|| json!(seconds / 60))
        }
        Function::Minutes => {
            let unit = concept::label(scope.child(2));
            let seconds = seconds(engine, scope.child(1), unit)?;
            *used |= bit(1) | bit(2);
            Some(json!(seconds / 60))
        }
        Function::After(from, source) => moved(engine, from, source.as_ref(), 1, scope, index, used),
        Function::Before(from, source) => moved(engine, from, source.as_ref(), -1, scope, index, used),
        Function::TqDuration => {
            let text = scope.text();
            let (amount, unit) = duration(&text)?;
            *used |= bit(1);
            Some(json!({"value": amount, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}))
        }
        _ => None,
    }
}

/// A moment in another field moved by this duration.
fn moved(
    engine: &mut Engine<'_>,
    from: &Source,
    unit: Option<&Source>,
    sign: i64,
    scope: Scope<'_>,
    index: usize,
    used: &mut u64,
) -> Option<Value> {
    let unit = unit_in(engine, unit, index);
    let seconds = seconds(engine, scope, unit)?;
    let from = engine.resolve_first(from, index)?;
    let to = Stamp::parse(&from.text())?.plus_seconds(sign * seconds, &mut engine.zones)?;
    *used |= bit(1);
    Some(Value::from(to))
}

fn unit_in(engine: &Engine<'_>, source: Option<&Source>, index: usize) -> Option<Text> {
    source.and_then(|source| engine.resolve_first(source, index)).and_then(concept::label)
}

/// Durations are in minutes where no unit is sent (HL7 v2.9 chapter 10, SCH-9).
fn seconds(engine: &mut Engine<'_>, scope: Scope<'_>, unit: Option<Text>) -> Option<i64> {
    let value: f64 = checked(engine, scope.text().trim().parse().ok())?;
    let seconds = value * unit::seconds(unit.as_deref().unwrap_or("min"))? as f64;
    #[expect(clippy::cast_possible_truncation, reason = "bounded on the line above it")]
    (seconds.is_finite() && (0.0..1e9).contains(&seconds)).then_some(seconds as i64)
}

/// `D5`, `H12`, `M30`, `W2`, `L1`, `S10` (HL7 v2.9 chapter 4A, TQ.3) to a number and its UCUM unit.
fn duration(text: &str) -> Option<(Value, &'static str)> {
    let text = text.trim();
    let unit = match text.as_bytes().first()? {
        b'S' => "s",
        b'M' => "min",
        b'H' => "h",
        b'D' => "d",
        b'W' => "wk",
        b'L' => "mo",
        _ => return None,
    };
    Some((number::integer(text.get(1..)?, 1)?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_quantity_timing() {
        assert_eq!(duration("D5"), Some((json!(5), "d")));
        assert_eq!(duration("L1"), Some((json!(1), "mo")));
        for text in ["", "5D", "D", "D0", "X12", "INDEF"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
