//! Units as laboratories write them, to UCUM (ucum.org, case-sensitive codes).

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::value::Text;

/// Written form and UCUM code. Compared without case after the exact forms have been tried.
const UNITS: &[(&str, &str)] = &[
    ("%", "%"),
    ("beats/min", "/min"),
    ("bpm", "/min"),
    ("beats per minute", "/min"),
    ("breaths/min", "/min"),
    ("/min", "/min"),
    ("mmhg", "mm[Hg]"),
    ("mm hg", "mm[Hg]"),
    ("mm[hg]", "mm[Hg]"),
    ("cm h2o", "cm[H2O]"),
    ("c", "Cel"),
    ("cel", "Cel"),
    ("deg c", "Cel"),
    ("degc", "Cel"),
    ("f", "[degF]"),
    ("deg f", "[degF]"),
    ("degf", "[degF]"),
    ("lb", "[lb_av]"),
    ("lbs", "[lb_av]"),
    ("oz", "[oz_av]"),
    ("in", "[in_i]"),
    ("inches", "[in_i]"),
    ("ft", "[ft_i]"),
    ("kg", "kg"),
    ("g", "g"),
    ("mg", "mg"),
    ("ug", "ug"),
    ("mcg", "ug"),
    ("ng", "ng"),
    ("pg", "pg"),
    ("m", "m"),
    ("cm", "cm"),
    ("mm", "mm"),
    ("um", "um"),
    ("kg/m2", "kg/m2"),
    ("m2", "m2"),
    ("l", "L"),
    ("dl", "dL"),
    ("ml", "mL"),
    ("ul", "uL"),
    ("fl", "fL"),
    ("cc", "mL"),
    ("l/min", "L/min"),
    ("ml/min", "mL/min"),
    ("ml/hr", "mL/h"),
    ("ml/h", "mL/h"),
    ("ml/min/1.73m2", "mL/min/{1.73_m2}"),
    ("ml/min/1.73 m2", "mL/min/{1.73_m2}"),
    ("mmol/l", "mmol/L"),
    ("umol/l", "umol/L"),
    ("nmol/l", "nmol/L"),
    ("pmol/l", "pmol/L"),
    ("mol/l", "mol/L"),
    ("meq/l", "meq/L"),
    ("mosm/kg", "mosm/kg"),
    ("g/dl", "g/dL"),
    ("g/l", "g/L"),
    ("mg/dl", "mg/dL"),
    ("mg/l", "mg/L"),
    ("mg/g", "mg/g"),
    ("ug/dl", "ug/dL"),
    ("mcg/dl", "ug/dL"),
    ("ug/l", "ug/L"),
    ("ug/ml", "ug/mL"),
    ("mcg/ml", "ug/mL"),
    ("ng/ml", "ng/mL"),
    ("ng/dl", "ng/dL"),
    ("ng/l", "ng/L"),
    ("pg/ml", "pg/mL"),
    ("u/l", "U/L"),
    ("u/ml", "U/mL"),
    ("iu/l", "[IU]/L"),
    ("iu/ml", "[IU]/mL"),
    ("miu/l", "m[IU]/L"),
    ("miu/ml", "m[IU]/mL"),
    ("uiu/ml", "u[IU]/mL"),
    ("mm/hr", "mm/h"),
    ("mm/h", "mm/h"),
    ("k/ul", "10*3/uL"),
    ("k/mm3", "10*3/mm3"),
    ("x10e3/ul", "10*3/uL"),
    ("x10(3)/ul", "10*3/uL"),
    ("10e3/ul", "10*3/uL"),
    ("10^3/ul", "10*3/uL"),
    ("10*3/ul", "10*3/uL"),
    ("thou/ul", "10*3/uL"),
    ("thousand/ul", "10*3/uL"),
    ("m/ul", "10*6/uL"),
    ("x10e6/ul", "10*6/uL"),
    ("x10(6)/ul", "10*6/uL"),
    ("10e6/ul", "10*6/uL"),
    ("10^6/ul", "10*6/uL"),
    ("10*6/ul", "10*6/uL"),
    ("million/ul", "10*6/uL"),
    ("10*9/l", "10*9/L"),
    ("10^9/l", "10*9/L"),
    ("x10e9/l", "10*9/L"),
    ("giga.l-1", "10*9/L"),
    ("10*12/l", "10*12/L"),
    ("10^12/l", "10*12/L"),
    ("x10e12/l", "10*12/L"),
    ("tera.l-1", "10*12/L"),
    ("cells/ul", "{cells}/uL"),
    ("/hpf", "/[HPF]"),
    ("/lpf", "/[LPF]"),
    ("s", "s"),
    ("sec", "s"),
    ("secs", "s"),
    ("seconds", "s"),
    ("ms", "ms"),
    ("msec", "ms"),
    ("min", "min"),
    ("minutes", "min"),
    ("h", "h"),
    ("hr", "h"),
    ("hrs", "h"),
    ("hours", "h"),
    ("d", "d"),
    ("day", "d"),
    ("days", "d"),
    ("wk", "wk"),
    ("week", "wk"),
    ("weeks", "wk"),
    ("mo", "mo"),
    ("months", "mo"),
    ("yr", "a"),
    ("yrs", "a"),
    ("years", "a"),
    ("mg/kg", "mg/kg"),
    ("mg/hr", "mg/h"),
    ("mmol/mol", "mmol/mol"),
    ("ph", "[pH]"),
    ("u", "U"),
    ("iu", "[IU]"),
    ("meq", "meq"),
    ("mmol", "mmol"),
    ("kpa", "kPa"),
];

/// The UCUM code for a unit as written.
pub(crate) fn ucum(unit: &str) -> Option<&'static str> {
    /// Codes as they are, and written forms in lower case; of two equal ones the first counts.
    static KNOWN: LazyLock<[FxHashMap<&str, &str>; 2]> = LazyLock::new(|| {
        let mut known = [FxHashMap::default(), FxHashMap::default()];
        for (written, code) in UNITS {
            known[0].entry(*code).or_insert(*code);
            known[1].entry(*written).or_insert(*code);
        }
        known
    });
    let unit = unit.trim();
    let [codes, forms] = &*KNOWN;
    codes.get(unit).or_else(|| forms.get(&*Text::from(unit).to_ascii_lowercase())).copied()
}

/// Units of UCUM that take a metric prefix, and those that do not.
const METRIC: [&str; 34] = [
    "m", "s", "g", "K", "cd", "mol", "rad", "Hz", "N", "Pa", "J", "W", "A", "V", "F", "Ohm", "S", "Wb",
    "Cel", "T", "H", "lm", "lx", "Bq", "Gy", "Sv", "l", "L", "eq", "osm", "U", "kat", "[iU]", "[IU]",
];
const PLAIN: [&str; 50] = [
    "%",
    "min",
    "h",
    "d",
    "wk",
    "mo",
    "a",
    "deg",
    "bar",
    "cal",
    "Ci",
    "R",
    "dyn",
    "[degF]",
    "[lb_av]",
    "[oz_av]",
    "[in_i]",
    "[ft_i]",
    "[fl_oz_us]",
    "[cup_us]",
    "[tsp_us]",
    "[tbs_us]",
    "[drp]",
    "[HPF]",
    "[LPF]",
    "[pH]",
    "[ppm]",
    "[ppb]",
    "[ppth]",
    "m[Hg]",
    "m[H2O]",
    "cm[H2O]",
    "mm[Hg]",
    "[CFU]",
    "[PFU]",
    "[arb'U]",
    "[USP'U]",
    "[TCID_50]",
    "[APL'U]",
    "[GPL'U]",
    "[MPL'U]",
    "[BAU]",
    "[AU]",
    "[Amb'a'1'U]",
    "[Lf]",
    "[beth'U]",
    "[D'ag'U]",
    "B",
    "Np",
    "1",
];
const PREFIXES: [&str; 14] = ["da", "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "d", "c", "m", "u"];
const SMALL: [&str; 4] = ["n", "p", "f", "a"];

/// Whether a code that a sender calls UCUM is made of units that UCUM has. Rarer ones of it are not known here.
pub(crate) fn is_ucum(code: &str) -> bool {
    let Some(bare) = without_annotations(code) else { return false };
    let parts = bare.strip_prefix('/').unwrap_or(&bare);
    !parts.is_empty() && parts.split(['.', '/']).all(term)
}

/// `mg{creat}/{score}` as `mg/1`; `None` where a brace is not closed or holds what it may not.
fn without_annotations(code: &str) -> Option<String> {
    let (mut bare, mut rest) = (String::new(), code);
    while let Some((before, after)) = rest.split_once('{') {
        bare.push_str(before);
        if bare.is_empty() || bare.ends_with(['.', '/']) {
            bare.push('1');
        }
        let (text, tail) = after.split_once('}')?;
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'{') {
            return None;
        }
        rest = tail;
    }
    bare.push_str(rest);
    (!bare.contains('}')).then_some(bare)
}

/// A unit with its exponent: `m2`, `10*3`, `mmol`.
fn term(term: &str) -> bool {
    let unit = match term.strip_prefix("10*").or_else(|| term.strip_prefix("10^")) {
        Some(power) => {
            let power = power.strip_prefix(['+', '-']).unwrap_or(power);
            return !power.is_empty() && power.bytes().all(|b| b.is_ascii_digit());
        }
        None if !term.is_empty() && term.bytes().all(|b| b.is_ascii_digit()) => return true,
        None => term.trim_end_matches(|c: char| c.is_ascii_digit()),
    };
    let unit = if unit.len() < term.len() { unit.strip_suffix(['+', '-']).unwrap_or(unit) } else { unit };
    let prefixed = |prefix: &str| unit.strip_prefix(prefix).is_some_and(|rest| METRIC.contains(&rest));
    METRIC.contains(&unit)
        || PLAIN.contains(&unit)
        || PREFIXES.iter().chain(&SMALL).any(|prefix| prefixed(prefix))
}

/// Seconds in one of a unit of time, for durations that are added to a start.
pub(crate) fn seconds(unit: &str) -> Option<i64> {
    Some(match ucum(unit)? {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        "wk" => 604_800,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_ucum_are_known() {
        for code in [
            "mg/dL",
            "10*3/uL",
            "/min",
            "mm[Hg]",
            "{score}",
            "mL/min/{1.73_m2}",
            "m[IU]/L",
            "kg/m2",
            "%",
            "umol/L",
            "mg{creat}",
        ] {
            assert!(is_ucum(code), "{code}");
        }
        for code in ["", "/", "X", "mg//dL", "a b", "10*", "{x", "mcg/dL", "tab", "<5", "2..3"] {
            assert!(!is_ucum(code), "{code}");
        }
        for (written, code) in UNITS {
            assert!(is_ucum(code), "{written}");
        }
    }

    #[test]
    fn written_forms_become_ucum() {
        for (written, code) in [
            ("MG/DL", "mg/dL"),
            ("K/uL", "10*3/uL"),
            ("mmHg", "mm[Hg]"),
            ("Cel", "Cel"),
            ("tera.l-1", "10*12/L"),
        ] {
            assert_eq!(ucum(written), Some(code), "{written}");
        }
        assert_eq!(ucum("furlong"), None);
        assert_eq!(seconds("hours"), Some(3600));
    }
}
