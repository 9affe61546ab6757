//! Who is in the hospital: patients, their relatives, and staff.

use jiff::civil::Date;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::names::{CITIES, FACILITIES, FAMILY, FEMALE, MALE, PARENT, RELATIONS, STREETS};

/// Picks one of a bank that is never empty.
pub(crate) fn pick<T: Copy>(rng: &mut ChaCha8Rng, bank: &[T], default: T) -> T {
    bank.choose(rng).copied().unwrap_or(default)
}

pub(crate) fn pick_text(rng: &mut ChaCha8Rng, bank: &[&'static str]) -> &'static str {
    pick(rng, bank, "")
}

/// A person's name.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) family: String,
    pub(crate) given: String,
    pub(crate) middle: String,
}

impl Name {
    fn random(rng: &mut ChaCha8Rng, female: bool) -> Self {
        let mut family = pick_text(rng, FAMILY).to_owned();
        if rng.random_bool(0.06) {
            let second = pick_text(rng, FAMILY);
            if second != family {
                family = format!("{family}-{second}");
            }
        }
        let given = pick_text(rng, if female { FEMALE } else { MALE }).to_owned();
        let middle = if rng.random_bool(0.6) {
            char::from(rng.random_range(b'A'..=b'W')).to_string()
        } else {
            String::new()
        };
        Self { family, given, middle }
    }
}

/// Somebody who may be called on behalf of a patient.
#[derive(Debug, Clone)]
pub(crate) struct Relative {
    pub(crate) name: Name,
    pub(crate) phone: String,
    /// HL7 table 0063: code, text, and the word for prose.
    pub(crate) relation: (&'static str, &'static str, &'static str),
}

/// Somebody of the staff.
#[derive(Debug, Clone)]
pub(crate) struct Clinician {
    pub(crate) id: String,
    pub(crate) name: Name,
    pub(crate) pager: String,
}

/// A patient of one facility.
#[derive(Debug, Clone)]
pub(crate) struct Patient {
    pub(crate) facility: usize,
    pub(crate) mrn: String,
    pub(crate) ssn: String,
    pub(crate) name: Name,
    pub(crate) female: bool,
    pub(crate) born: Date,
    pub(crate) street: String,
    pub(crate) city: (&'static str, &'static str),
    pub(crate) postal_code: String,
    pub(crate) phone: String,
    pub(crate) email: String,
    pub(crate) relative: Relative,
    pub(crate) race: (&'static str, &'static str),
    pub(crate) allergy: Option<(&'static str, &'static str)>,
}

/// A facility, with the habits of its interface.
#[derive(Debug, Clone)]
pub(crate) struct Facility {
    pub(crate) name: String,
    pub(crate) version: &'static str,
    /// MSH-18.
    pub(crate) character_set: &'static str,
    /// Offset of its clock from UTC, in hours.
    pub(crate) offset_hours: i8,
    /// Whether its timestamps say so.
    pub(crate) writes_offset: bool,
    /// Whether notes are one FT value with `\.br\`, or one TX segment a line.
    pub(crate) formatted_text: bool,
    pub(crate) doctors: Vec<Clinician>,
    pub(crate) nurses: Vec<Clinician>,
}

/// 555-0100 to 555-0199 are set aside for fiction.
fn phone(rng: &mut ChaCha8Rng, area: &str) -> String {
    let line = rng.random_range(100..200);
    match rng.random_range(0..3) {
        0 => format!("({area}) 555-0{line}"),
        1 => format!("{area}-555-0{line}"),
        _ => format!("{area}.555.0{line}"),
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect()
}

fn clinician(rng: &mut ChaCha8Rng, facility: usize, number: usize) -> Clinician {
    let female = rng.random_bool(0.5);
    let area = pick(rng, CITIES, CITIES[0]).3;
    Clinician {
        id: format!("{}{:05}", 8 + facility % 2, number * 37 + 1009 + facility * 401),
        name: Name::random(rng, female),
        pager: phone(rng, area),
    }
}

const RACES: &[(&str, &str)] = &[
    ("2106-3", "White"),
    ("2054-5", "Black or African American"),
    ("2028-9", "Asian"),
    ("2131-1", "Other Race"),
    ("1002-5", "American Indian or Alaska Native"),
];

const ALLERGIES: &[(&str, &str)] = &[
    ("70618", "Penicillin"),
    ("10180", "Sulfamethoxazole"),
    ("2670", "Codeine"),
    ("1191", "Aspirin"),
    ("5640", "Ibuprofen"),
];

impl Facility {
    pub(crate) fn random(rng: &mut ChaCha8Rng, index: usize) -> Self {
        let base = FACILITIES[index % FACILITIES.len()];
        let name = match index / FACILITIES.len() {
            0 => base.to_owned(),
            round => format!("{base}{}", round + 1),
        };
        // Habits go by position, so that a few facilities already show all of them.
        Self {
            name,
            version: ["2.5.1", "2.3.1", "2.8", "2.5.1", "2.4"][index % 5],
            character_set: ["UNICODE UTF-8", "8859/1", "UNICODE UTF-8", "", "UNICODE UTF-8"][index % 5],
            offset_hours: [-5, -6, 0, -7, 1][index % 5],
            writes_offset: index % 4 != 1,
            formatted_text: index % 2 == 1,
            doctors: (0..24).map(|n| clinician(rng, index, n)).collect(),
            nurses: (24..44).map(|n| clinician(rng, index, n)).collect(),
        }
    }

    /// What the character set of this facility can write of `text`.
    pub(crate) fn writable(&self, text: &str) -> String {
        if self.character_set != "8859/1" {
            return text.to_owned();
        }
        text.chars()
            .map(|c| {
                if u32::from(c) < 0x100 {
                    c
                } else if c.is_lowercase() {
                    'a'
                } else {
                    'A'
                }
            })
            .collect()
    }
}

impl Patient {
    pub(crate) fn random(
        rng: &mut ChaCha8Rng,
        index: usize,
        facility: usize,
        home: &Facility,
        today: Date,
    ) -> Self {
        let female = rng.random_bool(0.52);
        let mut name = Name::random(rng, female);
        name.family = home.writable(&name.family);
        name.given = home.writable(&name.given);
        let mut relative_name = Name::random(rng, rng.clone().random_bool(0.5));
        relative_name.family = home.writable(&relative_name.family);
        relative_name.given = home.writable(&relative_name.given);
        let (city, state, zip, area) = pick(rng, CITIES, CITIES[0]);
        let age_days = match rng.random_range(0..20) {
            0 => rng.random_range(20..700),
            1 | 2 => rng.random_range(700..6_500),
            3..=8 => rng.random_range(6_500..16_000),
            9..=16 => rng.random_range(16_000..28_000),
            _ => rng.random_range(28_000..34_500),
        };
        // A child is brought by a parent; the young have no grown children.
        let relation = match age_days {
            ..6_600 => PARENT,
            6_600..16_500 => pick(rng, &RELATIONS[1..], PARENT),
            _ => pick(rng, RELATIONS, PARENT),
        };
        let born = today.saturating_sub(jiff::Span::new().days(age_days));
        Self {
            facility,
            mrn: format!("{}{:07}", ["M", "", "H"][facility % 3], 1_000_000 + index * 97 + facility),
            // 9xx is never issued as a social security number.
            ssn: format!(
                "9{:02}-{:02}-{:04}",
                rng.random_range(0..100),
                rng.random_range(1..50),
                rng.random_range(1000..10_000)
            ),
            female,
            born,
            street: format!("{} {}", rng.random_range(100..9_900), pick_text(rng, STREETS)),
            city: (city, state),
            postal_code: format!("{zip}{:02}", rng.random_range(10..99)),
            phone: phone(rng, area),
            email: format!("{}.{}{index}@example.org", plain(&name.given), plain(&name.family)),
            relative: Relative { name: relative_name, phone: phone(rng, area), relation },
            race: pick(rng, RACES, RACES[0]),
            allergy: if rng.random_bool(0.3) { Some(pick(rng, ALLERGIES, ALLERGIES[0])) } else { None },
            name,
        }
    }

    /// Whole years on `day`.
    pub(crate) fn age(&self, day: Date) -> i16 {
        let before_birthday = (day.month(), day.day()) < (self.born.month(), self.born.day());
        (day.year() - self.born.year() - i16::from(before_birthday)).max(0)
    }
}
