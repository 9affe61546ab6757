//! Units of laboratory results, read as far as one amount per another goes (UCUM, version 2.1).

/// What is counted above or below the solidus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mole,
    Equivalent,
    Gram,
    Litre,
    /// Cells, copies: a pure number.
    Count,
    /// UCUM's `U`, and arbitrary units beside it.
    Enzyme,
    Osmole,
    Second,
}

/// A unit as kinds and a factor to their base: gram, mole, litre.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ratio {
    above: Kind,
    below: Option<Kind>,
    factor: f64,
}

const PREFIXES: &[(&str, f64)] = &[
    ("", 1.0),
    ("k", 1e3),
    ("d", 1e-1),
    ("c", 1e-2),
    ("m", 1e-3),
    ("mc", 1e-6),
    ("u", 1e-6),
    ("n", 1e-9),
    ("p", 1e-12),
    ("f", 1e-15),
];

/// Atoms in lower case, as feeds write units in any.
const ATOMS: &[(&str, Kind)] = &[
    ("mol", Kind::Mole),
    ("eq", Kind::Equivalent),
    ("osm", Kind::Osmole),
    ("osmol", Kind::Osmole),
    ("g", Kind::Gram),
    ("l", Kind::Litre),
    ("u", Kind::Enzyme),
    ("iu", Kind::Enzyme),
    ("[iu]", Kind::Enzyme),
    ("s", Kind::Second),
    ("sec", Kind::Second),
];

fn atom(text: &str) -> Option<(Kind, f64)> {
    // A cubic millimetre is a microlitre.
    if matches!(text, "mm3" | "cumm" | "mm*3" | "mm^3") {
        return Some((Kind::Litre, 1e-6));
    }
    if matches!(text, "cells" | "cell") || text.is_empty() {
        return Some((Kind::Count, 1.0));
    }
    let power = text.trim_start_matches('x').replace(['*', '^', 'e', '(', ')'], "");
    if let Some(digits) = power.strip_prefix("10")
        && let Ok(exponent @ 1..=15) = digits.parse::<i32>()
    {
        return Some((Kind::Count, 10f64.powi(exponent)));
    }
    ATOMS.iter().find_map(|(name, kind)| {
        let prefix = text.strip_suffix(name)?;
        PREFIXES.iter().find(|(known, _)| *known == prefix).map(|(_, factor)| (*kind, *factor))
    })
}

/// A unit in lower case without spaces, as [`super::fold_unit`] leaves it.
fn ratio(unit: &str) -> Option<Ratio> {
    let mut plain = String::new();
    let mut braces = 0usize;
    for c in unit.chars() {
        match c {
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            _ if braces == 0 => plain.push(c),
            _ => {}
        }
    }
    let (above, below) = match plain.split_once('/') {
        Some((above, below)) => (above, Some(below)),
        None => (plain.as_str(), None),
    };
    let (above, times) = atom(above)?;
    let Some(below) = below else {
        return (!plain.is_empty()).then_some(Ratio { above, below: None, factor: times });
    };
    let (below, per) = atom(below)?;
    (below == Kind::Litre).then_some(Ratio { above, below: Some(below), factor: times / per })
}

/// How many of `to` one of `from` is, where both measure the same: `g/L` is 100 `mg/dL`.
pub(super) fn conversion(from: &str, to: &str) -> Option<f64> {
    let (from, to) = (ratio(from)?, ratio(to)?);
    ((from.above, from.below) == (to.above, to.below)).then_some(from.factor / to.factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_per_volume_convert() {
        for (from, to, factor) in [
            ("g/l", "mg/dl", 100.0),
            ("umol/l", "mmol/l", 1e-3),
            ("mcmol/l", "mmol/l", 1e-3),
            ("mmol/dl", "mmol/l", 10.0),
            ("ng/ml", "ng/l", 1000.0),
            ("/ul", "10*9/l", 1e-3),
            ("10^6/l", "10*9/l", 1e-3),
            ("{cells}/ul", "10*9/l", 1e-3),
            ("cells/mm3", "10*9/l", 1e-3),
            ("x10e3/ul", "10*9/l", 1.0),
            ("ku/l", "u/l", 1000.0),
        ] {
            let found = conversion(from, to);
            assert!(found.is_some_and(|f| (f / factor - 1.0).abs() < 1e-9), "{from} to {to}: {found:?}");
        }
    }

    #[test]
    fn what_measures_something_else_does_not() {
        for (from, to) in [
            ("mg/dl", "mmol/l"),
            ("meq/l", "mmol/l"),
            ("u/l", "g/l"),
            ("mmol/mol", "mmol/l"),
            ("%", "g/l"),
            ("", "g/l"),
        ] {
            assert_eq!(conversion(from, to), None, "{from} to {to}");
        }
    }

    proptest! {
        #[test]
        fn no_unit_makes_it_panic(from in "\\PC{0,12}", to in "\\PC{0,12}") {
            let _ = conversion(&from, &to);
        }

        #[test]
        fn there_and_back(from in 0usize..10, to in 0usize..10) {
            let unit = |at: usize| format!("{}mol/l", PREFIXES[at].0);
            let both = conversion(&unit(from), &unit(to)).zip(conversion(&unit(to), &unit(from)));
            prop_assert!(both.is_some_and(|(a, b)| (a * b - 1.0).abs() < 1e-9));
        }
    }
}
