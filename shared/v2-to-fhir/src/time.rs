//! HL7 v2 DT, TM and DTM to FHIR date, time, dateTime and instant.
//!
//! HL7 v2.9 chapter 2A, DTM: `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`. FHIR 4.0.1 section 2.24.0.1: a time
//! needs seconds and an offset, which v2 may both leave out.

use compact_str::format_compact;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use crate::primitive::trim;
use crate::value::{Map, Text, Value};

/// Where offsets come from when a time has none of its own.
#[derive(Debug)]
pub(crate) struct Zones {
    /// Offset of MSH-7 in minutes: by HL7 v2.9 section 2A, DTM, the default of the whole message.
    pub(crate) message_offset: Option<i32>,
    /// The facility's zone, else the default zone.
    pub(crate) zone: TimeZone,
    /// Whether `zone` was needed, so that the assumption can be said.
    pub(crate) assumed: bool,
}

/// A parsed DTM, as precise as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    date: Date,
    /// Parts of the date that were sent: 1 year, 2 month, 3 day.
    precision: u8,
    time: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Time {
    hour: i8,
    minute: i8,
    second: i8,
    fraction: String,
    offset: Option<i32>,
}

fn digits(text: &str, from: usize, to: usize) -> Option<i16> {
    let digits = text.as_bytes().get(from..to)?;
    // Never more than the four of a year.
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0')))
}

/// Minutes east of UTC. FHIR takes offsets up to 14:00.
fn offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if text.len() != 5 {
        return None;
    }
    let (hours, minutes) = (i32::from(digits(text, 1, 3)?), i32::from(digits(text, 3, 5)?));
    (minutes < 60 && hours * 60 + minutes <= 14 * 60).then_some(sign * (hours * 60 + minutes))
}

/// Hours, minutes, seconds and fraction from `HH[MM[SS[.S[S[S[S]]]]]]`.
fn clock(text: &str) -> Option<(i8, i8, i8, String)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole.len(), 2 | 4 | 6)
        || fraction.len() > 9
        || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    if !fraction.is_empty() && whole.len() != 6 {
        return None;
    }
    let part = |from: usize| -> Option<i8> {
        if whole.len() <= from { Some(0) } else { i8::try_from(digits(whole, from, from + 2)?).ok() }
    };
    let (hour, minute, second) = (part(0)?, part(2)?, part(4)?);
    (hour < 24 && minute < 60 && second < 60).then(|| (hour, minute, second, fraction.to_owned()))
}

/// A date and time being written; 40 characters are more than any has.
struct Writer {
    bytes: [u8; 40],
    length: usize,
}

impl Writer {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// Two digits; `number` is below 100.
    fn two(&mut self, number: i32) {
        let digit = |number: i32| u8::try_from(number % 10).map_or(b'0', |digit| b'0' + digit);
        self.push(digit(number / 10));
        self.push(digit(number));
    }

    fn text(&self) -> Text {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        Text::new(std::str::from_utf8(written).unwrap_or_default())
    }
}

impl Stamp {
    /// Reads a DT or DTM; `None` when it is not a date of the calendar.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = trim(text);
        if !text.is_ascii() || text.len() > 40 {
            return None;
        }
        let (local, zone) = match text.bytes().position(|byte| matches!(byte, b'+' | b'-')) {
            Some(at) => (&text[..at], Some(offset(&text[at..])?)),
            None => (text, None),
        };
        let year = digits(local, 0, 4)?;
        if year == 0 {
            return None;
        }
        let (precision, month, day) = match local.len() {
            4 => (1, 1, 1),
            6 => (2, digits(local, 4, 6)?, 1),
            n if n >= 8 => (3, digits(local, 4, 6)?, digits(local, 6, 8)?),
            _ => return None,
        };
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        let time = if local.len() > 8 {
            let (hour, minute, second, fraction) = clock(&local[8..])?;
            Some(Time { hour, minute, second, fraction, offset: zone })
        } else {
            None
        };
        Some(Self { date, precision, time })
    }

    /// Whether a time of day was sent.
    pub(crate) fn has_time(&self) -> bool {
        self.time.is_some()
    }

    /// The offset that was sent, in minutes.
    pub(crate) fn offset(&self) -> Option<i32> {
        self.time.as_ref().and_then(|time| time.offset)
    }

    /// FHIR `date`.
    pub(crate) fn date(&self) -> Text {
        self.written_date().text()
    }

    fn written_date(&self) -> Writer {
        let mut out = Writer { bytes: [0; 40], length: 0 };
        // Years are of four digits, the first of which may be zeros.
        out.two(i32::from(self.date.year()) / 100);
        out.two(i32::from(self.date.year()) % 100);
        for part in [self.date.month(), self.date.day()].iter().take(usize::from(self.precision) - 1) {
            out.push(b'-');
            out.two(i32::from(*part));
        }
        out
    }

    /// FHIR `dateTime`: as precise as sent, with an offset if there is a time.
    pub(crate) fn date_time(&self, zones: &mut Zones) -> Text {
        let Some(time) = &self.time else { return self.date() };
        let minutes = time.offset.or(zones.message_offset).unwrap_or_else(|| {
            zones.assumed = true;
            let local = DateTime::new(
                self.date.year(),
                self.date.month(),
                self.date.day(),
                time.hour,
                time.minute,
                time.second,
                0,
            );
            // Only instants at the very ends of the calendar have no zoned form.
            local
                .and_then(|local| zones.zone.to_zoned(local))
                .map_or(0, |zoned| zoned.offset().seconds() / 60)
        });
        let mut out = self.written_date();
        for (mark, part) in [(b'T', time.hour), (b':', time.minute), (b':', time.second)] {
            out.push(mark);
            out.two(i32::from(part));
        }
        if !time.fraction.is_empty() {
            out.push(b'.');
            time.fraction.bytes().for_each(|digit| out.push(digit));
        }
        out.push(if minutes < 0 { b'-' } else { b'+' });
        out.two(minutes.abs() / 60);
        out.push(b':');
        out.two(minutes.abs() % 60);
        out.text()
    }

    /// FHIR `instant`: only when a time was sent.
    pub(crate) fn instant(&self, zones: &mut Zones) -> Option<Text> {
        self.has_time().then(|| self.date_time(zones))
    }

    /// FHIR `dateTime` some seconds later, by the clock of UTC; only when a time was sent.
    ///
    /// In a zone whose clocks change meanwhile, the offset of the end is not that of the start.
    pub(crate) fn plus_seconds(&self, seconds: i64, zones: &mut Zones) -> Option<Text> {
        let time = self.time.as_ref()?;
        let from: jiff::Timestamp = self.date_time(zones).parse().ok()?;
        let to = from.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
        let offset =
            time.offset.or(zones.message_offset).and_then(|minutes| Offset::from_seconds(minutes * 60).ok());
        let offset = offset.unwrap_or_else(|| zones.zone.to_offset(to));
        let local = offset.to_datetime(to);
        let moved = Self {
            date: local.date(),
            precision: 3,
            time: Some(Time {
                hour: local.hour(),
                minute: local.minute(),
                second: local.second(),
                fraction: time.fraction.clone(),
                offset: Some(offset.seconds() / 60),
            }),
        };
        Some(moved.date_time(zones))
    }
}

/// FHIR `time` from a TM; an offset has no place in it and is dropped.
pub(crate) fn time_of_day(text: &str) -> Option<Text> {
    let text = trim(text);
    if !text.is_ascii() {
        return None;
    }
    // Colons are not HL7 v2, but they are what systems that type times by hand send.
    let text: String = text.chars().filter(|c| *c != ':').collect();
    let local = text.find(['+', '-']).map_or(text.as_str(), |at| &text[..at]);
    let (hour, minute, second, fraction) = clock(local)?;
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format_compact!("{hour:02}:{minute:02}:{second:02}{point}{fraction}"))
}

/// A FHIR `instant` some minutes later, with the same offset.
pub(crate) fn plus_minutes(instant: &str, minutes: i64) -> Option<String> {
    let at: jiff::Timestamp = instant.parse().ok()?;
    let sent = instant.get(instant.len().checked_sub("+00:00".len())?..)?;
    let zone = Offset::from_seconds(offset(&sent.replace(':', ""))? * 60).ok()?;
    let moved = at.checked_add(jiff::SignedDuration::from_mins(minutes)).ok()?;
    Some(format!("{}{sent}", zone.to_datetime(moved)))
}

/// Whether a period that ends at `end` begins before it, as far as both are precise (FHIR 4.0.1, per-1).
pub(crate) fn in_order(start: &str, end: &str) -> bool {
    match (start.parse::<jiff::Timestamp>(), end.parse::<jiff::Timestamp>()) {
        (Ok(start), Ok(end)) => start <= end,
        _ => {
            let length = start.len().min(end.len()).min("YYYY-MM-DD".len());
            start.get(..length) <= end.get(..length)
        }
    }
}

/// Takes the end from a period that ends before it begins.
pub(crate) fn order(period: &mut Map) {
    let text = |name: &str| period.get(name).and_then(Value::as_str);
    if let (Some(start), Some(end)) = (text("start"), text("end"))
        && !in_order(start, end)
    {
        period.remove("end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(name: &str) -> Zones {
        Zones { message_offset: None, zone: TimeZone::get(name).unwrap_or(TimeZone::UTC), assumed: false }
    }

    #[test]
    fn precision_is_kept() {
        let mut utc = zones("UTC");
        for (sent, fhir) in [
            ("1980", "1980"),
            ("198002", "1980-02"),
            ("19800229", "1980-02-29"),
            ("202009101700+0215", "2020-09-10T17:00:00+02:15"),
            ("20210817151943.4-0800", "2021-08-17T15:19:43.4-08:00"),
        ] {
            assert_eq!(Stamp::parse(sent).map(|s| s.date_time(&mut utc)).as_deref(), Some(fhir), "{sent}");
        }
        assert!(!utc.assumed);
    }

    #[test]
    fn impossible_dates_are_refused() {
        for sent in [
            "",
            "0000",
            "20210230",
            "20211301",
            "2021010124",
            "202101012460",
            "20210101+1",
            "19800",
            "x",
            "20210101120000+1500",
        ] {
            assert_eq!(Stamp::parse(sent), None, "{sent}");
        }
    }

    #[test]
    fn a_missing_offset_follows_the_zone_and_is_remembered() {
        let mut london = zones("Europe/London");
        let summer = Stamp::parse("202107011200").map(|s| s.date_time(&mut london));
        assert_eq!(summer.as_deref(), Some("2021-07-01T12:00:00+01:00"));
        assert!(london.assumed);
        let mut message = Zones { message_offset: Some(-300), ..zones("Europe/London") };
        let winter = Stamp::parse("202101011200").map(|s| s.date_time(&mut message));
        assert_eq!(winter.as_deref(), Some("2021-01-01T12:00:00-05:00"));
        assert!(!message.assumed);
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time_of_day("1130").as_deref(), Some("11:30:00"));
        assert_eq!(time_of_day("11:30:05").as_deref(), Some("11:30:05"));
        assert_eq!(time_of_day("2460"), None);
    }

    #[test]
    fn durations_cross_midnight() {
        let mut utc = zones("UTC");
        let late = Stamp::parse("202012312330+0000").and_then(|s| s.plus_seconds(3600, &mut utc));
        assert_eq!(late.as_deref(), Some("2021-01-01T00:30:00+00:00"));
        assert!(!utc.assumed);
    }

    #[test]
    fn instants_move() {
        assert_eq!(
            plus_minutes("2024-03-11T23:50:00-04:00", 15).as_deref(),
            Some("2024-03-12T00:05:00-04:00")
        );
        assert_eq!(
            plus_minutes("2024-03-11T00:05:00+00:00", -15).as_deref(),
            Some("2024-03-10T23:50:00+00:00")
        );
        assert_eq!(plus_minutes("2024-03-11", 15), None);
    }

    #[test]
    fn durations_cross_a_change_of_clocks() {
        let mut york = zones("America/New_York");
        let mut moved =
            |sent: &str, seconds| Stamp::parse(sent).and_then(|s| s.plus_seconds(seconds, &mut york));
        // Clocks went from 02:00 to 03:00 on 10 March 2024, and from 02:00 to 01:00 on 3 November.
        assert_eq!(moved("202403100130", 3600).as_deref(), Some("2024-03-10T03:30:00-04:00"));
        assert_eq!(moved("202411030030", 7200).as_deref(), Some("2024-11-03T01:30:00-05:00"));
        assert_eq!(moved("202403100330", -3600).as_deref(), Some("2024-03-10T01:30:00-05:00"));
        // An offset that was sent stays.
        assert_eq!(moved("202403100130-0500", 3600).as_deref(), Some("2024-03-10T02:30:00-05:00"));
        assert_eq!(moved("20240310", 3600), None);
        assert!(york.assumed);
    }
}
