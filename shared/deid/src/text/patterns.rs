//! Identifiers with a shape: numbers, addresses of the network, codes. Each pattern is checked before it counts.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{Candidate, Layer};
use crate::{Kind, lexicon};

/// What a text must contain for a pattern to be worth running.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Digit,
    At,
    Dot,
    Colon,
    Upper,
}

/// What a text contains; counted once a text.
#[derive(Clone, Copy, Default)]
pub(crate) struct Contains {
    digit: bool,
    at: bool,
    dot: bool,
    colon: bool,
    upper: bool,
}

impl Contains {
    pub(crate) fn of(text: &str) -> Self {
        let mut found = Self::default();
        for byte in text.bytes() {
            found.digit |= byte.is_ascii_digit();
            found.at |= byte == b'@';
            found.dot |= byte == b'.';
            found.colon |= byte == b':';
            found.upper |= byte.is_ascii_uppercase() || byte >= 0x80;
        }
        found
    }

    pub(crate) fn has_digit(self) -> bool {
        self.digit
    }

    pub(crate) fn meets(self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Digit => self.digit,
            Needs::At => self.at,
            Needs::Dot => self.dot,
            Needs::Colon => self.colon,
            Needs::Upper => self.upper,
        }
    }
}

/// Refuses a match by its text, the text before it and the text behind it.
pub(crate) type Check = fn(&str, &str, &str) -> bool;

pub(crate) struct Pattern {
    pub(crate) kind: Kind,
    pub(crate) score: f32,
    needs: Needs,
    regex: Regex,
    check: Check,
}

/// Compiles a pattern in which `\b`, `\d` and `\w` are ASCII: Unicode word boundaries make the regex engine fall back to its slow path.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    let ascii = pattern.replace(r"\b", r"(?-u:\b)").replace(r"\d", "[0-9]").replace(r"\w", "[A-Za-z0-9_]");
    Regex::new(&ascii)
}

/// A built-in expression: one that cannot be compiled must not leave its layer out.
pub(crate) fn built_in(expression: &str) -> Regex {
    match compile(expression) {
        Ok(regex) => regex,
        Err(error) => unreachable!("built-in pattern: {error}"),
    }
}

/// A built-in pattern.
pub(crate) fn pattern(kind: Kind, score: f32, needs: Needs, regex: &str, check: Check) -> Pattern {
    match Pattern::new(kind, score, needs, regex, check) {
        Ok(pattern) => pattern,
        Err(error) => unreachable!("built-in pattern: {error}"),
    }
}

impl Pattern {
    pub(crate) fn new(
        kind: Kind,
        score: f32,
        needs: Needs,
        regex: &str,
        check: Check,
    ) -> Result<Self, regex::Error> {
        Ok(Self { kind, score, needs, regex: compile(regex)?, check })
    }

    /// Pushes the matches: the group `id` where the pattern has one, else the whole match.
    pub(crate) fn find(&self, text: &str, contains: Contains, out: &mut Vec<Candidate>) {
        if !contains.meets(self.needs) {
            return;
        }
        if self.regex.captures_len() == 1 {
            for found in self.regex.find_iter(text) {
                self.push(text, found.start(), found.end(), out);
            }
            return;
        }
        let mut from = 0;
        // The next search starts behind the identifier, not behind the context, so that one context word can serve the next match.
        while let Some(captures) = self.regex.captures_at(text, from) {
            let Some(id) = identifier(&captures) else { break };
            self.push(text, id.0, id.1, out);
            from = id.1.max(from + 1);
            while from < text.len() && !text.is_char_boundary(from) {
                from += 1;
            }
            if from > text.len() {
                break;
            }
        }
    }

    fn push(&self, text: &str, start: usize, end: usize, out: &mut Vec<Candidate>) {
        let (Some(before), Some(found), Some(after)) =
            (text.get(..start), text.get(start..end), text.get(end..))
        else {
            return;
        };
        if !found.is_empty() && (self.check)(found, before, after) {
            out.push(Candidate { start, end, kind: self.kind, layer: Layer::Pattern, score: self.score });
        }
    }
}

fn identifier(captures: &Captures<'_>) -> Option<(usize, usize)> {
    let found = captures.name("id").or_else(|| captures.name("id2")).or_else(|| captures.get(0))?;
    Some((found.start(), found.end()))
}

pub(crate) fn any(_: &str, _: &str, _: &str) -> bool {
    true
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn two_digits(found: &str, _: &str, _: &str) -> bool {
    found.bytes().filter(u8::is_ascii_digit).count() >= 2
}

/// A separator and another digit follow.
pub(crate) fn continued(after: &str, separators: &[char]) -> bool {
    after.strip_prefix(separators).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Not a piece of a longer number, version or code.
fn alone(_: &str, before: &str, after: &str) -> bool {
    !before.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/'))
        && !after.starts_with(|c: char| c.is_ascii_digit() || c == '/')
        && !continued(after, &['-', '.'])
}

/// ISO/IEC 7812-1 check digit.
fn luhn(found: &str, before: &str, after: &str) -> bool {
    let digits = digits(found);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| if i % 2 == 1 { (d * 2) / 10 + (d * 2) % 10 } else { *d })
        .sum();
    digits.len() >= 13 && sum.is_multiple_of(10) && alone(found, before, after)
}

/// DEA registration number: two letters, six digits and a check digit.
fn dea(found: &str, before: &str, after: &str) -> bool {
    let d = digits(found);
    d.len() == 7
        && (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6]
        && alone(found, before, after)
}

/// Vehicle identification number: letters and digits, and the check digit of 49 CFR 565.15 or the word before it.
fn vin(found: &str, before: &str, _: &str) -> bool {
    let value = |c: char| -> Option<u32> {
        c.to_digit(10).or_else(|| {
            "ABCDEFGH..JKLMN.P.R..STUVWXYZ".find(c).and_then(|_| {
                Some(match c {
                    'A' | 'J' => 1,
                    'B' | 'K' | 'S' => 2,
                    'C' | 'L' | 'T' => 3,
                    'D' | 'M' | 'U' => 4,
                    'E' | 'N' | 'V' => 5,
                    'F' | 'W' => 6,
                    'G' | 'P' | 'X' => 7,
                    'H' | 'Y' => 8,
                    'R' | 'Z' => 9,
                    _ => return None,
                })
            })
        })
    };
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let upper = found.to_uppercase();
    let has = |test: fn(char) -> bool| upper.chars().any(test);
    if !has(|c| c.is_ascii_digit()) || !has(|c| c.is_ascii_alphabetic()) {
        return false;
    }
    let lower = tail(before, 30).to_lowercase();
    if ["vin", "vehicle", "chassis"].iter().any(|word| lower.contains(word)) {
        return true;
    }
    let sum: Option<u32> = upper.chars().zip(WEIGHTS).map(|(c, w)| value(c).map(|v| v * w)).sum();
    let check = upper.chars().nth(8);
    sum.is_some_and(|sum| check == char::from_digit(sum % 11, 11).map(|c| if c == 'a' { 'X' } else { c }))
}

fn ipv4(found: &str, before: &str, after: &str) -> bool {
    let lower = tail(before, 14).to_lowercase();
    found.split('.').all(|part| part.parse::<u8>().is_ok())
        && !before.ends_with(['.', 'v'])
        && !["version", "section", "release", "rev "].iter().any(|word| lower.contains(word))
        && !continued(after, &['.'])
}

fn ipv6(found: &str, before: &str, _: &str) -> bool {
    found.matches(':').count() >= 2
        && found.len() >= 6
        && found.parse::<Ipv6Addr>().is_ok()
        && !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == ':')
}

fn phone(found: &str, before: &str, after: &str) -> bool {
    alone(found, before, after) || before.ends_with(['(', '+', ':', '.', '-']) && !before.ends_with("..")
}

/// Seven digits are a phone number next to a word for one, or in the exchange set aside for examples; "150-4000" is a range.
fn short_phone(found: &str, before: &str, after: &str) -> bool {
    let lower = tail(before, 24).to_lowercase();
    alone(found, before, after)
        && (found.starts_with("555") || PHONE_WORDS.iter().any(|word| lower.contains(word)))
}

const PHONE_WORDS: [&str; 16] = [
    "phone", "tel", "call", "cell", "mobile", "pager", "beeper", "fax", "reach", "contact", "home:", "work:",
    "office:", "number", "ph:", "dial",
];

/// An SSN of a person never starts with 000 or 666 and has no empty group (SSA), but a typing error must not leak one.
fn ssn(found: &str, before: &str, after: &str) -> bool {
    alone(found, before, after)
}

/// The first bytes of a text, at most so many: what stands behind a match must not be read to the end of a long note for each match.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The last bytes of a text, at most so many.
pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// A plate has digits and letters or is spoken of with a vehicle; "plate 12" in orthopaedics is hardware.
fn plate(found: &str, before: &str, after: &str) -> bool {
    let lower = tail(before, 70).to_lowercase();
    let vehicle = ["vehicle", "vin", "license", "licence", "car ", "truck", "registration", "tag"];
    let letters = found.bytes().any(|b| b.is_ascii_alphabetic());
    // Small letters belong to hardware ("plate 7-hole") unless the words before speak of a vehicle.
    let small = found.bytes().any(|b| b.is_ascii_lowercase());
    let spoken = vehicle.iter().any(|word| lower.contains(word)) || before.trim_end().ends_with(['#', ':']);
    found.len() >= 4
        && (!small || spoken)
        && found.bytes().any(|b| b.is_ascii_digit())
        && (letters || vehicle.iter().any(|word| lower.contains(word)))
        && !continued(after, &['.'])
}

/// Not the word after "username" in running text.
fn user(found: &str, _: &str, _: &str) -> bool {
    let lower = found.to_lowercase();
    found.len() > 2
        && lexicon::flags(&lower) & lexicon::STOP == 0
        && !matches!(
            lower.as_str(),
            "and" | "field" | "password" | "not" | "are" | "must" | "page" | "screen" | "information"
        )
}

/// A user's name has a digit or a separator, or is followed by what users do.
fn operator(found: &str, before: &str, after: &str) -> bool {
    let next = head(after.trim_start(), 8).to_lowercase();
    user(found, before, after)
        && (found.contains(|c: char| c.is_ascii_digit() || matches!(c, '.' | '_'))
            || ["logged", "signed", "opened", "accessed", "viewed", "entered", "printed"]
                .iter()
                .any(|verb| next.starts_with(&verb[..verb.len().min(6)])))
}

fn room(found: &str, _: &str, after: &str) -> bool {
    let next = head(after.trim_start(), 12).to_lowercase();
    found.bytes().any(|b| b.is_ascii_digit())
        && ![
            "degree", "%", "min", "hour", "day", "time", "week", "air", "°", "l", "x", "feet", "ft", "am",
            "pm",
        ]
        .iter()
        .any(|unit| {
            next.starts_with(unit) && (unit.len() > 1 || !next[unit.len()..].starts_with(char::is_alphabetic))
        })
}

/// A code system's name is no address of anybody's.
fn address(found: &str, _: &str, _: &str) -> bool {
    const PUBLIC: [&str; 8] = [
        "hl7.org/",
        "terminology.hl7.org/",
        "loinc.org",
        "snomed.info/",
        "unitsofmeasure.org",
        "www.nlm.nih.gov/research/umls/",
        "dicom.nema.org/",
        "ihe.net/",
    ];
    let name = found.split_once("://").map_or(found, |(_, name)| name);
    !PUBLIC.iter().any(|system| name.starts_with(system)) || name.contains(['?', '@', '#'])
}

/// An address of the network, not an abbreviation that lacks a space after its period ("b.i.d.com").
fn domain(found: &str, before: &str, _: &str) -> bool {
    !before.ends_with(['@', '.', '/']) && found.split('.').next().is_some_and(|label| label.len() > 1)
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    use Needs::{At, Colon, Digit, Dot, Nothing};
    let p = pattern;
    // A value: letters, digits and separators, with at least one digit.
    const V: &str = r"(?P<id>(?:[A-Za-z]{0,5}[-/.]?|(?-i:[A-Z]{1,5}) )\d[A-Za-z0-9]*(?:[-/.][A-Za-z0-9]+)*)";
    // What may stand between a label and its value.
    const S: &str = r#"(?:\s*(?:"|number|num|no|nr|id|identifier|code|#|:|=|\.|is|was|of|are|\(|-)){0,5}\s*"#;
    let label = |kind: Kind, score: f32, words: &str| {
        p(kind, score, Digit, &format!(r"(?i)\b(?:{words}){S}{V}"), two_digits)
    };
    vec![
        p(Kind::Email, 0.99, At, r"(?i)\b[a-z0-9][a-z0-9._%+'-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)+", any),
        p(Kind::Email, 0.95, At, r"(?i)\b[a-z0-9._%+-]+ ?@ ?[a-z0-9-]+ ?\. ?(?:com|org|net|edu|gov)\b", any),
        p(
            Kind::Email,
            0.9,
            Nothing,
            r"(?i)\b[a-z0-9_]+(?: dot [a-z0-9_]+)* at [a-z0-9]+ dot (?:com|org|net|edu|gov)\b",
            any,
        ),
        p(Kind::Other, 0.8, At, r"(?:^|\s)(?P<id>@[A-Za-z0-9_.]{3,30}[A-Za-z0-9_])", any),
        p(
            Kind::Url,
            0.99,
            Colon,
            r#"(?i)\b(?:https?|ftps?|sftp|file|mailto|tel|ldap)://?[^\s<>"'\]\)]*[^\s<>"'\]\).,;:]"#,
            address,
        ),
        p(Kind::Url, 0.98, Dot, r#"(?i)\bwww\.[^\s<>"'\]\)]*[^\s<>"'\]\).,;:]"#, any),
        p(
            Kind::Url,
            0.85,
            Dot,
            r#"(?i)\b(?:[a-z0-9][a-z0-9-]*\.)+(?:com|org|net|edu|gov|mil|io|info|biz|health|hospital|clinic|care|app|dev|co\.uk)\b(?:/[^\s<>"'\]\).,;]*)?"#,
            domain,
        ),
        p(Kind::IpAddress, 0.95, Dot, r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", ipv4),
        p(Kind::IpAddress, 0.95, Colon, r"(?i)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}", ipv6),
        p(Kind::Device, 0.9, Nothing, r"(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b", alone),
        p(
            Kind::Other,
            0.95,
            Nothing,
            r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
            any,
        ),
        p(Kind::Other, 0.8, Dot, r"\b[0-2](?:\.\d+){6,}\b", any),
        // (G)
        p(Kind::Ssn, 0.97, Digit, r"\b\d{3}-\d{2}-\d{4}\b", ssn),
        p(Kind::Ssn, 0.8, Digit, r"\b\d{3} \d{2} \d{4}\b", ssn),
        p(
            Kind::Ssn,
            0.97,
            Digit,
            r"(?i)\b(?:ssn|ss#|ss #|social security|soc\.? sec\.?)[^0-9\n]{0,25}(?P<id>(?:[x*]{3}[- ]?[x*]{2}[- ]?)?\d[\d -]{2,10}\d)",
            any,
        ),
        p(Kind::Ssn, 0.97, Digit, r"(?i)(?:[x*]{3}-[x*]{2}-)\d{4}\b", any),
        // (D), (E)
        p(
            Kind::Fax,
            0.96,
            Digit,
            r"(?i)\b(?:fax|facsimile|telefax)(?:\s*(?:number|no|to|at|is|#|:|\.|\(|-)){0,4}\s*(?P<id>\+?\(?\d[\d().\s-]{5,16}\d)",
            any,
        ),
        p(
            Kind::Phone,
            0.95,
            Digit,
            r"(?i)(?:\+?1[-. ]{0,2})?(?:\(\d{3}\)[-. ]{0,2}|\b\d{3}[-. /])\d{3}[-. ]\d{4}(?:,?\s*(?:x|ext\.?|extension)\s*\d{1,6})?\b",
            phone,
        ),
        p(Kind::Phone, 0.9, Digit, r"(?i)\b001-\d{3}-\d{3}-\d{4}(?:x\d{1,6})?\b", any),
        p(Kind::Phone, 0.85, Digit, r"\+\d{1,3}[-. ]?(?:\(?\d{1,4}\)?[-. ]?){2,5}\d{2,4}\b", phone),
        p(Kind::Phone, 0.8, Digit, r"(?i)\b\d{3}[-.]\d{4}(?:\s*(?:x|ext\.?)\s*\d{1,6})?\b", short_phone),
        p(
            Kind::Phone,
            0.9,
            Digit,
            r"(?i)\b(?:phone|telephone|tel|cell|cellphone|mobile|pager|beeper|callback|ph|contact)(?:\s*(?:number|num|no|is|was|at|#|:|\.|\()){0,4}\s*(?P<id>\+?\(?\d[\d(). -]{3,16}\d)",
            any,
        ),
        p(
            Kind::Phone,
            0.85,
            Digit,
            r"(?i)\b(?:call|reach|reached|dial|text)(?:ed)?(?:\s+\w+){0,3}?\s+(?:at|on)?\s*(?P<id>\+?\(?\d{3}\)?[-. ]?\d{3}[-. ]?\d{4})\b",
            any,
        ),
        p(
            Kind::Phone,
            0.8,
            Digit,
            r"(?i)\b(?:ext\.?|extension|pager|beeper)\s*(?:number|no\.?|#|:|is)?\s*(?P<id>\d{3,6})\b",
            any,
        ),
        // (H)
        label(
            Kind::MedicalRecord,
            0.95,
            r"mrn|mr ?#|med(?:ical)?\.? ?rec(?:ord)?s?|chart (?:number|no|#|id)|chart ?#|patient (?:number|no|#|id|identifier)|pt\.? id|patient ?#|record (?:number|no|#|id)|unit (?:number|no|#)|hospital (?:number|no|#|id)|emr ?(?:#|id)|ehr ?(?:#|id)|umrn|mpi|empi",
        ),
        // (I)
        label(
            Kind::HealthPlan,
            0.93,
            r"(?:member|policy|subscriber|beneficiary|insured|insurance|health ?plan|plan|group|medicare|medicaid|hicn?|mbi|payer|payor)\s*(?:id|#|number|no\b|identifier|card|policy|beneficiary|hic)|hicn|mbi",
        ),
        p(
            Kind::HealthPlan,
            0.9,
            Digit,
            r"\b[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}\b",
            any,
        ),
        // (J)
        label(
            Kind::Account,
            0.93,
            r"account|acct|a/c|guarantor (?:id|#|number|no)|billing (?:id|#|number|no)|invoice|claim (?:id|#|number|no)|har|bank|routing|iban|credit card|card (?:#|number|ending in)",
        ),
        p(Kind::Account, 0.9, Digit, r"\b\d{4}[- ]?\d{4}[- ]?\d{4}[- ]?\d{1,7}\b", luhn),
        // (K)
        label(
            Kind::License,
            0.93,
            r"licen[sc]e|lic\b|driver'?s? lic(?:en[sc]e)?|dl ?(?:#|no|number)|dea|npi|upin|certificat(?:e|ion) (?:#|no|number|id)|cert (?:#|no)|passport|state id|visa (?:#|no|number)|permit (?:#|no|number)",
        ),
        p(Kind::License, 0.9, Digit, r"\b[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}\b", dea),
        // (L)
        p(Kind::Vehicle, 0.9, Digit, r"\b[A-HJ-NPR-Z0-9]{17}\b", vin),
        p(
            Kind::Vehicle,
            0.9,
            Digit,
            r"(?i)\b(?:vin|vehicle|chassis)(?:\s*(?:number|no|id|#|:|is|\.)){0,3}\s*(?P<id>[A-HJ-NPR-Z0-9]{17})\b",
            two_digits,
        ),
        p(
            Kind::Vehicle,
            0.9,
            Digit,
            r"\b(?i:license plates?|licence plates?|number plate|lic\.? plates?|reg\.? plates?|plates?|tag (?:number|no|#)|registration (?:number|no|#)|vehicle (?:id|tag|plate|registration))\b(?i:\s*(?:number|no|#|:|is|was|reads?|\.)){0,3}\s*(?P<id>(?i:[A-Z0-9]{1,4}[- ]?[A-Z0-9]{2,6}|[A-Z0-9]{4,8}))\b",
            plate,
        ),
        // (M)
        label(
            Kind::Device,
            0.93,
            r"serial|s/n|ser\.? (?:no|#)|device (?:id|identifier|#|number|no|serial)|udi|implant (?:id|#|number|no)|imei|asset (?:tag|#|id|number)|sn ?[:#]",
        ),
        p(Kind::Device, 0.97, Digit, r"\(01\)\s?\d{14}(?:\s?\((?:10|11|17|21)\)\s?[A-Za-z0-9-]+)*", any),
        // (P)
        p(
            Kind::Biometric,
            0.9,
            Digit,
            r"(?i)\b(?:finger ?prints?|retina(?:l)?(?: scan)?|iris(?: scan| code)|voice ?prints?|face ?(?:print|id)|facial recognition|palm(?: vein| ?print)|biometric)(?:\s*(?:scan|template|id|identifier|number|no|hash|code|record|file|ref(?:erence)?|signature|#|:|is|was|\.)){0,4}\s*(?P<id>[A-Za-z]{0,8}[-_]?\d[\w-]{3,}|[0-9a-fA-F]{8,}|[A-Z]{2,8}-[A-Z0-9]{4,})\b",
            any,
        ),
        // (Q)
        p(
            Kind::Photo,
            0.9,
            Dot,
            r"(?i)\b[\w-]+(?:\.[\w-]+)*\.(?:jpe?g|png|gif|tiff?|bmp|heic|dcm|mp4|mov|avi)\b",
            any,
        ),
        p(
            Kind::Photo,
            0.85,
            Digit,
            r"(?i)\b(?:photo(?:graph)?|image|picture|headshot)\s*(?:id|#|file|no|number|ref(?:erence)?)(?:\s*(?:number|no|#|:|is|\.)){0,3}\s*(?P<id>[A-Za-z]{0,6}[-_]?\d[\w-]{2,})\b",
            two_digits,
        ),
        // (R)
        label(
            Kind::Other,
            0.9,
            r"accession|specimen (?:id|#|number|no)|encounter|visit (?:id|#|number|no)|csn|fin\b|admission (?:id|#|number|no)|case (?:id|#|number|no)|order (?:id|#|number|no)|requisition|req (?:#|no)|confirmation|reference (?:id|#|number|no)|ref ?#|rx (?:#|number|no)|prescription (?:#|number|no)|study (?:id|#|number)|trial id|subject id|participant id|employee (?:id|#|number|no)|badge|student id|tracking|incident (?:#|number|no)|docket|ticket|job (?:id|#|number)|document (?:id|#|number|no)|dictation (?:id|#|number|no)|report (?:id|#|number|no)|filler|placer|slide (?:#|number|no)|tax id|tin\b|ein\b",
        ),
        p(
            Kind::Other,
            0.85,
            Nothing,
            r"(?i)\b(?:(?:user ?name|user ?id|screen ?name|portal id)(?:\s*(?:is|:|#|=)){0,2}|(?:login|log-in|logon|handle|skype|twitter|instagram|facebook)(?:\s*(?:id|name|is|:|#|=)){1,3})\s+(?P<id>@?[\w.-]*[A-Za-z0-9_])|\b(?:user ?name|user ?id|login)[:=](?P<id2>@?[\w.-]*[A-Za-z0-9_])",
            user,
        ),
        p(
            Kind::Other,
            0.8,
            Nothing,
            r"(?i)\b(?:user|staff|operator|clerk|account name|signed on as|logged (?:in|on) as)(?: id| name)?\s?[:#]?\s(?P<id>[a-z][\w.-]*(?:\d|[._][a-z])[\w.-]*\w|[a-z][\w.-]{3,})(?:\s(?:logged|signed|opened|accessed|viewed|entered|printed)|\b)",
            operator,
        ),
        p(
            Kind::Other,
            0.75,
            Digit,
            r"(?i)\b(?:transcriptionist|typist|dictated|transcribed|initials|t:|d:|job)\s*(?:id|#|:)?\s*(?P<id>[a-z]{1,4}\d{3,}|\d{6,})\b",
            two_digits,
        ),
        // Rooms and beds lie below the facility; the kind of ward stays.
        p(
            Kind::Location,
            0.8,
            Digit,
            r"(?i)\b(?:room|rm\.?|bed|bay|suite|ste\.?|apt\.?|apartment)(?:\s*(?:number|no|#|:|\.)){0,2}\s*(?P<id>[A-Za-z]?\d{1,4}[A-Za-z]?(?:-[A-Za-z0-9]{1,3})?)\b",
            room,
        ),
        p(
            Kind::Location,
            0.95,
            Digit,
            r"(?i)\b(?:zip|postal)(?:\s*(?:code|:|#|is|\.)){0,3}\s*(?P<id>\d{5}(?:-\d{4})?)\b",
            any,
        ),
        p(Kind::Location, 0.95, Digit, r"(?i)\bzip(?:code)?\s?[=:]\s?(?P<id>\d{5}(?:-\d{4})?)\b", any),
        p(Kind::Location, 0.85, Digit, r"\b(?:GIR 0AA|[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2})\b", any),
        p(
            Kind::Location,
            0.85,
            Digit,
            r"(?i)\bpost ?code(?:\s*(?::|=|is|\.)){0,2}\s*(?P<id>[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2})\b",
            any,
        ),
        // Groups of digits: account, card, NHS, hospital numbers.
        p(Kind::Account, 0.8, Digit, r"\b\d{4}[ -]\d{4}[ -]\d{4}(?:[ -]\d{1,7})?\b", alone),
        p(
            Kind::Other,
            0.75,
            Digit,
            r"\b(?:\d{3} \d{3} \d{4}|\d{3}-\d{2,3}-\d{3}|\d{4}-\d{4}|\d{6}-\d{3,4})\b",
            grouped,
        ),
        p(Kind::MedicalRecord, 0.7, Digit, r"\b\d{2}-\d{2}-\d{2}\b", no_date),
        p(
            Kind::MedicalRecord,
            0.8,
            Digit,
            r#"(?i)"(?:id|mrn|identifier|record)"\s?:\s?"(?P<id>[A-Z0-9-]{5,14})""#,
            two_digits,
        ),
        p(Kind::Phone, 0.85, Digit, r"\b0\d{2,4} ?\d{3,4} ?\d{3,4}\b", phone),
        p(
            Kind::Phone,
            0.85,
            Digit,
            r"(?i)\+\d{1,3} ?\(\d{1,4}\) ?\d{3,4}[- ]?\d{3,5}(?:,? ?(?:x|ext\.? ?)\d{1,6})?",
            any,
        ),
        p(
            Kind::Phone,
            0.8,
            Digit,
            r"(?i)\b(?:pag(?:ed|e|ing)|beep(?:ed)?|called|rang|phoned)(?:\s\w+){0,2}?\s(?:at|on|from|to)\s(?P<id>[\d-]{4,12}\d?)\b",
            two_digits,
        ),
        // An identifier after the word for it, of letters and digits.
        p(
            Kind::Other,
            0.8,
            Digit,
            r"(?i)\b(?:id|ids|no|nr|number|num|ref|code|key|job|specimen|sample|slide|case|claim|tag|#|group|grp|token|identifier|referral|auth(?:orization)?|order|visit|episode|patient|pt|lot|sn|s/n|model)\s?(?:[:=#]|no\.?|number|is)?\s{0,2}#?(?P<id>(?:[A-Za-z]{0,4}[-/]?\d|[A-Za-z]{2,5}\d?-)[A-Za-z0-9-]{3,})\b",
            coded,
        ),
        p(
            Kind::HealthPlan,
            0.8,
            Digit,
            r"(?i)\b(?:member|subscriber|beneficiary|hic|hicn|mbi|policy|insured|medicaid|medicare)\s?[:#]?\s(?P<id>[A-Z0-9]{1,4}-?[A-Z0-9]*\d[A-Z0-9-]{2,})\b",
            coded,
        ),
        p(
            Kind::MedicalRecord,
            0.8,
            Digit,
            r"(?i)\b(?:chart|record|folder|hospital|unit|mr|pt|patient)\s?[:#]?\s(?P<id>[A-Z]{0,3}-?\d[\dA-Z]*(?:-[\dA-Z]+)*)\b",
            coded,
        ),
        p(
            Kind::Phone,
            0.8,
            Digit,
            r"(?i)\b(?P<id>\d{4,5}|\d{3}-\d{4})\s?\((?:pager|beeper|ext|cell|mobile|home|work)\b",
            any,
        ),
        p(Kind::Phone, 0.75, Digit, r"(?i)\bon[- ]call:?\s(?P<id>\d{4,5}|\d{3}-\d{4})\b", any),
        // A user after initials: "KL/jdoe4", and the cells of a table.
        p(
            Kind::Name,
            0.75,
            Nothing,
            r"\b(?P<id>(?:\p{Lu}\p{Ll}+ )?\p{Lu}\.?(?:[\p{Lu}a-z]\.?)?)/[A-Za-z]{3,}[0-9]*\s(?i:job|dictat|doc|id|#)",
            any,
        ),
        p(Kind::Other, 0.75, Nothing, r"(?i)/(?P<id>[a-z][a-z0-9._-]{2,})\s(?:job|dictation|doc)\b", user),
        p(
            Kind::Other,
            0.75,
            Nothing,
            r"(?:\b[A-Z]{2,3}|\b[A-Z]\.(?:[A-Z]\.)?|[A-Z]\.)/(?P<id>[a-z][a-z0-9._-]{2,})\b",
            user,
        ),
        p(Kind::Other, 0.8, Digit, r"[|\t]\s?(?P<id>[A-Z]{0,4}-?\d[A-Z0-9-]{3,14})\s?(?:[|\t\n]|$)", coded),
        p(Kind::Other, 0.8, Digit, r"\(\s?(?P<id>[A-Z]{0,3}-?\d[\dA-Z]*(?:-[\dA-Z]+)*)\s?\)", bracketed),
        // A long number with letters or hyphens that no measurement looks like.
        p(
            Kind::Other,
            0.7,
            Digit,
            r"\b(?:[A-Z]{1,4}-?\d{6,}|\d{7,}|[A-Z]{1,5}\d{0,2}-\d{2,}-\d{3,}|\d{2,4}-[A-Z]{1,4}-\d{3,}|[A-Z]\d{2}-\d{4,}|[A-Z]\d{5,}-\d{2,})\b",
            long_number,
        ),
    ]
});

/// Groups that are no range of counts.
fn grouped(found: &str, before: &str, after: &str) -> bool {
    // "2019-2021" and "1500-3000" are ranges.
    let range = found.len() == 9
        && found.split_once('-').is_some_and(|(from, to)| {
            from < to && (from.ends_with("00") && to.ends_with("00") || year(from) && year(to))
        });
    let measured = ["mg", "ml", "/", "%", "cells", "kcal", "cal", "units", "steps"]
        .iter()
        .any(|unit| after.trim_start().starts_with(unit));
    alone(found, before, after) && !found.starts_with('0') && !measured && !range
}

/// Three pairs of digits that are no date.
fn no_date(found: &str, before: &str, after: &str) -> bool {
    let pairs = digits(found);
    let month = |at: usize| {
        pairs.get(at).zip(pairs.get(at + 1)).is_some_and(|(a, b)| (1..=12).contains(&(a * 10 + b)))
    };
    alone(found, before, after) && !month(0) && !month(2)
}

fn year(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|year| (1900..2100).contains(&year))
}

/// Four digits or more that are no year, no measure and no dose.
fn coded(found: &str, before: &str, after: &str) -> bool {
    let count = found.bytes().filter(u8::is_ascii_digit).count();
    let next = head(after.trim_start(), 6).to_lowercase();
    let year = count == 4 && found.len() == 4;
    let measured =
        ["mg", "ml", "mcg", "unit", "cell", "copies", "cc", "kcal"].iter().any(|unit| next.starts_with(unit));
    let broken = after.starts_with(|c: char| matches!(c, '/' | '%') || c.is_ascii_digit())
        || continued(after, &['.', ','])
        || before.ends_with(['.', '/', '$']);
    count >= 4 && !year && !measured && !broken
}

/// A number in brackets that is no area code, dose or year.
fn bracketed(found: &str, before: &str, after: &str) -> bool {
    let count = found.bytes().filter(u8::is_ascii_digit).count();
    count >= 6 && !after.trim_start().starts_with(|c: char| c.is_ascii_digit()) && !before.ends_with(')')
}

fn long_number(found: &str, before: &str, after: &str) -> bool {
    alone(found, before, after)
        // A count of cells is written out in digits; thousands are not longer than seven.
        && !["/", " cells", " copies", " units", "%"].iter().any(|unit| after.starts_with(unit))
        && !before.ends_with(['$', ','])
}

/// Finds everything the patterns find.
pub(crate) fn find(text: &str, contains: Contains, out: &mut Vec<Candidate>) {
    for pattern in PATTERNS.iter() {
        pattern.find(text, contains, out);
    }
}
