//! Laboratory panels: LOINC codes, UCUM units, reference and critical ranges, values that fit the scenario.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::scenarios::Scenario;
use crate::truth::Urgency;

/// A measured quantity.
#[derive(Debug)]
pub(crate) struct Analyte {
    pub(crate) loinc: &'static str,
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// Reference range, inclusive.
    pub(crate) reference: (f64, f64),
    /// Below the first and above the second a value is critical.
    critical: (Option<f64>, Option<f64>),
    /// What a living person can have.
    possible: (f64, f64),
    decimals: usize,
}

/// A group ordered together.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) loinc: &'static str,
    pub(crate) name: &'static str,
    /// SPM-4, HL7 table 0487.
    pub(crate) specimen: (&'static str, &'static str),
    pub(crate) analytes: &'static [Analyte],
}

const fn analyte(
    loinc: &'static str,
    name: &'static str,
    unit: &'static str,
    reference: (f64, f64),
    critical: (Option<f64>, Option<f64>),
    possible: (f64, f64),
    decimals: usize,
) -> Analyte {
    Analyte { loinc, name, unit, reference, critical, possible, decimals }
}

const BLOOD: (&str, &str) = ("BLD", "Whole blood");
const SERUM: (&str, &str) = ("SER", "Serum");
const ARTERIAL: (&str, &str) = ("BLDA", "Blood arterial");
const PLASMA: (&str, &str) = ("PLAS", "Plasma");

pub(crate) const PANELS: &[Panel] = &[
    Panel {
        loinc: "58410-2",
        name: "CBC panel - Blood by Automated count",
        specimen: BLOOD,
        analytes: &[
            analyte(
                "6690-2",
                "Leukocytes [#/volume] in Blood by Automated count",
                "10*3/uL",
                (4.5, 11.0),
                (Some(1.0), Some(30.0)),
                (0.1, 90.0),
                1,
            ),
            analyte(
                "789-8",
                "Erythrocytes [#/volume] in Blood by Automated count",
                "10*6/uL",
                (4.2, 5.9),
                (None, None),
                (1.5, 7.5),
                2,
            ),
            analyte(
                "718-7",
                "Hemoglobin [Mass/volume] in Blood",
                "g/dL",
                (12.0, 16.0),
                (Some(7.0), Some(20.0)),
                (3.5, 22.0),
                1,
            ),
            analyte(
                "4544-3",
                "Hematocrit [Volume Fraction] of Blood by Automated count",
                "%",
                (36.0, 46.0),
                (Some(21.0), Some(60.0)),
                (12.0, 65.0),
                1,
            ),
            analyte(
                "787-2",
                "MCV [Entitic mean volume] in Red Blood Cells by Automated count",
                "fL",
                (80.0, 100.0),
                (None, None),
                (60.0, 125.0),
                1,
            ),
            analyte(
                "777-3",
                "Platelets [#/volume] in Blood by Automated count",
                "10*3/uL",
                (150.0, 400.0),
                (Some(20.0), Some(1000.0)),
                (3.0, 1500.0),
                0,
            ),
        ],
    },
    Panel {
        loinc: "24321-2",
        name: "Basic metabolic 2000 panel - Serum or Plasma",
        specimen: SERUM,
        analytes: &[
            analyte(
                "2951-2",
                "Sodium [Moles/volume] in Serum or Plasma",
                "mmol/L",
                (135.0, 145.0),
                (Some(120.0), Some(160.0)),
                (108.0, 172.0),
                0,
            ),
            analyte(
                "2823-3",
                "Potassium [Moles/volume] in Serum or Plasma",
                "mmol/L",
                (3.5, 5.1),
                (Some(2.5), Some(6.5)),
                (1.8, 8.6),
                1,
            ),
            analyte(
                "2075-0",
                "Chloride [Moles/volume] in Serum or Plasma",
                "mmol/L",
                (98.0, 107.0),
                (None, None),
                (80.0, 125.0),
                0,
            ),
            analyte(
                "2028-9",
                "Carbon dioxide, total [Moles/volume] in Serum or Plasma",
                "mmol/L",
                (22.0, 29.0),
                (Some(10.0), Some(40.0)),
                (5.0, 46.0),
                0,
            ),
            analyte(
                "3094-0",
                "Urea nitrogen [Mass/volume] in Serum or Plasma",
                "mg/dL",
                (7.0, 20.0),
                (None, Some(100.0)),
                (2.0, 160.0),
                0,
            ),
            analyte(
                "2160-0",
                "Creatinine [Mass/volume] in Serum or Plasma",
                "mg/dL",
                (0.6, 1.2),
                (None, Some(10.0)),
                (0.2, 16.0),
                2,
            ),
            analyte(
                "2345-7",
                "Glucose [Mass/volume] in Serum or Plasma",
                "mg/dL",
                (70.0, 99.0),
                (Some(40.0), Some(500.0)),
                (18.0, 980.0),
                0,
            ),
            analyte(
                "17861-6",
                "Calcium [Mass/volume] in Serum or Plasma",
                "mg/dL",
                (8.6, 10.3),
                (Some(6.5), Some(13.0)),
                (5.2, 15.5),
                1,
            ),
        ],
    },
    Panel {
        loinc: "89579-7",
        name: "Troponin I.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method",
        specimen: PLASMA,
        analytes: &[analyte(
            "89579-7",
            "Troponin I.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method",
            "ng/L",
            (0.0, 34.0),
            (None, Some(120.0)),
            (2.0, 9000.0),
            0,
        )],
    },
    Panel {
        loinc: "2524-7",
        name: "Lactate [Moles/volume] in Serum or Plasma",
        specimen: PLASMA,
        analytes: &[analyte(
            "2524-7",
            "Lactate [Moles/volume] in Serum or Plasma",
            "mmol/L",
            (0.5, 2.0),
            (None, Some(4.0)),
            (0.3, 18.0),
            1,
        )],
    },
    Panel {
        loinc: "24336-0",
        name: "Gas panel - Arterial blood",
        specimen: ARTERIAL,
        analytes: &[
            analyte(
                "2744-1",
                "pH of Arterial blood",
                "[pH]",
                (7.35, 7.45),
                (Some(7.20), Some(7.60)),
                (6.80, 7.72),
                2,
            ),
            analyte(
                "2019-8",
                "Carbon dioxide [Partial pressure] in Arterial blood",
                "mm[Hg]",
                (35.0, 45.0),
                (Some(20.0), Some(70.0)),
                (10.0, 110.0),
                0,
            ),
            analyte(
                "2703-7",
                "Oxygen [Partial pressure] in Arterial blood",
                "mm[Hg]",
                (80.0, 100.0),
                (Some(45.0), None),
                (28.0, 300.0),
                0,
            ),
            analyte(
                "1960-4",
                "Bicarbonate [Moles/volume] in Arterial blood",
                "mmol/L",
                (22.0, 26.0),
                (Some(10.0), Some(40.0)),
                (4.0, 46.0),
                1,
            ),
        ],
    },
    Panel {
        loinc: "34528-0",
        name: "PT panel - Platelet poor plasma by Coagulation assay",
        specimen: PLASMA,
        analytes: &[
            analyte("5902-2", "Prothrombin time (PT)", "s", (11.0, 13.5), (None, None), (9.0, 90.0), 1),
            analyte(
                "6301-6",
                "INR in Platelet poor plasma by Coagulation assay",
                "{INR}",
                (0.8, 1.1),
                (None, Some(5.0)),
                (0.7, 12.0),
                1,
            ),
            analyte(
                "14979-9",
                "aPTT in Platelet poor plasma by Coagulation assay",
                "s",
                (25.0, 35.0),
                (None, Some(100.0)),
                (18.0, 180.0),
                1,
            ),
            analyte(
                "3255-7",
                "Fibrinogen [Mass/volume] in Platelet poor plasma by Coagulation assay",
                "mg/dL",
                (200.0, 400.0),
                (Some(100.0), None),
                (45.0, 900.0),
                0,
            ),
        ],
    },
    Panel {
        loinc: "24325-3",
        name: "Hepatic function 2000 panel - Serum or Plasma",
        specimen: SERUM,
        analytes: &[
            analyte(
                "1742-6",
                "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
                "U/L",
                (7.0, 56.0),
                (None, Some(1000.0)),
                (4.0, 6000.0),
                0,
            ),
            analyte(
                "1920-8",
                "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
                "U/L",
                (10.0, 40.0),
                (None, Some(1000.0)),
                (5.0, 6000.0),
                0,
            ),
            analyte(
                "1975-2",
                "Bilirubin.total [Mass/volume] in Serum or Plasma",
                "mg/dL",
                (0.1, 1.2),
                (None, Some(15.0)),
                (0.1, 32.0),
                1,
            ),
            analyte(
                "1751-7",
                "Albumin [Mass/volume] in Serum or Plasma",
                "g/dL",
                (3.5, 5.0),
                (None, None),
                (1.2, 5.8),
                1,
            ),
        ],
    },
    Panel {
        loinc: "4548-4",
        name: "Hemoglobin A1c/Hemoglobin.total in Blood",
        specimen: BLOOD,
        analytes: &[analyte(
            "4548-4",
            "Hemoglobin A1c/Hemoglobin.total in Blood",
            "%",
            (4.0, 5.6),
            (None, None),
            (3.6, 15.5),
            1,
        )],
    },
    Panel {
        loinc: "3016-3",
        name: "Thyrotropin [Units/volume] in Serum or Plasma",
        specimen: SERUM,
        analytes: &[analyte(
            "3016-3",
            "Thyrotropin [Units/volume] in Serum or Plasma",
            "m[IU]/L",
            (0.4, 4.0),
            (None, None),
            (0.01, 90.0),
            2,
        )],
    },
];

/// A measured value, as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) analyte: &'static Analyte,
    pub(crate) value: String,
    /// HL7 table 0078: `N`, `L`, `H`, `LL`, `HH`.
    pub(crate) flag: &'static str,
}

impl Measured {
    pub(crate) fn is_critical(&self) -> bool {
        matches!(self.flag, "LL" | "HH")
    }

    /// OBX-7.
    pub(crate) fn reference_text(&self) -> String {
        let (low, high) = self.analyte.reference;
        let decimals = self.analyte.decimals;
        if low == 0.0 {
            format!("<={high:.decimals$}")
        } else {
            format!("{low:.decimals$}-{high:.decimals$}")
        }
    }
}

impl Analyte {
    /// The flag follows from the rounded value, as a reader of the message would judge it.
    fn measured(&'static self, value: f64) -> Measured {
        let decimals = self.decimals;
        let text = format!("{:.decimals$}", value.clamp(self.possible.0, self.possible.1));
        let rounded: f64 = text.parse().unwrap_or(value);
        let flag = if self.critical.0.is_some_and(|limit| rounded < limit) {
            "LL"
        } else if self.critical.1.is_some_and(|limit| rounded > limit) {
            "HH"
        } else if rounded < self.reference.0 {
            "L"
        } else if rounded > self.reference.1 {
            "H"
        } else {
            "N"
        };
        Measured { analyte: self, value: text, flag }
    }

    fn draw(&'static self, rng: &mut ChaCha8Rng, push: Option<bool>, severity: f64) -> Measured {
        let (low, high) = self.reference;
        let inside = low + (high - low) * rng.random_range(0.1..0.9);
        let Some(up) = push else { return self.measured(inside) };
        let value = if up {
            let limit = self.critical.1.unwrap_or(high * 1.8).min(self.possible.1);
            // Up to the limit most of the time, beyond it when severe.
            if severity > 1.0 {
                limit + (self.possible.1 - limit) * rng.random_range(0.02..0.4)
            } else {
                high + (limit - high) * severity
            }
        } else {
            let limit = self.critical.0.unwrap_or(low * 0.6).max(self.possible.0);
            if severity > 1.0 {
                limit - (limit - self.possible.0) * rng.random_range(0.05..0.6)
            } else {
                low - (low - limit) * severity
            }
        };
        self.measured(value)
    }
}

/// Draws the values of a panel. What the scenario pushes is abnormal until it is `treated`.
pub(crate) fn measure(
    rng: &mut ChaCha8Rng,
    panel: &'static Panel,
    scenario: &Scenario,
    treated: bool,
) -> Vec<Measured> {
    let draw = |analyte: &'static Analyte| {
        let pushed = scenario.pushes.iter().find(|(loinc, _)| *loinc == analyte.loinc).map(|(_, up)| *up);
        let chance = rng.random_range(0.0..1.0);
        let (push, severity) = match (pushed, treated) {
            (Some(up), false) => {
                let critical = scenario.urgency == Urgency::Emergent && chance < 0.3;
                (Some(up), if critical { 1.5 } else { rng.random_range(0.15..0.95) })
            }
            (Some(up), true) if chance < 0.4 => (Some(up), rng.random_range(0.05..0.4)),
            // Anybody may have a value out of range, and very few a critical one that nobody expected.
            _ if chance < 0.003 => (Some(rng.random_bool(0.5)), 1.5),
            _ if chance < 0.08 => (Some(rng.random_bool(0.5)), rng.random_range(0.05..0.5)),
            _ => (None, 0.0),
        };
        analyte.draw(rng, push, severity)
    };
    panel.analytes.iter().map(draw).collect()
}

/// The urgency that the values alone say.
pub(crate) fn urgency(values: &[Measured]) -> Urgency {
    let abnormal = values.iter().filter(|v| v.flag != "N").count();
    if values.iter().any(Measured::is_critical) {
        Urgency::Emergent
    } else if abnormal * 2 >= values.len() && abnormal > 0 {
        Urgency::Urgent
    } else {
        Urgency::Routine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn flags_follow_the_ranges() {
        let potassium = &PANELS[1].analytes[1];
        let flag = |value| potassium.measured(value).flag;
        assert_eq!(
            [2.44, 2.5, 3.4, 3.5, 5.1, 5.2, 6.5, 6.6].map(flag),
            ["LL", "L", "L", "N", "N", "H", "H", "HH"]
        );
        // 2.46 is written 2.5, which is not critical.
        assert_eq!(flag(2.46), "L");
    }

    #[test]
    fn every_value_is_possible_and_flagged_as_written() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for scenario in crate::scenarios::SCENARIOS {
            for panel in PANELS {
                for value in measure(&mut rng, panel, scenario, false) {
                    let number: f64 = value.value.parse().unwrap();
                    assert!(
                        number >= value.analyte.possible.0 - 0.01
                            && number <= value.analyte.possible.1 + 0.01
                    );
                    assert_eq!(value.analyte.measured(number).flag, value.flag, "{}", value.analyte.name);
                }
            }
        }
    }
}
