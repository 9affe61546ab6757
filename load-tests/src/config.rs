//! What to generate.

use jiff::{SignedDuration, Timestamp};

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
    /// Share of messages that carry a narrative (report, note, referral letter), 0 to 1; all others then say in codes
    /// and numbers what they have to say, without a diagnosis or a remark in words. None by default: as the mix has
    /// it, and with such words.
    pub narratives: Option<f64>,
    /// When the first message is made, by the hospital's clock.
    pub start: Timestamp,
    /// Mean time between messages by the hospital's clock; 5 s by default.
    pub gap: SignedDuration,
}

/// Reads a share, 0 to 1, as an argument of a command gives it.
///
/// # Errors
/// When it is none.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not a number from 0 to 1".to_owned()),
    }
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
            narratives: None,
            // 2025-03-03T14:00:00Z, a Monday, when it is morning in most of its facilities.
            start: Timestamp::constant(1_741_010_400, 0),
            gap: SignedDuration::from_secs(5),
        }
    }
}
