//! The segments of occasions without a stay: referrals, appointments, vaccinations.

use jiff::Timestamp;

use super::{Draft, Subject};
use crate::population::Clinician;
use crate::truth::Urgency;

impl Draft<'_> {
    pub(crate) fn rf1(&mut self, number: &str) {
        let now = self.timestamp();
        let (code, text) = match self.subject.scenario.urgency {
            Urgency::Emergent => ("S", "STAT"),
            Urgency::Urgent => ("A", "ASAP"),
            Urgency::Routine => ("R", "Routine"),
        };
        self.writer
            .segment("RF1")
            .components(&["P", "Pending", "HL70283"])
            .components(&[code, text, "HL70280"]);
        self.writer.components(&["MED", "Medical", "HL70281"]).skip(1).components(&[
            "O",
            "Outpatient",
            "HL70284",
        ]);
        self.writer.components(&[number, &self.subject.facility.name]).text(&now);
    }

    pub(crate) fn prd(&mut self, role: (&str, &str), clinician: &Clinician) {
        let facility = self.subject.facility;
        let family = facility.writable(&clinician.name.family);
        let given = facility.writable(&clinician.name.given);
        for part in [&family, &given, &clinician.pager, &clinician.id] {
            self.planted.staff(part);
        }
        self.writer.segment("PRD").components(&[role.0, role.1, "HL70286"]);
        self.writer.components(&[&family, &given, &clinician.name.middle, "", "Dr", "MD"]).skip(2);
        self.writer.components(&[&clinician.pager, "WPN", "PH"]).skip(1).components(&[&clinician.id, "PI"]);
    }

    /// SCH, and after PID and PV1 what is booked: see [`Draft::resources`].
    pub(crate) fn sch(&mut self, number: &str, start: Timestamp, minutes: i64) {
        let facility = self.subject.facility;
        let end = start.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap_or(start);
        let attending = self.attending();
        let length = minutes.to_string();
        // A reason without a display would have its code for a text.
        let reason =
            if self.subject.wordless { [""; 3] } else { ["ROUTINE", "Routine appointment", "HL70276"] };
        let (start, end) = (facility.timestamp(start), facility.timestamp(end));
        self.writer
            .segment("SCH")
            .components(&[number, &facility.name])
            .components(&[&format!("F{number}"), &facility.name]);
        self.writer.skip(3).components(&["BOOKED", "Booked", "L"]).components(&reason);
        self.writer
            .components(&["NORMAL", "Normal", "HL70277"])
            .text(&length)
            .components(&["min", "min", "UCUM"]);
        self.writer
            .components(&["", "", &length, &start, &end])
            .skip(4)
            .raw(&attending)
            .skip(3)
            .raw(&attending)
            .skip(4);
        self.writer.text("Booked");
    }

    pub(crate) fn resources(&mut self, start: Timestamp, minutes: i64) {
        let Subject { facility, scenario, visit, .. } = self.subject;
        let start = facility.timestamp(start);
        let attending = self.attending();
        let length = minutes.to_string();
        self.writer.segment("RGS").text("1").text("A");
        self.writer
            .segment("AIS")
            .text("1")
            .text("A")
            .components(&[scenario.service, scenario.specialty, "L"])
            .text(&start);
        self.writer.skip(2).text(&length).components(&["min", "min", "UCUM"]).skip(1).text("Booked");
        self.writer.segment("AIL").text("1").text("A").components(&[
            visit.ward,
            &visit.room,
            "",
            &facility.name,
        ]);
        self.writer
            .skip(2)
            .text(&start)
            .skip(2)
            .text(&length)
            .components(&["min", "min", "UCUM"])
            .skip(1)
            .text("Booked");
        self.writer.segment("AIP").text("1").text("A").raw(&attending).components(&["D", "Doctor", "L"]);
        self.writer
            .skip(1)
            .text(&start)
            .skip(2)
            .text(&length)
            .components(&["min", "min", "UCUM"])
            .skip(1)
            .text("Booked");
    }

    pub(crate) fn vaccination(&mut self, number: &str, vaccine: &Vaccine, lot: &str, expires: &str) {
        let now = self.timestamp();
        let facility = self.subject.facility;
        let day = facility.local(self.subject.now).strftime("%Y%m%d").to_string();
        let attending = self.attending();
        self.writer
            .segment("ORC")
            .text("RE")
            .skip(1)
            .components(&[number, &facility.name])
            .skip(5)
            .text(&now);
        self.writer.segment("RXA").text("0").text("1").text(&day).text(&day).components(&[
            vaccine.cvx,
            vaccine.name,
            "CVX",
        ]);
        self.writer.text("0.5").components(&["mL", "mL", "UCUM"]).skip(1).components(&[
            "00",
            "New immunization record",
            "NIP001",
        ]);
        self.writer.raw(&attending).components(&["", "", "", &facility.name]).skip(3).text(lot).text(expires);
        self.writer.components(&[vaccine.mvx, vaccine.maker, "MVX"]).skip(2).text("CP").text("A");
        self.writer.segment("RXR").components(&["IM", "Intramuscular", "HL70162"]).components(&[
            "LD",
            "Left Deltoid",
            "HL70163",
        ]);
        self.writer.segment("OBX").text("1").text("CE").components(&[
            "64994-7",
            "Vaccine funding program eligibility category",
            "LN",
        ]);
        self.writer
            .text("1")
            .components(&["V01", "Not VFC eligible", "HL70064"])
            .skip(5)
            .text("F")
            .skip(2)
            .text(&day);
    }
}

/// A vaccine (CVX and MVX are code systems of the CDC).
pub(crate) struct Vaccine {
    cvx: &'static str,
    name: &'static str,
    mvx: &'static str,
    maker: &'static str,
}

pub(crate) const VACCINES: &[Vaccine] = &[
    Vaccine {
        cvx: "140",
        name: "Influenza, split virus, trivalent, PF",
        mvx: "PMC",
        maker: "Sanofi Pasteur",
    },
    Vaccine { cvx: "115", name: "Tdap", mvx: "SKB", maker: "GlaxoSmithKline" },
    Vaccine { cvx: "187", name: "zoster recombinant", mvx: "SKB", maker: "GlaxoSmithKline" },
    Vaccine { cvx: "03", name: "MMR", mvx: "MSD", maker: "Merck and Co., Inc." },
    Vaccine { cvx: "133", name: "Pneumococcal conjugate PCV 13", mvx: "PFR", maker: "Pfizer, Inc" },
    Vaccine { cvx: "08", name: "Hep B, adolescent or pediatric", mvx: "SKB", maker: "GlaxoSmithKline" },
];
