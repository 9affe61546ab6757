//! The feed: a hospital that goes on, message after message.

mod episodes;

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::Config;
use crate::damage::Damage;
use crate::imaging::Study;
use crate::labs::Panel;
use crate::messages::{Draft, Subject, Visit};
use crate::notes::Document;
use crate::population::{Facility, Patient, pick, pick_text};
use crate::prose::Planted;
use crate::scenarios::{SCENARIOS, Scenario};
use crate::truth::{Kind, Truth, Urgency};

/// A message, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedMessage {
    /// Kafka key: `authority|patient id`.
    pub key: Vec<u8>,
    /// The message in ER7, in the character set of its facility.
    pub bytes: Vec<u8>,
    /// What is known about it.
    pub truth: Truth,
}

/// How many messages back a retransmission may reach.
const RETRANSMITTED: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Adt,
    LabResult,
    RadiologyReport,
    ImagingOrder,
    LabOrder,
    Note,
    Referral,
    Appointment,
    Vaccination,
}

impl Group {
    /// Whether these messages are there for the sake of a text.
    fn is_narrative(self) -> bool {
        matches!(self, Self::RadiologyReport | Self::Note | Self::Referral)
    }
}

/// A patient in the house.
#[derive(Debug, Clone)]
struct Episode {
    patient: usize,
    scenario: &'static Scenario,
    visit: Visit,
    /// Messages about it so far; results improve and notes calm down with it.
    events: u32,
    notes: u32,
    lab_orders: VecDeque<(String, &'static Panel)>,
    imaging_orders: VecDeque<(String, &'static Study)>,
}

/// An endless feed of HL7 v2 messages.
#[derive(Debug)]
pub struct Feed {
    config: Config,
    rng: ChaCha8Rng,
    facilities: Vec<Facility>,
    patients: Vec<Patient>,
    episodes: Vec<Episode>,
    /// Stays whose discharge summary has not been written.
    discharged: VecDeque<Episode>,
    recent: VecDeque<FeedMessage>,
    now: Timestamp,
    sequence: u64,
    /// The message being made is in codes and numbers alone.
    wordless: bool,
}

/// What was made, before it is stamped.
struct Made {
    kind: Kind,
    patient: usize,
    scenario: &'static Scenario,
    urgency: Option<Urgency>,
    critical: bool,
    control_id: String,
    bytes: Vec<u8>,
    planted: Planted,
}

impl Feed {
    /// A feed of that configuration; rates outside 0 to 1 are taken as the nearer end.
    pub fn new(config: Config) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let rate = |rate: f64| if rate.is_nan() { 0.0 } else { rate.clamp(0.0, 1.0) };
        let config = Config {
            facilities: config.facilities.max(1),
            patients: config.patients.max(1),
            damage_rate: rate(config.damage_rate),
            duplicate_rate: rate(config.duplicate_rate),
            narratives: config.narratives.map(rate),
            ..config
        };
        let facilities: Vec<Facility> =
            (0..config.facilities).map(|n| Facility::random(&mut rng, n)).collect();
        let today = jiff::tz::Offset::UTC.to_datetime(config.start).date();
        let patients = (0..config.patients)
            .map(|n| {
                let facility = n % facilities.len();
                Patient::random(&mut rng, n, facility, &facilities[facility], today)
            })
            .collect();
        Self {
            now: config.start,
            rng,
            facilities,
            patients,
            episodes: Vec::new(),
            discharged: VecDeque::new(),
            recent: VecDeque::new(),
            sequence: 0,
            wordless: false,
            config,
        }
    }

    /// How many patients are in the house at a time.
    fn census(&self) -> usize {
        (self.patients.len() / 4).clamp(1, 200)
    }

    fn tick(&mut self) {
        // Whole milliseconds: a logarithm may differ in its last bit from one machine to the next, and with
        // it the bytes.
        let twice = i64::try_from(self.config.gap.as_millis()).unwrap_or(0).clamp(0, i64::MAX / 2) * 2;
        let wait = SignedDuration::from_millis(self.rng.random_range(0..=twice));
        self.now = self.now.checked_add(wait).unwrap_or(self.now);
        self.sequence += 1;
    }

    fn group(&mut self) -> Group {
        if let Some(share) = self.config.narratives {
            self.wordless = !self.rng.random_bool(share);
        }
        let mix = &self.config.mix;
        let mut weights = [
            (Group::Adt, mix.adt),
            (Group::LabResult, mix.lab_result),
            (Group::RadiologyReport, mix.radiology_report),
            (Group::ImagingOrder, mix.imaging_order),
            (Group::LabOrder, mix.lab_order),
            (Group::Note, mix.note),
            (Group::Referral, mix.referral),
            (Group::Appointment, mix.appointment),
            (Group::Vaccination, mix.vaccination),
        ];
        if self.config.narratives.is_some() {
            for (group, weight) in &mut weights {
                *weight *= u32::from(group.is_narrative() != self.wordless);
            }
        }
        let drawn = weights.choose_weighted(&mut self.rng, |(_, weight)| *weight);
        drawn.map_or(Group::Adt, |(group, _)| *group)
    }

    /// A scenario that fits the patient; `calm` leaves out what would be an emergency.
    fn scenario(&mut self, patient: usize, calm: bool) -> &'static Scenario {
        let age = self.patients[patient].age(jiff::tz::Offset::UTC.to_datetime(self.now).date());
        let female = self.patients[patient].female;
        let fits = |scenario: &&Scenario| {
            (scenario.ages.0..=scenario.ages.1).contains(&age)
                && scenario.female.is_none_or(|only| only == female)
        };
        let wanted = match self.rng.random_range(0..10) {
            0..=2 if !calm => Urgency::Emergent,
            3..=5 => Urgency::Urgent,
            _ => Urgency::Routine,
        };
        let all: Vec<&'static Scenario> =
            SCENARIOS.iter().filter(fits).filter(|s| !calm || s.urgency != Urgency::Emergent).collect();
        let best: Vec<&'static Scenario> = all.iter().copied().filter(|s| s.urgency == wanted).collect();
        let bank = if best.is_empty() { &all } else { &best };
        pick(&mut self.rng, bank, &SCENARIOS[0])
    }

    /// A patient who is not in the house.
    fn somebody(&mut self) -> usize {
        let start = self.rng.random_range(0..self.patients.len());
        let all = self.patients.len();
        let out =
            (0..all).map(|step| (start + step) % all).find(|p| self.episodes.iter().all(|e| e.patient != *p));
        out.unwrap_or(start)
    }

    fn visit(&mut self, patient: usize, class: &'static str) -> Visit {
        let facility = &self.facilities[self.patients[patient].facility];
        let wards: &[&'static str] = match class {
            "I" => &["4WEST", "5NORTH", "ICU", "STEPDOWN", "7EAST", "SURG3"],
            "E" => &["ED"],
            _ => &["CLINIC-A", "CLINIC-B", "DAYCARE"],
        };
        Visit {
            number: format!("V{:08}", 20_000_000 + self.sequence * 3 + patient as u64 % 3),
            class,
            ward: pick_text(&mut self.rng, wards),
            room: self.rng.random_range(100..480).to_string(),
            bed: pick_text(&mut self.rng, &["A", "B", "1", "2"]),
            attending: self.rng.random_range(0..facility.doctors.len().max(1)),
            admitted: self.now,
            discharged: None,
        }
    }

    fn control_id(&self, patient: usize) -> String {
        let facility = &self.facilities[self.patients[patient].facility].name;
        let prefix: String = facility.chars().take(3).collect();
        format!("{prefix}{:09}", self.sequence)
    }

    fn number(&self, prefix: &str) -> String {
        format!("{prefix}{}", 500_000 + self.sequence * 7)
    }

    /// Writes a message of `kind` about an episode; `body` adds all after MSH.
    fn write(
        &mut self,
        episode: &Episode,
        kind: Kind,
        application: &str,
        body: impl FnOnce(&mut Draft<'_>, &mut ChaCha8Rng) -> (Option<Urgency>, bool),
    ) -> Made {
        let control_id = self.control_id(episode.patient);
        let patient = &self.patients[episode.patient];
        let subject = Subject {
            facility: &self.facilities[patient.facility],
            patient,
            scenario: episode.scenario,
            visit: &episode.visit,
            now: self.now,
            control_id: &control_id,
            wordless: self.wordless,
        };
        let mut draft = Draft::new(&subject, kind, application);
        let (urgency, critical) = body(&mut draft, &mut self.rng);
        let (bytes, planted) = draft.finish();
        Made {
            kind,
            patient: episode.patient,
            scenario: episode.scenario,
            urgency,
            critical,
            control_id,
            bytes,
            planted,
        }
    }

    fn make(&mut self) -> Made {
        match self.group() {
            Group::Adt => self.movement(),
            Group::LabResult => self.within(Self::lab_result),
            Group::RadiologyReport => self.within(Self::radiology_report),
            Group::ImagingOrder => self.within(Self::imaging_order),
            Group::LabOrder => self.within(Self::lab_order),
            Group::Note => match self.discharged.pop_front() {
                Some(mut episode) if self.rng.random_bool(0.5) => {
                    self.note(&mut episode, Some(Document::Discharge))
                }
                waiting => {
                    self.discharged.extend(waiting);
                    self.within(|feed, episode| feed.note(episode, None))
                }
            },
            Group::Referral => self.referral(),
            Group::Appointment => self.appointment(),
            Group::Vaccination => self.vaccination(),
        }
    }

    fn repeated(&mut self) -> Option<FeedMessage> {
        if !self.rng.random_bool(self.config.duplicate_rate) {
            return None;
        }
        let index = (!self.recent.is_empty()).then(|| self.rng.random_range(0..self.recent.len()))?;
        let mut message = self.recent.get(index)?.clone();
        message.truth.duplicate_of = Some(message.truth.control_id.clone());
        Some(message)
    }
}

impl Iterator for Feed {
    type Item = FeedMessage;

    fn next(&mut self) -> Option<FeedMessage> {
        self.tick();
        if let Some(repeated) = self.repeated() {
            return Some(repeated);
        }
        let Made { kind, patient, scenario, urgency, critical, control_id, mut bytes, mut planted } =
            self.make();
        let damaged = self
            .rng
            .random_bool(self.config.damage_rate)
            .then(|| pick(&mut self.rng, &Damage::ALL, Damage::HeaderOnly));
        if let Some(damage) = damaged {
            bytes = damage.apply(&bytes, &mut self.rng);
            // What was cut off is not planted any more.
            let text = readable(&bytes);
            planted.identifiers.retain(|identifier| text.contains(identifier.as_str()));
            planted.staff.retain(|name| text.contains(name.as_str()));
        }
        let person = &self.patients[patient];
        let facility = self.facilities[person.facility].name.clone();
        let message = FeedMessage {
            key: format!("{facility}|{}", person.mrn).into_bytes(),
            bytes,
            truth: Truth {
                kind,
                control_id,
                patient,
                facility,
                damaged,
                duplicate_of: None,
                expected_urgency: urgency,
                specialty: scenario.specialty,
                critical,
                identifiers: planted.identifiers,
                staff: planted.staff,
            },
        };
        if damaged.is_none() && self.config.duplicate_rate > 0.0 {
            self.recent.push_back(message.clone());
            if self.recent.len() > RETRANSMITTED {
                self.recent.pop_front();
            }
        }
        Some(message)
    }
}

/// The bytes as text, whichever of the two encodings of the feed they are in.
pub(crate) fn readable(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}
