//! Fills the slots of a template, and remembers each identifier it wrote.
//!
//! | slot | becomes |
//! | --- | --- |
//! | `{name}` `{title}` `{listed}` | the patient: in full, with a title, surname first |
//! | `{age}` `{person}` `{he}` `{He}` `{his}` `{him}` | age, man/woman/child, pronouns |
//! | `{mrn}` `{ssn}` `{visit}` `{dob}` `{phone}` `{email}` `{address}` `{city}` | numbers and places of the patient |
//! | `{relative}` `{relativephone}` | a relative by name |
//! | `{doctor}` `{attending}` `{radiologist}` `{nurse}` `{pager}` `{facility}` `{ward}` | staff and places |
//! | `{today}` `{admitted}` `{date-3}` `{date+90}` `{time}` `{hours}` | dates in the style of the writer, a time of day |
//! | `{complaint}` `{history}` `{exam}` `{course}` `{plan}` `{drug}` `{diagnosis}` `{procedure}` | from the scenario |
//! | `{vitals}` | a line of vital signs |

use jiff::civil::{Date, DateTime};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::population::{Clinician, Facility, Patient, pick_text};
use crate::scenarios::Scenario;
use crate::truth::Urgency;

/// What was written that a leak check looks for.
#[derive(Debug, Default)]
pub(crate) struct Planted {
    pub(crate) identifiers: Vec<String>,
    pub(crate) staff: Vec<String>,
}

impl Planted {
    pub(crate) fn identifier(&mut self, text: &str) {
        if !text.is_empty() && !self.identifiers.iter().any(|known| known == text) {
            self.identifiers.push(text.to_owned());
        }
    }

    pub(crate) fn staff(&mut self, text: &str) {
        if !text.is_empty() && !self.staff.iter().any(|known| known == text) {
            self.staff.push(text.to_owned());
        }
    }
}

/// How a writer puts dates.
#[derive(Debug, Clone, Copy)]
enum DateStyle {
    Slashes,
    Long,
    Iso,
    DayFirst,
}

/// A text in the making.
pub(crate) struct Prose<'p> {
    pub(crate) rng: &'p mut ChaCha8Rng,
    pub(crate) patient: &'p Patient,
    pub(crate) facility: &'p Facility,
    pub(crate) scenario: &'p Scenario,
    pub(crate) attending: &'p Clinician,
    pub(crate) ward: &'p str,
    pub(crate) visit: &'p str,
    pub(crate) now: DateTime,
    admitted: Date,
    pub(crate) planted: &'p mut Planted,
    style: Style,
}

#[derive(Debug, Clone, Copy)]
struct Style {
    date: DateStyle,
    /// Sentences of a bank are used once a text.
    used: u64,
}

/// Where a text is written, before it has a style.
pub(crate) struct Setting<'p> {
    pub(crate) patient: &'p Patient,
    pub(crate) facility: &'p Facility,
    pub(crate) scenario: &'p Scenario,
    pub(crate) attending: &'p Clinician,
    pub(crate) ward: &'p str,
    pub(crate) visit: &'p str,
    pub(crate) now: DateTime,
    pub(crate) admitted: Date,
}

impl<'p> Prose<'p> {
    pub(crate) fn new(rng: &'p mut ChaCha8Rng, setting: &Setting<'p>, planted: &'p mut Planted) -> Self {
        let styles = [DateStyle::Slashes, DateStyle::Long, DateStyle::Iso, DateStyle::DayFirst];
        let date = styles.choose(rng).copied().unwrap_or(DateStyle::Iso);
        Self {
            rng,
            patient: setting.patient,
            facility: setting.facility,
            scenario: setting.scenario,
            attending: setting.attending,
            ward: setting.ward,
            visit: setting.visit,
            now: setting.now,
            admitted: setting.admitted,
            planted,
            style: Style { date, used: 0 },
        }
    }

    /// Remembers `text` as an identifier and gives it back.
    fn plant(&mut self, text: String) -> String {
        self.planted.identifier(&text);
        text
    }

    fn date(&mut self, date: Date) -> String {
        let format = match self.style.date {
            DateStyle::Slashes => "%m/%d/%Y",
            DateStyle::Long => "%B %-d, %Y",
            DateStyle::Iso => "%Y-%m-%d",
            DateStyle::DayFirst => "%d-%b-%Y",
        };
        let text = date.strftime(format).to_string();
        self.plant(text)
    }

    fn clinician(&mut self, clinician: &Clinician, form: u8) -> String {
        let family = self.facility.writable(&clinician.name.family);
        let given = self.facility.writable(&clinician.name.given);
        self.planted.staff(&family);
        match form {
            0 => format!("Dr. {family}"),
            1 => {
                self.planted.staff(&given);
                format!("{given} {family}, MD")
            }
            _ => {
                let initial: String = given.chars().take(1).collect();
                format!("{initial}. {family} RN")
            }
        }
    }

    fn any_doctor(&mut self) -> String {
        let facility = self.facility;
        let form = u8::from(self.rng.random_bool(0.3));
        let doctor = facility.doctors.choose(self.rng).unwrap_or(self.attending);
        self.clinician(doctor, form)
    }

    /// One sentence of a bank that this text has not used yet, its own slots filled.
    fn sentence(&mut self, bank: &[&'static str], salt: u32) -> String {
        let mut order: Vec<usize> = (0..bank.len()).collect();
        order.shuffle(self.rng);
        let bit = |index: usize| 1_u64 << ((index as u32 * 7 + salt * 8) % 64);
        let index = order.iter().copied().find(|i| self.style.used & bit(*i) == 0).or(order.first().copied());
        let Some(index) = index else { return String::new() };
        self.style.used |= bit(index);
        self.fill(bank[index])
    }

    /// `template` with its slots filled. A slot that begins a sentence begins with a capital.
    pub(crate) fn fill(&mut self, template: &str) -> String {
        let mut out = String::with_capacity(template.len() * 2);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((slot, after)) = after.split_once('}') else { break };
            let value = self.slot(slot);
            let starts = out.is_empty() || out.ends_with(". ");
            // 8, 11, 18 and 80 to 89 are spoken with a vowel.
            if out.ends_with(" a ") && ["8", "11-", "18-"].iter().any(|number| value.starts_with(number)) {
                out.pop();
                out.push_str("n ");
            }
            let mut letters = value.chars();
            match letters.next() {
                Some(first) if starts => {
                    out.extend(first.to_uppercase());
                    out.push_str(letters.as_str());
                }
                _ => out.push_str(&value),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn slot(&mut self, slot: &str) -> String {
        let patient = self.patient;
        let scenario = self.scenario;
        let (family, given) = (patient.name.family.clone(), patient.name.given.clone());
        let adult = patient.age(self.now.date()) >= 18;
        let she = patient.female;
        match slot {
            "name" => {
                self.plant(given.clone());
                self.plant(family.clone());
                format!("{given} {family}")
            }
            "title" if !adult => self.plant(given),
            "title" => {
                self.plant(family.clone());
                format!("{} {family}", if she { "Ms." } else { "Mr." })
            }
            "listed" => {
                self.plant(given.clone());
                self.plant(family.clone());
                format!("{family}, {given}")
            }
            "age" => match patient.age(self.now.date()) {
                0 => "newborn".to_owned(),
                age => format!("{age}-year-old"),
            },
            "person" => match (adult, she) {
                (true, true) => "woman",
                (true, false) => "man",
                (false, true) => "girl",
                (false, false) => "boy",
            }
            .to_owned(),
            "he" | "He" => if she { "she" } else { "he" }.to_owned(),
            "his" => if she { "her" } else { "his" }.to_owned(),
            "him" => if she { "her" } else { "him" }.to_owned(),
            "mrn" => self.plant(patient.mrn.clone()),
            "ssn" => self.plant(patient.ssn.clone()),
            "visit" => self.plant(self.visit.to_owned()),
            "dob" => self.date(patient.born),
            "phone" => self.plant(patient.phone.clone()),
            "email" => self.plant(patient.email.clone()),
            "city" => self.plant(patient.city.0.to_owned()),
            "address" => {
                self.plant(patient.street.clone());
                self.plant(patient.city.0.to_owned());
                self.plant(patient.postal_code.clone());
                format!("{}, {}, {} {}", patient.street, patient.city.0, patient.city.1, patient.postal_code)
            }
            "relative" => {
                let name = self.plant(patient.relative.name.given.clone());
                let whose = if she { "her" } else { "his" };
                format!("{whose} {} {name}", patient.relative.relation.2)
            }
            "relativephone" => self.plant(patient.relative.phone.clone()),
            "attending" => self.clinician(self.attending, 0),
            "doctor" | "radiologist" => self.any_doctor(),
            "nurse" => {
                let facility = self.facility;
                let nurse = facility.nurses.choose(self.rng).unwrap_or(self.attending);
                self.clinician(nurse, 2)
            }
            "pager" => {
                let pager = self.attending.pager.clone();
                self.planted.staff(&pager);
                pager
            }
            "facility" => self.facility.name.clone(),
            "ward" => self.ward.to_owned(),
            "time" => format!("{:02}:{:02}", self.rng.random_range(0..24), self.rng.random_range(0..60)),
            "hours" => self.rng.random_range(2..9).to_string(),
            "complaint" => pick_text(self.rng, scenario.complaint).to_owned(),
            "history" => self.sentence(scenario.history, 0),
            "exam" => self.sentence(scenario.exam, 1),
            "course" => self.sentence(scenario.course, 2),
            "plan" => self.sentence(scenario.plan, 3),
            "drug" => self.sentence(scenario.drugs, 4),
            "diagnosis" => scenario.diagnosis.1.to_owned(),
            "procedure" => scenario.procedure.unwrap_or("bedside procedure").to_owned(),
            "vitals" => self.vitals(),
            "today" => self.date(self.now.date()),
            "admitted" => self.date(self.admitted),
            _ => match slot.strip_prefix("date").and_then(|days| days.parse::<i64>().ok()) {
                Some(days) => self.date(self.now.date().saturating_add(jiff::Span::new().days(days))),
                None => String::new(),
            },
        }
    }

    fn vitals(&mut self) -> String {
        let calm = matches!(self.scenario.specialty, "psychiatry" | "urology");
        let sick = self.scenario.urgency == Urgency::Emergent && !calm;
        let (heart, systolic, breaths, saturation) = if sick {
            (
                self.rng.random_range(104..140),
                self.rng.random_range(78..112),
                self.rng.random_range(22..34),
                self.rng.random_range(85..95),
            )
        } else {
            (
                self.rng.random_range(58..98),
                self.rng.random_range(108..142),
                self.rng.random_range(12..20),
                self.rng.random_range(95..100),
            )
        };
        let diastolic = systolic * 6 / 10;
        let tenths = self.rng.random_range(364..if sick { 394 } else { 374 });
        format!(
            "BP {systolic}/{diastolic}, HR {heart}, RR {breaths}, SpO2 {saturation}%, T {}.{} C",
            tenths / 10,
            tenths % 10
        )
    }
}
