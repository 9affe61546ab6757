//! Dates, times and their arithmetic, with the precision they were given with (FHIRPath 2.0.0, 6.2 and 6.6).

use std::cmp::Ordering;
use std::fmt;

use jiff::{Span, civil};

use super::Stop;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TemporalKind {
    Date,
    DateTime,
    Time,
}

/// A date, a date and time, or a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Temporal {
    pub(crate) kind: TemporalKind,
    /// Year, month, day, hour, minute, second, nanosecond; what was not given is the least.
    fields: [i32; 7],
    /// The last field that was given.
    precision: usize,
    /// Digits of the fraction of a second.
    digits: usize,
    /// Minutes east of Greenwich.
    offset: Option<i32>,
}

const LEAST: [i32; 7] = [1, 1, 1, 0, 0, 0, 0];
const HOUR: usize = 3;
const MINUTE: usize = 4;
const SECOND: usize = 5;
const FRACTION: usize = 6;

impl Temporal {
    /// A date (`2014`, `2014-01`, `2014-01-25`) or, with a `T`, a date and time.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
        let mut temporal =
            Self { kind: TemporalKind::Date, fields: LEAST, precision: 0, digits: 0, offset: None };
        for (place, part) in date.split('-').enumerate() {
            let width = if place == 0 { 4 } else { 2 };
            *temporal.fields.get_mut(place).filter(|_| place < HOUR)? = number(part, width)?;
            temporal.precision = place;
        }
        if let Some(time) = time {
            temporal.kind = TemporalKind::DateTime;
            if !time.is_empty() {
                if temporal.precision != 2 {
                    return None;
                }
                temporal.clock(time, true)?;
            }
        }
        temporal.is_real().then_some(temporal)
    }

    /// A time of day: `14`, `14:30`, `14:30:00.000`.
    pub(crate) fn time(text: &str) -> Option<Self> {
        let mut temporal =
            Self { kind: TemporalKind::Time, fields: LEAST, precision: HOUR, digits: 0, offset: None };
        temporal.clock(text, false)?;
        temporal.is_real().then_some(temporal)
    }

    fn clock(&mut self, text: &str, zoned: bool) -> Option<()> {
        let zone = text.find(['Z', '+', '-']).filter(|_| zoned);
        let (clock, zone) = zone.map_or(Some((text, "")), |at| text.split_at_checked(at))?;
        self.offset = match zone.as_bytes() {
            [] => None,
            [b'Z'] => Some(0),
            [sign, ..] => {
                let (hours, minutes) = zone.get(1..)?.split_once(':')?;
                let minutes = number(hours, 2)? * 60 + number(minutes, 2)?;
                Some(if *sign == b'-' { -minutes } else { minutes })
            }
        };
        for (place, part) in clock.split(':').enumerate() {
            let field = HOUR + place;
            if field > SECOND {
                return None;
            }
            let (whole, fraction) = part.split_once('.').map_or((part, None), |(w, f)| (w, Some(f)));
            *self.fields.get_mut(field)? = number(whole, 2)?;
            self.precision = field;
            if let Some(fraction) = fraction {
                if field != SECOND || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                let nanoseconds: String = fraction.chars().chain("000000000".chars()).take(9).collect();
                *self.fields.get_mut(FRACTION)? = nanoseconds.parse().ok()?;
                self.precision = FRACTION;
                self.digits = fraction.len().min(9);
            }
        }
        Some(())
    }

    fn is_real(&self) -> bool {
        self.civil().is_some()
    }

    fn civil(&self) -> Option<civil::DateTime> {
        let [year, month, day, hour, minute, second, nanosecond] = self.fields;
        let narrow = |field: i32| i8::try_from(field).ok();
        // A leap second is a second like others here.
        civil::DateTime::new(
            i16::try_from(year).ok()?,
            narrow(month)?,
            narrow(day)?,
            narrow(hour)?,
            narrow(minute)?,
            narrow(second.min(59))?,
            nanosecond,
        )
        .ok()
    }

    fn with(mut self, civil: civil::DateTime) -> Self {
        self.fields = [
            i32::from(civil.year()),
            i32::from(civil.month()),
            i32::from(civil.day()),
            i32::from(civil.hour()),
            i32::from(civil.minute()),
            i32::from(civil.second()),
            civil.subsec_nanosecond(),
        ];
        if self.kind == TemporalKind::Time {
            let [year, month, day, ..] = &mut self.fields;
            (*year, *month, *day) = (1, 1, 1);
        }
        self
    }

    pub(crate) const fn as_date_time(mut self) -> Self {
        self.kind = TemporalKind::DateTime;
        self
    }

    pub(crate) fn as_date(mut self) -> Self {
        self.kind = TemporalKind::Date;
        self.precision = self.precision.min(2);
        self.offset = None;
        self
    }

    pub(crate) const fn as_time(mut self) -> Self {
        self.kind = TemporalKind::Time;
        self.offset = None;
        self
    }

    fn utc(self) -> Option<Self> {
        let offset = self.offset.filter(|_| self.precision >= MINUTE)?;
        let moved = self.civil()?.checked_sub(Span::new().minutes(offset)).ok()?;
        Some(Self { offset: Some(0), ..self.with(moved) })
    }

    /// Seconds and their fraction are one precision.
    const fn comparable_precision(&self) -> usize {
        if self.precision == SECOND { FRACTION } else { self.precision }
    }

    /// None where the precisions do not suffice to tell.
    pub(crate) fn compare(self, other: Self) -> Result<Option<Ordering>, Stop> {
        if (self.kind == TemporalKind::Time) != (other.kind == TemporalKind::Time) {
            return Err(Stop::Type);
        }
        let (mut left, mut right) = (self, other);
        if left.precision >= HOUR && right.precision >= HOUR {
            if left.offset.is_some() != right.offset.is_some() {
                return Ok(None);
            }
            left = left.utc().unwrap_or(left);
            right = right.utc().unwrap_or(right);
        }
        let (first, second) = (left.comparable_precision(), right.comparable_precision());
        let shared = first.min(second);
        let order = left.fields.iter().zip(&right.fields).take(shared + 1).map(|(l, r)| l.cmp(r));
        let order = order.fold(Ordering::Equal, Ordering::then);
        Ok((order != Ordering::Equal || first == second).then_some(order))
    }

    /// Adds a number of units; what is finer than the unit is cut off.
    pub(crate) fn add(self, amount: i64, unit: &str) -> Result<Self, Stop> {
        let span = Span::new();
        let span = match unit {
            "year" | "years" => span.try_years(amount),
            "month" | "months" => span.try_months(amount),
            "week" | "weeks" | "wk" => span.try_weeks(amount),
            "day" | "days" | "d" => span.try_days(amount),
            "hour" | "hours" | "h" => span.try_hours(amount),
            "minute" | "minutes" | "min" => span.try_minutes(amount),
            "second" | "seconds" | "s" => span.try_seconds(amount),
            "millisecond" | "milliseconds" | "ms" => span.try_milliseconds(amount),
            _ => return Err(Stop::Type),
        };
        let span = span.map_err(|_| Stop::Type)?;
        let civil = self.civil().ok_or(Stop::Type)?;
        if self.kind == TemporalKind::Time {
            let clock = civil.time().wrapping_add(span);
            return Ok(self.with(civil.date().to_datetime(clock)));
        }
        civil.checked_add(span).map(|moved| self.with(moved)).map_err(|_| Stop::Type)
    }
}

/// Digits of exactly that many.
fn number(text: &str, width: usize) -> Option<i32> {
    (text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

impl fmt::Display for Temporal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second, nanosecond] = self.fields;
        if self.kind != TemporalKind::Time {
            write!(f, "{year:04}")?;
            for part in [month, day].iter().take(self.precision.min(2)) {
                write!(f, "-{part:02}")?;
            }
            if self.kind == TemporalKind::DateTime && self.precision >= HOUR {
                f.write_str("T")?;
            }
        }
        if self.precision >= HOUR {
            write!(f, "{hour:02}")?;
        }
        for part in [minute, second].iter().take(self.precision.min(SECOND).saturating_sub(HOUR)) {
            write!(f, ":{part:02}")?;
        }
        if self.precision == FRACTION {
            let all = format!("{nanosecond:09}");
            write!(f, ".{}", all.get(..self.digits).unwrap_or(&all))?;
        }
        match self.offset {
            Some(0) => f.write_str("Z"),
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
            None => Ok(()),
        }
    }
}
