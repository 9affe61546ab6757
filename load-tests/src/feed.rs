//! The feed: a hospital that goes on, message after message.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::damage::Damage;
use crate::imaging::{Study, study};
use crate::labs::{self, Measured, PANELS, Panel};
use crate::messages::{Draft, Order, Subject, VACCINES, Visit};
use crate::notes::{self, Document};
use crate::population::{Facility, Patient, pick, pick_text};
use crate::prose::Planted;
use crate::scenarios::{SCENARIOS, Scenario};
use crate::truth::{Kind, Truth, Urgency};

/// How often each group of messages comes, as weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// ADT^A01, A02, A03, A04, A08.
    pub adt: u32,
    /// ORU^R01 with laboratory values.
    pub lab_result: u32,
    /// ORU^R01 with a radiology report.
    pub radiology_report: u32,
    /// ORM^O01.
    pub imaging_order: u32,
    /// OML^O21.
    pub lab_order: u32,
    /// MDM^T02.
    pub note: u32,
    /// REF^I12.
    pub referral: u32,
    /// SIU^S12.
    pub appointment: u32,
    /// VXU^V04.
    pub vaccination: u32,
}

impl Default for Mix {
    /// What an integration engine of a general hospital sees: mostly ADT and results.
    fn default() -> Self {
        Self {
            adt: 26,
            lab_result: 24,
            radiology_report: 8,
            imaging_order: 6,
            lab_order: 10,
            note: 18,
            referral: 2,
            appointment: 4,
            vaccination: 2,
        }
    }
}

/// What to generate. The same configuration gives the same bytes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Names the run.
    pub seed: u64,
    /// Facilities, each with its own version, character set, time zone and way to send text; at least 1.
    pub facilities: usize,
    /// Patients of all facilities; at least 1.
    pub patients: usize,
    /// Share of messages that are damaged, 0 to 1; 0.01 by default.
    pub damage_rate: f64,
    /// Share of messages that repeat an earlier one byte for byte, 0 to 1; 0 by default.
    pub duplicate_rate: f64,
    /// How often each group comes.
    pub mix: Mix,
    /// When the first message is made, by the hospital's clock.
    pub start: Timestamp,
    /// Mean time between messages by the hospital's clock; 5 s by default.
    pub gap: SignedDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            facilities: 3,
            patients: 500,
            damage_rate: 0.01,
            duplicate_rate: 0.0,
            mix: Mix::default(),
            // 2025-03-03T14:00:00Z, a Monday, when it is morning in most of its facilities.
            start: Timestamp::constant(1_741_010_400, 0),
            gap: SignedDuration::from_secs(5),
        }
    }
}

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
            config,
        }
    }

    /// How many patients are in the house at a time.
    fn census(&self) -> usize {
        (self.patients.len() / 4).clamp(1, 200)
    }

    fn tick(&mut self) {
        // Whole milliseconds: a logarithm may differ in its last bit from one machine to the next, and with it the bytes.
        let twice = i64::try_from(self.config.gap.as_millis()).unwrap_or(0).clamp(0, i64::MAX / 2) * 2;
        let wait = SignedDuration::from_millis(self.rng.random_range(0..=twice));
        self.now = self.now.checked_add(wait).unwrap_or(self.now);
        self.sequence += 1;
    }

    fn group(&mut self) -> Group {
        let mix = &self.config.mix;
        let weights = [
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
            "I" => &["4WEST", "5NORTH", "ICU", "STEPDOWN", "MATERNITY", "SURG3"],
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

    fn open(&mut self) -> Made {
        let patient = self.somebody();
        let scenario = self.scenario(patient, false);
        let class = match (scenario.urgency, self.rng.random_bool(0.5)) {
            (Urgency::Emergent, true) | (Urgency::Urgent, true) => "E",
            (Urgency::Emergent, false) => "I",
            (Urgency::Urgent, false) => {
                if self.rng.random_bool(0.5) {
                    "I"
                } else {
                    "O"
                }
            }
            (Urgency::Routine, _) => "O",
        };
        let episode = Episode {
            patient,
            scenario,
            visit: self.visit(patient, class),
            events: 0,
            notes: 0,
            lab_orders: VecDeque::new(),
            imaging_orders: VecDeque::new(),
        };
        let kind = if class == "I" { Kind::Admit } else { Kind::Register };
        let made = self.adt(&episode, kind);
        self.episodes.push(episode);
        made
    }

    fn adt(&mut self, episode: &Episode, kind: Kind) -> Made {
        self.write(episode, kind, "ADT", |draft, _| {
            draft.evn(kind);
            draft.pid();
            draft.nk1();
            draft.pv1();
            draft.al1();
            draft.dg1(if kind == Kind::Discharge { "F" } else { "A" });
            (None, false)
        })
    }

    /// Moves some episode on: opens, admits, transfers, updates or discharges.
    fn movement(&mut self) -> Made {
        let roll = self.rng.random_range(0..100);
        if self.episodes.len() < self.census() && (self.episodes.len() * 2 < self.census() || roll < 36) {
            return self.open();
        }
        let index = self.rng.random_range(0..self.episodes.len());
        let settled = self.episodes[index].events >= 6;
        if settled && (roll < 70 || self.episodes.len() >= self.census()) {
            let mut episode = self.episodes.swap_remove(index);
            episode.visit.discharged = Some(self.now);
            let made = self.adt(&episode, Kind::Discharge);
            if episode.visit.class == "I" {
                self.discharged.push_back(episode);
                // A ward that never writes its summaries is no reason to remember all of them.
                if self.discharged.len() > 100 {
                    self.discharged.pop_front();
                }
            }
            return made;
        }
        let mut episode = self.episodes[index].clone();
        episode.events += 1;
        let kind = match (episode.visit.class, self.rng.random_range(0..10)) {
            ("E", 0..=6) => {
                let number = episode.visit.number;
                let moved = self.visit(episode.patient, "I");
                episode.visit = Visit { number, ..moved };
                Kind::Admit
            }
            ("I", 0..=4) => {
                let moved = self.visit(episode.patient, "I");
                episode.visit = Visit { ward: moved.ward, room: moved.room, bed: moved.bed, ..episode.visit };
                Kind::Transfer
            }
            _ => Kind::Update,
        };
        let made = self.adt(&episode, kind);
        self.episodes[index] = episode;
        made
    }

    /// Works on an episode in the house and puts it back; opens one if nobody is there.
    fn within(&mut self, work: impl FnOnce(&mut Self, &mut Episode) -> Made) -> Made {
        if self.episodes.is_empty() {
            return self.open();
        }
        let index = self.rng.random_range(0..self.episodes.len());
        let mut episode = self.episodes.swap_remove(index);
        episode.events += 1;
        let made = work(self, &mut episode);
        self.episodes.push(episode);
        made
    }

    fn panel(&mut self, scenario: &Scenario) -> &'static Panel {
        let fits = |panel: &&'static Panel| {
            panel.analytes.iter().any(|a| scenario.pushes.iter().any(|(loinc, _)| *loinc == a.loinc))
        };
        let fitting: Vec<&'static Panel> = PANELS.iter().filter(fits).collect();
        let all: Vec<&'static Panel> = PANELS.iter().collect();
        let bank = if fitting.is_empty() || self.rng.random_bool(0.5) { &all } else { &fitting };
        pick(&mut self.rng, bank, &PANELS[0])
    }

    fn lab_order(&mut self, episode: &mut Episode) -> Made {
        let panel = self.panel(episode.scenario);
        let placer = self.number("P");
        let now = self.now;
        let made = self.write(episode, Kind::LabOrder, "CPOE", |draft, _| {
            let order =
                Order { placer: &placer, filler: "", code: (panel.loinc, panel.name, "LN"), section: "LAB" };
            draft.pid();
            draft.pv1();
            draft.orc("NW", "", &order);
            draft.tq1();
            draft.obr(&order, None);
            draft.dg1("W");
            draft.spm(panel.specimen, now);
            (None, false)
        });
        episode.lab_orders.push_back((placer, panel));
        made
    }

    fn lab_result(&mut self, episode: &mut Episode) -> Made {
        let (placer, panel) = match episode.lab_orders.pop_front() {
            Some(ordered) => ordered,
            None => (self.number("P"), self.panel(episode.scenario)),
        };
        let filler = self.number("L");
        let collected = self
            .now
            .checked_sub(SignedDuration::from_mins(self.rng.random_range(20..180)))
            .unwrap_or(self.now);
        let treated = episode.events > 5;
        let values = labs::measure(&mut self.rng, panel, episode.scenario, treated);
        self.write(episode, Kind::LabResult, "LAB", |draft, rng| {
            let order = Order {
                placer: &placer,
                filler: &filler,
                code: (panel.loinc, panel.name, "LN"),
                section: "LAB",
            };
            draft.pid();
            draft.pv1();
            draft.orc("RE", "CM", &order);
            draft.obr(&order, Some(collected));
            let critical = values.iter().any(Measured::is_critical);
            if critical
                && let Some(call) = draft.write(rng, |prose| {
                    prose.fill("Critical result called to {doctor} at {time} and read back by {nurse}.")
                })
            {
                draft.nte(&call);
            }
            for (position, value) in values.iter().enumerate() {
                draft.obx_number(position + 1, value, collected);
            }
            draft.spm(panel.specimen, collected);
            (Some(labs::urgency(&values)), critical)
        })
    }

    fn imaging_order(&mut self, episode: &mut Episode) -> Made {
        let study = study(episode.scenario.study);
        let placer = self.number("P");
        let made = self.write(episode, Kind::ImagingOrder, "CPOE", |draft, rng| {
            let order = Order {
                placer: &placer,
                filler: "",
                code: (study.code, study.name, "L"),
                section: study.section,
            };
            draft.pid();
            draft.pv1();
            draft.orc("NW", "", &order);
            draft.obr(&order, None);
            if let Some(reason) =
                draft.write(rng, |prose| prose.fill("{age} {person}, {complaint}. Call {pager}."))
            {
                draft.nte(&reason);
            }
            draft.dg1("W");
            (None, false)
        });
        episode.imaging_orders.push_back((placer, study));
        made
    }

    fn radiology_report(&mut self, episode: &mut Episode) -> Made {
        let (placer, study) = match episode.imaging_orders.pop_front() {
            Some(ordered) => ordered,
            None => (self.number("P"), study(episode.scenario.study)),
        };
        let filler = self.number("R");
        let taken = self
            .now
            .checked_sub(SignedDuration::from_mins(self.rng.random_range(15..120)))
            .unwrap_or(self.now);
        // The picture agrees with the situation in half of the new cases, and is calm in most of the others.
        let situation = episode.scenario.urgency;
        let wanted = match self.rng.random_range(0..10) {
            0..=4 if episode.events < 6 => situation,
            5 => Urgency::Urgent,
            6 => Urgency::Emergent,
            _ => Urgency::Routine,
        };
        let fitting: Vec<_> = study.findings.iter().filter(|f| f.0 == wanted).collect();
        let Some(finding) = fitting.choose(&mut self.rng).copied().or(study.findings.first()) else {
            return self.adt(episode, Kind::Update);
        };
        self.write(episode, Kind::RadiologyReport, "RIS", |draft, rng| {
            let order = Order {
                placer: &placer,
                filler: &filler,
                code: (study.code, study.name, "L"),
                section: study.section,
            };
            draft.pid();
            draft.pv1();
            draft.orc("RE", "CM", &order);
            draft.obr(&order, Some(taken));
            if let Some((lines, impression)) = draft.write(rng, |prose| notes::report(prose, study, finding))
            {
                let next = draft.obx_text(1, ("18782-3", "Radiology Study observation (narrative)"), &lines);
                draft.obx_text(
                    next,
                    ("19005-8", "Radiology Imaging study [Impression] (narrative)"),
                    &[impression],
                );
            }
            (Some(finding.0), false)
        })
    }

    fn note(&mut self, episode: &mut Episode, document: Option<Document>) -> Made {
        let number = self.number("D");
        let first = episode.notes == 0;
        let inpatient = episode.visit.class != "O";
        episode.notes += 1;
        self.write(episode, Kind::Note, "TRANSCRIPTION", |draft, rng| {
            let situation = draft.subject.scenario.urgency;
            let written = draft.write(rng, |prose| {
                let document = document.unwrap_or_else(|| notes::document_for(prose, first, inpatient));
                (document, notes::note(prose, document))
            });
            let Some((document, lines)) = written else { return (None, false) };
            let (kind, loinc, display) = document.codes();
            draft.evn(Kind::Note);
            draft.pid();
            draft.pv1();
            draft.txa(kind, &number);
            draft.obx_text(1, (loinc, display), &lines);
            (Some(document.urgency(situation)), false)
        })
    }

    /// An occasion without a stay.
    fn occasion(&mut self) -> Episode {
        let patient = self.somebody();
        Episode {
            patient,
            scenario: self.scenario(patient, true),
            visit: self.visit(patient, "O"),
            events: 0,
            notes: 0,
            lab_orders: VecDeque::new(),
            imaging_orders: VecDeque::new(),
        }
    }

    fn referral(&mut self) -> Made {
        let episode = self.occasion();
        let number = self.number("RF");
        self.write(&episode, Kind::Referral, "REFERRALS", |draft, rng| {
            let Subject { facility, visit, scenario, .. } = *draft.subject;
            draft.rf1(&number);
            if let Some(referrer) = facility.doctors.get(visit.attending) {
                draft.prd(("RP", "Referring Provider"), referrer);
            }
            if let Some(specialist) = facility.doctors.choose(rng) {
                draft.prd(("RT", "Referred to Provider"), specialist);
            }
            draft.pid();
            draft.nk1();
            draft.dg1("W");
            let order = Order {
                placer: &number,
                filler: &number,
                code: ("57133-1", "Referral note", "LN"),
                section: "",
            };
            draft.obr(&order, Some(draft.subject.now));
            if let Some(lines) = draft.write(rng, notes::letter) {
                draft.obx_text(1, ("57133-1", "Referral note"), &lines);
            }
            draft.pv1();
            (Some(scenario.urgency), false)
        })
    }

    fn appointment(&mut self) -> Made {
        let episode = self.occasion();
        let number = self.number("S");
        let minutes = pick(&mut self.rng, &[15, 20, 30, 45, 60], 30);
        let days = self.rng.random_range(1..60);
        // On a quarter hour, which is what a booking system has.
        let second = self.now.as_second() / 900 * 900;
        let base = Timestamp::from_second(second).unwrap_or(self.now);
        let start = base.checked_add(SignedDuration::from_hours(days * 24)).unwrap_or(base);
        self.write(&episode, Kind::Appointment, "SCHEDULING", |draft, rng| {
            draft.sch(&number, start, minutes);
            if let Some(text) = draft.write(rng, |prose| {
                prose.fill("Visit for {complaint}. Reminder to {phone}; bring list of drugs.")
            }) {
                draft.nte(&text);
            }
            draft.pid();
            draft.pv1();
            draft.resources(start, minutes);
            (None, false)
        })
    }

    fn vaccination(&mut self) -> Made {
        let episode = self.occasion();
        let number = self.number("I");
        let lot = format!(
            "{}{:04}",
            char::from(self.rng.random_range(b'A'..=b'Z')),
            self.rng.random_range(1..9999)
        );
        let expires =
            jiff::tz::Offset::UTC.to_datetime(self.now).date().saturating_add(jiff::Span::new().days(240));
        let expires = expires.strftime("%Y%m%d").to_string();
        self.write(&episode, Kind::Vaccination, "IMMUNIZATION", |draft, rng| {
            draft.pid();
            draft.nk1();
            draft.pv1();
            if let Some(vaccine) = VACCINES.choose(rng) {
                draft.vaccination(&number, vaccine, &lot, &expires);
            }
            (None, false)
        })
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
