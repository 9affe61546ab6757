//! Invariants of data types.

use std::cmp::Ordering;

use super::focus::{Focus, items, number};
use super::{Native, rule};
use crate::primitive;

const UCUM: &str = "http://unitsofmeasure.org";

pub(super) const RULES: &[Native] = &[
    rule("age-1", |age| {
        coded(age)
            && ucum_or_none(age)
            && (!age.has("value") || age.number("value").is_none_or(|value| value > 0.0))
    }),
    rule("att-1", |attachment| !attachment.has("data") || attachment.has("contentType")),
    rule("cnt-3", |count| {
        let whole = count.value.get("value").is_none_or(|value| !value.raw().contains('.'));
        coded(count) && ucum_or_none(count) && (!count.has("code") || count.is("code", "1")) && whole
    }),
    rule("cpt-2", |contact| !contact.has("value") || contact.has("system")),
    rule("dis-1", |distance| coded(distance) && ucum_or_none(distance)),
    rule("drt-1", |duration| !duration.has("code") || (duration.is("system", UCUM) && duration.has("value"))),
    rule("drq-1", |filter| filter.has("path") != filter.has("searchParam")),
    rule("drq-2", |filter| filter.has("path") != filter.has("searchParam")),
    rule("exp-1", |expression| expression.has("expression") || expression.has("reference")),
    rule("per-1", |period| {
        let (start, end) = (period.text("start"), period.text("end"));
        match (start, end) {
            (Some(start), Some(end)) => primitive::compare(&start, &end) != Some(Ordering::Greater),
            _ => true,
        }
    }),
    rule("qty-3", |quantity| !quantity.has("code") || quantity.has("system")),
    rule("rat-1", |ratio| {
        let (numerator, denominator) = (ratio.has("numerator"), ratio.has("denominator"));
        numerator == denominator && (numerator || ratio.has("extension"))
    }),
    rule("rng-2", |range| {
        let (Some(low), Some(high)) = (range.value.get("low"), range.value.get("high")) else { return true };
        // Quantities of different units cannot be compared without converting them.
        let same = ["system", "code", "unit"].iter().all(|name| low.get_text(name) == high.get_text(name));
        match (low.get("value").and_then(number), high.get("value").and_then(number)) {
            (Some(low), Some(high)) if same => low <= high,
            _ => true,
        }
    }),
    rule("tim-1", |repeat| !repeat.has("duration") || repeat.has("durationUnit")),
    rule("tim-2", |repeat| !repeat.has("period") || repeat.has("periodUnit")),
    rule("tim-4", |repeat| repeat.number("duration").is_none_or(|duration| duration >= 0.0)),
    rule("tim-5", |repeat| repeat.number("period").is_none_or(|period| period >= 0.0)),
    rule("tim-6", |repeat| !repeat.has("periodMax") || repeat.has("period")),
    rule("tim-7", |repeat| !repeat.has("durationMax") || repeat.has("duration")),
    rule("tim-8", |repeat| !repeat.has("countMax") || repeat.has("count")),
    rule("tim-9", |repeat| {
        let meal = |when: &str| matches!(when, "C" | "CM" | "CD" | "CV");
        !repeat.has("offset")
            || (repeat.has("when")
                && items(repeat.value, "when").all(|when| !when.as_text().is_some_and(|when| meal(&when))))
    }),
    rule("tim-10", |repeat| !repeat.has("timeOfDay") || !repeat.has("when")),
    rule("trd-1", |trigger| !trigger.has("data") || !trigger.has_choice("timing")),
    rule("trd-2", |trigger| !trigger.has("condition") || trigger.has("data")),
    rule("trd-3", |trigger| {
        (!trigger.is("type", "named-event") || trigger.has("name"))
            && (!trigger.is("type", "periodic") || trigger.has_choice("timing"))
            && (!trigger.text("type").is_some_and(|kind| kind.starts_with("data-")) || trigger.has("data"))
    }),
];

fn coded(quantity: &Focus<'_>) -> bool {
    quantity.has("code") || !quantity.has("value")
}

fn ucum_or_none(quantity: &Focus<'_>) -> bool {
    !quantity.has("system") || quantity.is("system", UCUM)
}
