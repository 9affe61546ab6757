//! The messages, segment by segment.

mod occasions;

use hl7v2::{Delimiters, Writer};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use rand_chacha::ChaCha8Rng;

use crate::population::{Clinician, Facility, Name, Patient};
use crate::prose::{Planted, Prose, Setting};
use crate::scenarios::Scenario;
use crate::truth::{Kind, Urgency};

pub(crate) use occasions::VACCINES;

/// A visit, or an occasion without one.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) number: String,
    /// PV1-2: `E`, `I`, `O`.
    pub(crate) class: &'static str,
    pub(crate) ward: &'static str,
    pub(crate) room: String,
    pub(crate) bed: &'static str,
    pub(crate) attending: usize,
    pub(crate) admitted: Timestamp,
    pub(crate) discharged: Option<Timestamp>,
}

/// Everything a message is about.
pub(crate) struct Subject<'s> {
    pub(crate) facility: &'s Facility,
    pub(crate) patient: &'s Patient,
    pub(crate) scenario: &'static Scenario,
    pub(crate) visit: &'s Visit,
    pub(crate) now: Timestamp,
    pub(crate) control_id: &'s str,
    /// In codes and numbers alone.
    pub(crate) wordless: bool,
}

/// A message being written: one builder for all kinds.
pub(crate) struct Draft<'s> {
    pub(crate) subject: &'s Subject<'s>,
    pub(crate) writer: Writer,
    pub(crate) planted: Planted,
}

impl Facility {
    fn offset(&self) -> Offset {
        Offset::constant(self.offset_hours)
    }

    pub(crate) fn local(&self, at: Timestamp) -> DateTime {
        self.offset().to_datetime(at)
    }

    /// `YYYYMMDDHHMMSS`, with `+ZZZZ` where the facility writes it.
    pub(crate) fn timestamp(&self, at: Timestamp) -> String {
        let local = self.local(at).strftime("%Y%m%d%H%M%S").to_string();
        if !self.writes_offset {
            return local;
        }
        let hours = self.offset_hours;
        format!("{local}{}{:02}00", if hours < 0 { '-' } else { '+' }, hours.unsigned_abs())
    }

    /// From this version on there are TQ1 and SPM.
    fn has_timing_segments(&self) -> bool {
        matches!(self.version, "2.5.1" | "2.8")
    }
}

impl<'s> Draft<'s> {
    /// Starts the message with its MSH.
    pub(crate) fn new(subject: &'s Subject<'s>, kind: Kind, application: &str) -> Self {
        let Subject { facility, now, control_id, .. } = *subject;
        let (code, event, structure) = kind.message_type();
        let mut writer = Writer::message(Delimiters::default());
        writer.text(application).text(&facility.name).text("WARDSTREAM").text("LINE");
        writer.text(&facility.timestamp(now)).skip(1);
        let structure = if facility.version == "2.3.1" { "" } else { structure };
        writer.components(&[code, event, structure]).text(control_id).text("P").text(facility.version);
        writer.skip(2).text("AL").text("NE").text("USA").text(facility.character_set);
        // Said always, so that MSH-18 is written even where it is empty.
        writer.text("en");
        Self { subject, writer, planted: Planted::default() }
    }

    /// The message in the character set of its facility.
    pub(crate) fn finish(self) -> (Vec<u8>, Planted) {
        let bytes = self.writer.finish();
        if self.subject.facility.character_set != "8859/1" {
            return (bytes, self.planted);
        }
        let text = String::from_utf8_lossy(&bytes);
        (text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect(), self.planted)
    }

    fn timestamp(&self) -> String {
        self.subject.facility.timestamp(self.subject.now)
    }

    /// A person of the staff as XCN.
    fn clinician(&mut self, clinician: &Clinician) -> String {
        let facility = self.subject.facility;
        let family = facility.writable(&clinician.name.family);
        let given = facility.writable(&clinician.name.given);
        for part in [&clinician.id, &family, &given] {
            self.planted.staff(part);
        }
        self.writer.joined(
            &[&clinician.id, &family, &given, &clinician.name.middle, "", "", "MD", "", &facility.name],
            Some(b'^'),
        )
    }

    fn attending(&mut self) -> String {
        let facility = self.subject.facility;
        match facility.doctors.get(self.subject.visit.attending).or(facility.doctors.first()) {
            Some(doctor) => self.clinician(doctor),
            None => String::new(),
        }
    }

    fn person(&mut self, name: &Name) -> String {
        self.planted.identifier(&name.family);
        self.planted.identifier(&name.given);
        self.writer.joined(&[&name.family, &name.given, &name.middle, "", "", "", "L"], Some(b'^'))
    }

    fn phone(&mut self, phone: &str, use_code: &str) -> String {
        self.planted.identifier(phone);
        self.writer.joined(&[phone, use_code, "PH"], Some(b'^'))
    }

    pub(crate) fn evn(&mut self, kind: Kind) {
        let now = self.timestamp();
        let code = if self.subject.facility.version == "2.3.1" { kind.message_type().1 } else { "" };
        self.writer.segment("EVN").text(code).text(&now);
    }

    pub(crate) fn pid(&mut self) {
        let Subject { facility, patient, visit, .. } = self.subject;
        let authority = facility.name.as_str();
        let born = patient.born.strftime("%Y%m%d").to_string();
        for text in [&patient.mrn, &patient.ssn, &born, &patient.street, &patient.postal_code, &patient.email]
        {
            self.planted.identifier(text);
        }
        self.planted.identifier(patient.city.0);
        let record = self.writer.joined(&[&patient.mrn, "", "", authority, "MR"], Some(b'^'));
        let social = self.writer.joined(&[&patient.ssn, "", "", "USSSA", "SS"], Some(b'^'));
        let name = self.person(&patient.name);
        let address = self.writer.joined(
            &[&patient.street, "", patient.city.0, patient.city.1, &patient.postal_code, "USA", "H"],
            Some(b'^'),
        );
        let home = self.phone(&patient.phone, "PRN");
        let mail = self.writer.joined(&["", "NET", "Internet", &patient.email], Some(b'^'));
        self.writer
            .segment("PID")
            .text("1")
            .skip(1)
            .raw(&format!("{record}~{social}"))
            .skip(1)
            .raw(&name)
            .skip(1);
        self.writer.text(&born).text(if patient.female { "F" } else { "M" }).skip(1);
        self.writer.components(&[patient.race.0, patient.race.1, "CDCREC"]).raw(&address).skip(1);
        self.writer.raw(&format!("{home}~{mail}")).skip(4);
        if !visit.number.is_empty() {
            self.planted.identifier(&visit.number);
            let account = self.writer.joined(&[&visit.number, "", "", authority, "AN"], Some(b'^'));
            self.writer.raw(&account);
        }
    }

    pub(crate) fn nk1(&mut self) {
        let relative = &self.subject.patient.relative;
        let name = self.person(&relative.name);
        let phone = self.phone(&relative.phone, "PRN");
        self.writer.segment("NK1").text("1").raw(&name);
        self.writer.components(&[relative.relation.0, relative.relation.1, "HL70063"]).skip(1).raw(&phone);
    }

    pub(crate) fn pv1(&mut self) {
        let Subject { facility, visit, scenario, .. } = self.subject;
        let attending = self.attending();
        let location = self.writer.joined(&[visit.ward, &visit.room, visit.bed, &facility.name], Some(b'^'));
        self.writer.segment("PV1").text("1").text(visit.class).raw(&location);
        self.writer.text(if visit.class == "E" { "E" } else { "R" }).skip(2).raw(&attending).skip(2);
        self.writer.text(scenario.service).skip(8);
        let number = self.writer.joined(&[&visit.number, "", "", &facility.name, "VN"], Some(b'^'));
        self.writer.raw(&number).skip(16);
        self.writer.text(if visit.discharged.is_some() { "01" } else { "" }).skip(7);
        self.writer.text(&facility.timestamp(visit.admitted));
        if let Some(discharged) = visit.discharged {
            self.writer.text(&facility.timestamp(discharged));
        }
    }

    pub(crate) fn al1(&mut self) {
        if let Some((code, text)) = self.subject.patient.allergy {
            self.writer.segment("AL1").text("1").components(&["DA", "Drug allergy", "HL70127"]);
            self.writer.components(&[code, text, "RXNORM"]).components(&["MO", "Moderate", "HL70128"]);
        }
    }

    pub(crate) fn dg1(&mut self, kind: &str) {
        let diagnosis = self.diagnosis();
        self.writer.segment("DG1").text("1").skip(1).components(&diagnosis).skip(2).text(kind);
    }

    /// Of what the patient is ill, as CWE.
    fn diagnosis(&self) -> [&'static str; 3] {
        let (code, text) = self.subject.scenario.diagnosis;
        [code, if self.subject.wordless { "" } else { text }, "I10C"]
    }

    fn priority(&self) -> &'static str {
        match self.subject.scenario.urgency {
            Urgency::Emergent => "S",
            Urgency::Urgent => "A",
            Urgency::Routine => "R",
        }
    }

    pub(crate) fn orc(&mut self, control: &str, status: &str, order: &Order<'_>) {
        let now = self.timestamp();
        let attending = self.attending();
        let facility = self.subject.facility.name.as_str();
        self.writer.segment("ORC").text(control).components(&[order.placer, facility]);
        if order.filler.is_empty() {
            self.writer.skip(1);
        } else {
            self.writer.components(&[order.filler, facility]);
        }
        self.writer.skip(1).text(status).skip(3).text(&now).skip(2).raw(&attending);
    }

    pub(crate) fn tq1(&mut self) {
        if self.subject.facility.has_timing_segments() {
            let priority = self.priority();
            self.writer.segment("TQ1").text("1").skip(7).components(&[priority, "", "HL70485"]);
        }
    }

    /// `result`: when it was reported, for results.
    pub(crate) fn obr(&mut self, order: &Order<'_>, observed: Option<Timestamp>) {
        let Subject { facility, now, .. } = self.subject;
        let attending = self.attending();
        let diagnosis = self.diagnosis();
        self.writer.segment("OBR").text("1").components(&[order.placer, &facility.name]);
        if order.filler.is_empty() {
            self.writer.skip(1);
        } else {
            self.writer.components(&[order.filler, &facility.name]);
        }
        self.writer.components(&[order.code.0, order.code.1, order.code.2]).skip(2);
        let at = observed.map(|at| facility.timestamp(at)).unwrap_or_default();
        self.writer.text(&at).skip(8).raw(&attending).skip(5);
        if observed.is_some() {
            let reported = facility.timestamp(*now);
            self.writer.text(&reported).skip(1).text(order.section).text("F").skip(5);
        } else {
            let timing = if facility.has_timing_segments() { "" } else { self.priority() };
            self.writer.skip(1).skip(1).text(order.section).skip(2);
            if timing.is_empty() {
                self.writer.skip(1);
            } else {
                self.writer.raw(&format!("^^^^^{timing}"));
            }
            self.writer.skip(3);
        }
        self.writer.components(&diagnosis);
    }

    pub(crate) fn spm(&mut self, specimen: (&str, &str), collected: Timestamp) {
        if self.subject.facility.has_timing_segments() {
            let at = self.subject.facility.timestamp(collected);
            self.writer
                .segment("SPM")
                .text("1")
                .skip(2)
                .components(&[specimen.0, specimen.1, "HL70487"])
                .skip(12)
                .text(&at);
        }
    }

    pub(crate) fn obx_number(&mut self, set_id: usize, value: &crate::labs::Measured, observed: Timestamp) {
        let at = self.subject.facility.timestamp(observed);
        let analyte = value.analyte;
        self.writer
            .segment("OBX")
            .text(&set_id.to_string())
            .text("NM")
            .components(&[analyte.loinc, analyte.name, "LN"])
            .skip(1);
        self.writer
            .text(&value.value)
            .components(&[analyte.unit, analyte.unit, "UCUM"])
            .text(&value.reference_text());
        self.writer.text(value.flag).skip(2).text("F").skip(2).text(&at);
    }

    /// NTE with a remark by this template.
    pub(crate) fn nte(&mut self, rng: &mut ChaCha8Rng, remark: &str) {
        if self.subject.wordless {
            return;
        }
        if let Some(text) = self.write(rng, |prose| prose.fill(remark)) {
            self.writer.segment("NTE").text("1").text("L").text(&text);
        }
    }

    /// Text as the facility sends it: one FT value, or one TX segment a line. Returns the next set id.
    pub(crate) fn obx_text(&mut self, set_id: usize, code: (&str, &str), lines: &[String]) -> usize {
        let at = self.timestamp();
        let mut write = |set_id: usize, data_type: &str, text: &str| {
            self.writer
                .segment("OBX")
                .text(&set_id.to_string())
                .text(data_type)
                .components(&[code.0, code.1, "LN"]);
            self.writer.skip(1).text(text).skip(5).text("F").skip(2).text(&at);
        };
        if self.subject.facility.formatted_text {
            write(set_id, "FT", &lines.join("\n"));
            return set_id + 1;
        }
        for (position, line) in lines.iter().enumerate() {
            write(set_id + position, "TX", line);
        }
        set_id + lines.len()
    }

    pub(crate) fn txa(&mut self, document: &str, number: &str) {
        let now = self.timestamp();
        let attending = self.attending();
        let facility = self.subject.facility;
        let presentation = if facility.formatted_text { "FT" } else { "TX" };
        self.writer
            .segment("TXA")
            .text("1")
            .text(document)
            .text(presentation)
            .text(&now)
            .raw(&attending)
            .text(&now);
        self.writer.text(&now).skip(1).raw(&attending).skip(2).components(&[number, &facility.name]).skip(4);
        self.writer.text("AU").skip(1).text("AV");
    }

    /// Writes prose about the subject; what it plants counts for this message.
    pub(crate) fn write<T>(
        &mut self,
        rng: &mut ChaCha8Rng,
        write: impl FnOnce(&mut Prose<'_>) -> T,
    ) -> Option<T> {
        let Subject { facility, patient, scenario, visit, now, .. } = self.subject;
        let attending = facility.doctors.get(visit.attending).or(facility.doctors.first())?;
        let setting = Setting {
            patient,
            facility,
            scenario,
            attending,
            ward: visit.ward,
            visit: &visit.number,
            now: facility.local(*now),
            admitted: facility.local(visit.admitted).date(),
        };
        Some(write(&mut Prose::new(rng, &setting, &mut self.planted)))
    }
}

/// What was ordered.
pub(crate) struct Order<'o> {
    pub(crate) placer: &'o str,
    /// Empty until the department has taken it.
    pub(crate) filler: &'o str,
    pub(crate) code: (&'o str, &'o str, &'o str),
    /// OBR-24.
    pub(crate) section: &'o str,
}
