//! date, dateTime, instant and time.

use std::cmp::Ordering;

use super::Violation;

const DATE: &str = "a date is expected, written as YYYY, YYYY-MM or YYYY-MM-DD";
const CALENDAR: &str = "this day is not in the calendar";
const DATE_TIME: &str = "a date and time is expected, written as YYYY-MM-DDThh:mm:ss with a time zone (Z or +hh:mm), \
                         or only YYYY, YYYY-MM or YYYY-MM-DD";
const ZONE: &str =
    "a time zone is missing or malformed: end the time with Z, or with the offset as +hh:mm or -hh:mm";
const SECONDS: &str = "seconds are missing: write the time as hh:mm:ss";
const INSTANT: &str =
    "a full date, a time with seconds and a time zone are expected, as 2024-05-01T10:30:00Z";
const TIME: &str = "a time is expected, written as hh:mm:ss from 00:00:00 to 23:59:59, without a time zone";

/// Reads digits and separators off the front of a text.
struct Cursor<'t>(&'t [u8]);

impl Cursor<'_> {
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let number = digits.iter().try_fold(0, |number: u32, digit| {
            digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
        })?;
        self.0 = rest;
        Some(number)
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
}

/// What was read of a date and time; the fraction is kept as nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moment {
    year: u32,
    month: Option<u32>,
    day: Option<u32>,
    /// Seconds since midnight, nanoseconds, and the offset from UTC in minutes.
    time: Option<(u32, u32, Option<i32>)>,
}

fn read_date(cursor: &mut Cursor<'_>) -> Result<Moment, &'static str> {
    let year = cursor.digits(4).filter(|&year| year > 0).ok_or(DATE)?;
    let mut moment = Moment { year, ..Moment::default() };
    if !cursor.take(b'-') {
        return Ok(moment);
    }
    let month = cursor.digits(2).ok_or(DATE)?;
    if !(1..=12).contains(&month) {
        return Err(CALENDAR);
    }
    moment.month = Some(month);
    if !cursor.take(b'-') {
        return Ok(moment);
    }
    let day = cursor.digits(2).ok_or(DATE)?;
    if day == 0 || day > days_in(year, month) {
        return Err(CALENDAR);
    }
    moment.day = Some(day);
    Ok(moment)
}

const fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Seconds since midnight and nanoseconds; second 60 is allowed for leap seconds.
fn read_time(cursor: &mut Cursor<'_>) -> Result<(u32, u32), &'static str> {
    let hour = cursor.digits(2).filter(|&hour| hour < 24).ok_or(TIME)?;
    if !cursor.take(b':') {
        return Err(TIME);
    }
    let minute = cursor.digits(2).filter(|&minute| minute < 60).ok_or(TIME)?;
    if !cursor.take(b':') {
        return Err(SECONDS);
    }
    let second = cursor.digits(2).filter(|&second| second <= 60).ok_or(TIME)?;
    let mut nanoseconds = 0;
    if cursor.take(b'.') {
        let mut scale = 100_000_000;
        let mut any = false;
        while let Some(digit) = cursor.digits(1) {
            nanoseconds += digit * scale;
            scale /= 10;
            any = true;
        }
        if !any {
            return Err(TIME);
        }
    }
    Ok((hour * 3600 + minute * 60 + second, nanoseconds))
}

/// The offset in minutes: Z, or from -14:00 to +14:00.
fn read_zone(cursor: &mut Cursor<'_>) -> Option<i32> {
    if cursor.take(b'Z') {
        return Some(0);
    }
    let sign = if cursor.take(b'+') {
        1
    } else if cursor.take(b'-') {
        -1
    } else {
        return None;
    };
    let hours = cursor.digits(2)?;
    if !cursor.take(b':') {
        return None;
    }
    let minutes = cursor.digits(2)?;
    let valid = minutes < 60 && (hours < 14 || (hours == 14 && minutes == 0));
    valid.then(|| i32::try_from(hours * 60 + minutes).ok().map(|offset| sign * offset)).flatten()
}

fn read_date_time(text: &str) -> Result<Moment, &'static str> {
    let mut cursor = Cursor(text.as_bytes());
    let mut moment =
        read_date(&mut cursor).map_err(|reason| if reason == DATE { DATE_TIME } else { reason })?;
    if cursor.0.is_empty() {
        return Ok(moment);
    }
    if moment.day.is_none() || !cursor.take(b'T') {
        return Err(DATE_TIME);
    }
    let (seconds, nanoseconds) =
        read_time(&mut cursor).map_err(|reason| if reason == TIME { DATE_TIME } else { reason })?;
    let offset = read_zone(&mut cursor).ok_or(ZONE)?;
    if !cursor.0.is_empty() {
        return Err(ZONE);
    }
    moment.time = Some((seconds, nanoseconds, Some(offset)));
    Ok(moment)
}

pub(super) fn date(value: &str) -> Result<(), Violation> {
    let mut cursor = Cursor(value.as_bytes());
    read_date(&mut cursor).map_err(Violation::value)?;
    if !cursor.0.is_empty() {
        let timed = cursor.0.first() == Some(&b'T');
        let message = if timed { "only a date is expected here, without a time: YYYY-MM-DD" } else { DATE };
        return Err(Violation::value(message));
    }
    Ok(())
}

pub(super) fn date_time(value: &str) -> Result<(), Violation> {
    read_date_time(value).map(|_| ()).map_err(Violation::value)
}

pub(super) fn instant(value: &str) -> Result<(), Violation> {
    match read_date_time(value) {
        Ok(moment) if moment.time.is_some() => Ok(()),
        Err(reason) if reason != DATE_TIME => Err(Violation::value(reason)),
        _ => Err(Violation::value(INSTANT)),
    }
}

pub(super) fn time(value: &str) -> Result<(), Violation> {
    let mut cursor = Cursor(value.as_bytes());
    read_time(&mut cursor).map_err(Violation::value)?;
    if cursor.0.is_empty() { Ok(()) } else { Err(Violation::value(TIME)) }
}

/// Compares two dates or times as FHIRPath does: None where the shared precision leaves it open, or where one is
/// malformed.
pub(crate) fn compare(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (read_date_time(left).ok()?, read_date_time(right).ok()?);
    if let (Some(a), Some(b)) = (utc_seconds(left), utc_seconds(right)) {
        return Some(a.cmp(&b));
    }
    for (a, b) in [(Some(left.year), Some(right.year)), (left.month, right.month), (left.day, right.day)] {
        match (a, b) {
            (Some(a), Some(b)) if a != b => return Some(a.cmp(&b)),
            (Some(_), Some(_)) => {}
            (None, None) => return Some(Ordering::Equal),
            _ => return None,
        }
    }
    // Same day, and at most one side has a time: that is undecided unless both have none.
    (left.time.is_none() && right.time.is_none()).then_some(Ordering::Equal)
}

/// Seconds since 0000-03-01 in UTC, with nanoseconds; None without a time.
fn utc_seconds(moment: Moment) -> Option<(i64, u32)> {
    let (seconds, nanoseconds, offset) = moment.time?;
    let (month, day) = (i64::from(moment.month?), i64::from(moment.day?));
    // Days by the proleptic Gregorian calendar, counting years from March so that leap days come last.
    let year = i64::from(moment.year) - i64::from(month < 3);
    let shifted = (month + 9) % 12;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (shifted * 153 + 2) / 5 + day - 1;
    Some((days * 86_400 + i64::from(seconds) - i64::from(offset?) * 60, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_in_the_calendar() {
        assert!(["2024", "2024-02", "2024-02-29", "2000-02-29"].iter().all(|value| date(value).is_ok()));
        let invalid = [
            "",
            "24",
            "0000",
            "2024-13",
            "2024-00",
            "2023-02-29",
            "1900-02-29",
            "2024-2-3",
            "20240203",
            "2024-04-31",
            "2024-01-01T00:00:00Z",
            "2024-01-",
            "2024/01/01",
        ];
        assert!(invalid.iter().all(|value| date(value).is_err()));
    }

    #[test]
    fn times_have_seconds_and_a_zone() {
        let valid = [
            "2024",
            "2024-05-01",
            "2024-05-01T10:30:00Z",
            "2024-05-01T10:30:00.123+02:00",
            "2016-12-31T23:59:60Z",
        ];
        assert!(valid.iter().all(|value| date_time(value).is_ok()));
        assert_eq!(date_time("2024-05-01T10:30:00").unwrap_err().message, ZONE);
        assert_eq!(date_time("2024-05-01T10:30Z").unwrap_err().message, SECONDS);
        assert_eq!(date_time("2024-05-01T10:30:00+0200").unwrap_err().message, ZONE);
        let invalid = [
            "2024-05-01 10:30:00Z",
            "2024-05T10:30:00Z",
            "2024-05-01T24:00:00Z",
            "2024-05-01T10:30:00+15:00",
            "2024-05-01T10:30:00.Z",
            "2024-05-01T10:30:00z",
            "2024-05-01T",
        ];
        assert!(invalid.iter().all(|value| date_time(value).is_err()));
        assert!(instant("2024-05-01T10:30:00Z").is_ok());
        assert!(["2024", "2024-05-01", "2024-05-01T10:30:00"].iter().all(|value| instant(value).is_err()));
        assert!(["10:30:00", "23:59:59.5"].iter().all(|value| time(value).is_ok()));
        assert!(["10:30", "24:00:00", "10:30:00Z", "1:30:00", ""].iter().all(|value| time(value).is_err()));
    }

    #[test]
    fn comparison_respects_zones_and_precision() {
        use Ordering::{Equal, Greater, Less};
        for (left, right, expected) in [
            ("2024-05-01", "2024-05-02", Some(Less)),
            ("2024-05", "2024-05-02", None),
            ("2024", "2025-01-01T00:00:00Z", Some(Less)),
            ("2024-05-01", "2024-05-01T10:00:00Z", None),
            ("2024-05-01T10:00:00+02:00", "2024-05-01T08:00:00Z", Some(Equal)),
            ("2024-05-01T10:00:00.5Z", "2024-05-01T10:00:00Z", Some(Greater)),
            ("2024-02-29T23:00:00-05:00", "2024-03-01T03:59:59Z", Some(Greater)),
            ("2024", "2024", Some(Equal)),
            ("x", "2024", None),
        ] {
            assert_eq!(compare(left, right), expected, "{left} {right}");
        }
    }
}
