//! One result as the model stages see it.

/// A laboratory or bedside result taken from a FHIR `Observation`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservationFact {
    /// `Observation.code.coding.code`; the first LOINC coding when there is one.
    pub code: String,
    /// `Observation.code.coding.system` of that coding; empty when the feed named none.
    pub system: String,
    /// The analyte's name as the feed sent it.
    pub display: String,
    /// `valueQuantity.value` with the digits of the message ("4.10" stays "4.10").
    pub value: Option<String>,
    /// `valueQuantity.comparator`: `<`, `<=`, `>=` or `>`.
    pub comparator: Option<String>,
    /// `valueString` or the text of `valueCodeableConcept`, where the result is not a quantity.
    pub text: Option<String>,
    /// `valueQuantity.code` when in UCUM, else `valueQuantity.unit`.
    pub unit: String,
    /// Lower end of the laboratory's reference range, digits kept.
    pub low: Option<String>,
    /// Upper end of the laboratory's reference range, digits kept.
    pub high: Option<String>,
    /// Interpretation codes of HL7 table 0078 (`H`, `LL`, `AA`…).
    pub flags: Vec<String>,
    /// `Observation.status`.
    pub status: String,
    /// What was examined, as far as it is said: the type of the specimen, the name of the report or panel it stands in.
    pub specimen: Option<String>,
    /// `Observation.effectiveDateTime`.
    pub effective: Option<String>,
}

/// How far a result is from normal, by its flags and reference range alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abnormality {
    /// No flag and no range to judge by.
    Unknown,
    /// Within the reference range.
    Normal,
    /// Outside the reference range.
    Abnormal,
    /// Outside it by a wide margin, or off the instrument's scale.
    Marked,
    /// Flagged as critical by the laboratory (`HH`, `LL`, `AA`).
    Critical,
}

/// Most characters of a text result in its rendered line.
const MAX_HEADLINE: usize = 120;

/// LOINC's code system URI.
pub const LOINC: &str = "http://loinc.org";

impl ObservationFact {
    /// Whether the result counts: a cancelled or mistaken one says nothing about the patient.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self.status.as_str(), "entered-in-error" | "cancelled" | "registered")
    }

    /// The value as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        number(self.value.as_deref()?)
    }

    /// `high`, `low` or neither, by flag first and range second.
    #[must_use]
    pub fn direction(&self) -> Option<&'static str> {
        for flag in &self.flags {
            match flag.trim_end_matches('*') {
                "H" | "HH" | "HU" | ">" => return Some("high"),
                "L" | "LL" | "LU" | "<" => return Some("low"),
                _ => {}
            }
        }
        let value = self.number()?;
        if self.high.as_deref().and_then(number).is_some_and(|high| value > high) {
            Some("high")
        } else if self.low.as_deref().and_then(number).is_some_and(|low| value < low) {
            Some("low")
        } else {
            None
        }
    }

    /// Distance from normal: the greater of what the flags (HL7 table 0078) and the reference range say.
    ///
    /// A value is [`Abnormality::Marked`] when it lies beyond its range by more than half the range's width,
    /// or is twice its upper limit where the range has no lower end.
    #[must_use]
    pub fn abnormality(&self) -> Abnormality {
        let by_flag = self
            .flags
            .iter()
            .map(|flag| match flag.trim_end_matches('*') {
                "HH" | "LL" | "AA" | "HU" | "LU" => Abnormality::Critical,
                ">" | "<" => Abnormality::Marked,
                "H" | "L" | "A" | "POS" | "R" | "VR" | "DET" | "WR" => Abnormality::Abnormal,
                "N" | "NEG" | "ND" | "S" => Abnormality::Normal,
                _ => Abnormality::Unknown,
            })
            .max()
            .unwrap_or(Abnormality::Unknown);
        by_flag.max(self.abnormality_by_range())
    }

    fn abnormality_by_range(&self) -> Abnormality {
        let Some(value) = self.number() else { return Abnormality::Unknown };
        let low = self.low.as_deref().and_then(number);
        let high = self.high.as_deref().and_then(number);
        let beyond = match (low, high) {
            (Some(low), Some(high)) if high > low => {
                let excess = (value - high).max(low - value);
                excess / (high - low)
            }
            (_, Some(high)) if high > 0.0 => (value - high) / (2.0 * high),
            (Some(low), None) if low > 0.0 => (low - value) / low,
            _ => return Abnormality::Unknown,
        };
        if beyond > 0.5 {
            Abnormality::Marked
        } else if beyond > 0.0 {
            Abnormality::Abnormal
        } else {
            Abnormality::Normal
        }
    }

    /// One line of text for the result: `Potassium 7.1 mmol/L (3.5-5.1), critical high`.
    ///
    /// `critical` says whether the table of critical values holds it critical.
    #[must_use]
    pub fn render(&self, critical: bool) -> String {
        let mut line = if self.display.is_empty() { self.code.clone() } else { self.display.clone() };
        if let Some(value) = &self.value {
            line.push(' ');
            line.push_str(self.comparator.as_deref().unwrap_or(""));
            line.push_str(value);
            if !self.unit.is_empty() && self.unit != "1" {
                line.push(' ');
                line.push_str(&self.unit);
            }
        } else if let Some(text) = &self.text {
            // The first line of a report is its headline; the rest is prose.
            let headline = text.trim().lines().next().unwrap_or("");
            let end = headline.char_indices().nth(MAX_HEADLINE).map_or(headline.len(), |(end, _)| end);
            line.push_str(": ");
            line.push_str(headline.get(..end).unwrap_or(""));
        }
        match (&self.low, &self.high) {
            (Some(low), Some(high)) => line.push_str(&format!(" ({low}-{high})")),
            (None, Some(high)) => line.push_str(&format!(" (up to {high})")),
            (Some(low), None) => line.push_str(&format!(" (from {low})")),
            (None, None) => {}
        }
        let degree = if critical || self.abnormality() == Abnormality::Critical {
            "critical"
        } else if self.abnormality() >= Abnormality::Abnormal {
            "abnormal"
        } else {
            ""
        };
        match (degree, self.direction()) {
            ("", _) => {}
            ("abnormal", Some(direction)) => line.push_str(&format!(", {direction}")),
            (degree, Some(direction)) => line.push_str(&format!(", {degree} {direction}")),
            (degree, None) => line.push_str(&format!(", {degree}")),
        }
        if matches!(self.status.as_str(), "corrected" | "amended" | "preliminary") {
            line.push_str(&format!(" [{}]", self.status));
        }
        line
    }
}

/// A finite decimal; feeds write thousands with a comma now and then.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let value: f64 = match text.parse() {
        Ok(value) => value,
        Err(_) => {
            let (head, tail) = text.split_once(',')?;
            let grouped = !head.is_empty()
                && head.len() <= 3
                && head.bytes().all(|b| b.is_ascii_digit())
                && tail.get(..3).is_some_and(|group| group.bytes().all(|b| b.is_ascii_digit()))
                && matches!(tail.as_bytes().get(3), None | Some(b'.'));
            if !grouped {
                return None;
            }
            format!("{head}{tail}").parse().ok()?
        }
    };
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn potassium(value: &str) -> ObservationFact {
        ObservationFact {
            display: "Potassium".into(),
            value: Some(value.into()),
            unit: "mmol/L".into(),
            low: Some("3.5".into()),
            high: Some("5.1".into()),
            status: "final".into(),
            ..ObservationFact::default()
        }
    }

    #[test]
    fn renders_as_a_clinician_reads_it() {
        assert_eq!(potassium("7.10").render(true), "Potassium 7.10 mmol/L (3.5-5.1), critical high");
        assert_eq!(potassium("3.2").render(false), "Potassium 3.2 mmol/L (3.5-5.1), low");
        assert_eq!(potassium("4.0").render(false), "Potassium 4.0 mmol/L (3.5-5.1)");
    }

    #[test]
    fn judges_by_flag_and_by_range() {
        assert_eq!(potassium("4.0").abnormality(), Abnormality::Normal);
        assert_eq!(potassium("5.4").abnormality(), Abnormality::Abnormal);
        assert_eq!(potassium("6.4").abnormality(), Abnormality::Marked);
        let flagged = ObservationFact { flags: vec!["LL".into()], ..potassium("4.0") };
        assert_eq!(flagged.abnormality(), Abnormality::Critical);
        assert_eq!(flagged.direction(), Some("low"));
    }

    #[test]
    fn numbers_with_thousands() {
        assert_eq!(number("1,234.5"), Some(1234.5));
        assert_eq!(number("12,5"), None);
        assert_eq!(number("NaN"), None);
    }
}
