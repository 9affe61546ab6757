//! What happens to patients: each step of a stay, or an occasion without one, is a message.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::{Episode, Feed, Made};
use crate::imaging::study;
use crate::labs::{self, Measured, PANELS, Panel};
use crate::messages::{Order, Subject, VACCINES, Visit};
use crate::notes::{self, Document};
use crate::population::pick;
use crate::scenarios::Scenario;
use crate::truth::{Kind, Urgency};

impl Feed {
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
    pub(super) fn movement(&mut self) -> Made {
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
    pub(super) fn within(&mut self, work: impl FnOnce(&mut Self, &mut Episode) -> Made) -> Made {
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

    pub(super) fn lab_order(&mut self, episode: &mut Episode) -> Made {
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

    pub(super) fn lab_result(&mut self, episode: &mut Episode) -> Made {
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
            if critical {
                draft.nte(rng, "Critical result called to {doctor} at {time} and read back by {nurse}.");
            }
            for (position, value) in values.iter().enumerate() {
                draft.obx_number(position + 1, value, collected);
            }
            draft.spm(panel.specimen, collected);
            (Some(labs::urgency(&values)), critical)
        })
    }

    pub(super) fn imaging_order(&mut self, episode: &mut Episode) -> Made {
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
            draft.nte(rng, "{age} {person}, {complaint}. Call {pager}.");
            draft.dg1("W");
            (None, false)
        });
        episode.imaging_orders.push_back((placer, study));
        made
    }

    pub(super) fn radiology_report(&mut self, episode: &mut Episode) -> Made {
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

    pub(super) fn note(&mut self, episode: &mut Episode, document: Option<Document>) -> Made {
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

    pub(super) fn referral(&mut self) -> Made {
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

    pub(super) fn appointment(&mut self) -> Made {
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
            draft.nte(rng, "Reason: {complaint}. Reminder to {phone}; bring list of drugs.");
            draft.pid();
            draft.pv1();
            draft.resources(start, minutes);
            (None, false)
        })
    }

    pub(super) fn vaccination(&mut self) -> Made {
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
}
