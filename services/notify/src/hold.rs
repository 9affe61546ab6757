//! When a recipient is not told at once: quiet hours, the times of digests, and how often at most. Pure: the time comes in.

use std::collections::BTreeMap;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::Deserialize;

use crate::Error;

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HoldFile {
    /// IANA name; needed where a recipient is held.
    time_zone: Option<String>,
    /// `routine` when not set.
    urgencies: Option<Vec<String>>,
    recipients: BTreeMap<String, ScheduleFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ScheduleFile {
    digest: Vec<String>,
    quiet: Option<QuietFile>,
    every: Option<settings::Duration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuietFile {
    from: String,
    to: String,
}

/// Who is held, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    time_zone: TimeZone,
    urgencies: Vec<String>,
    schedules: BTreeMap<String, Schedule>,
}

/// A recipient's times, in the local time of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Schedule {
    digest: Vec<Time>,
    /// From and to; over midnight where to is before from.
    quiet: Option<(Time, Time)>,
    /// Between two messages at least, milliseconds; 0: no bound.
    every_ms: i64,
}

impl Hold {
    /// Checks what is written. `never`: urgencies that escalate, which nothing may hold back.
    pub(crate) fn parse(
        file: &HoldFile,
        urgencies: &[String],
        never: &[String],
        is_recipient: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>, Error> {
        if file.recipients.is_empty() {
            return Ok(None);
        }
        let refuse = |reason: String| Error::Hold { reason };
        let name = file.time_zone.as_deref().ok_or_else(|| refuse("`time_zone` is missing".to_owned()))?;
        let time_zone = TimeZone::get(name).map_err(|_| refuse(format!("{name:?} is no IANA time zone")))?;
        let held = file.urgencies.clone().unwrap_or_else(|| vec!["routine".to_owned()]);
        for urgency in &held {
            if urgency == "emergent" || never.contains(urgency) {
                return Err(refuse(format!("{urgency:?} is emergent or escalates, and is never held back")));
            }
            if !urgencies.contains(urgency) {
                let known = urgencies.join(", ");
                let place = "hold.urgencies".to_owned();
                return Err(Error::UnknownLabel { place, kind: "urgency", label: urgency.clone(), known });
            }
        }
        let mut schedules = BTreeMap::new();
        for (name, schedule) in &file.recipients {
            if !is_recipient(name) {
                let place = "[hold]".to_owned();
                return Err(Error::UnknownRecipient { place, name: name.clone() });
            }
            let time = |text: &str| {
                let parsed = Time::strptime("%H:%M", text).or_else(|_| Time::strptime("%H:%M:%S", text));
                parsed.map_err(|_| refuse(format!("recipient {name:?}: {text:?} is no time such as 07:30")))
            };
            let digest: Vec<Time> =
                schedule.digest.iter().map(|text| time(text)).collect::<Result<_, _>>()?;
            let quiet = match &schedule.quiet {
                Some(quiet) => Some((time(&quiet.from)?, time(&quiet.to)?)),
                None => None,
            };
            if quiet.is_some_and(|(from, to)| from == to) {
                return Err(refuse(format!("recipient {name:?}: quiet hours begin and end at one time")));
            }
            let every_ms =
                schedule.every.map_or(0, |every| i64::try_from(every.as_millis()).unwrap_or(i64::MAX));
            if digest.is_empty() && quiet.is_none() && every_ms == 0 {
                return Err(refuse(format!("recipient {name:?}: has none of `digest`, `quiet` and `every`")));
            }
            schedules.insert(name.clone(), Schedule { digest, quiet, every_ms });
        }
        Ok(Some(Self { time_zone, urgencies: held, schedules }))
    }

    /// When a recipient is told of an event of an urgency that came at a time, milliseconds since the epoch; none: at once.
    pub(crate) fn until(&self, recipient: &str, urgency: &str, at_ms: i64) -> Option<i64> {
        if !self.urgencies.iter().any(|held| held == urgency) {
            return None;
        }
        let at = Timestamp::from_millisecond(at_ms).ok()?.to_zoned(self.time_zone.clone());
        let schedule = self.schedules.get(recipient)?;
        match schedule.until(&at) {
            Some(due) => Some(due.timestamp().as_millisecond()),
            // Whether there is room for it now is known where all that goes to the recipient is known.
            None => (schedule.every_ms > 0).then_some(at_ms),
        }
    }

    /// When what is due at a time goes out to a recipient who was told last at another one (none: never).
    pub(crate) fn release(&self, recipient: &str, told_at: Option<i64>, due_at: i64) -> i64 {
        let Some(schedule) = self.schedules.get(recipient) else { return due_at };
        let earliest =
            told_at.map_or(due_at, |told_at| told_at.saturating_add(schedule.every_ms).max(due_at));
        if earliest == due_at {
            return due_at;
        }
        // It was moved, perhaps into quiet hours.
        let at = Timestamp::from_millisecond(earliest).map(|at| at.to_zoned(self.time_zone.clone()));
        let end = at.ok().and_then(|at| schedule.end_of_quiet(&at));
        end.map_or(earliest, |end| end.timestamp().as_millisecond())
    }
}

impl Schedule {
    fn until(&self, at: &Zoned) -> Option<Zoned> {
        let digest = self.digest.iter().filter_map(|time| next(at, *time)).min();
        let due = match digest {
            Some(due) => due,
            None => return self.end_of_quiet(at),
        };
        Some(self.end_of_quiet(&due).unwrap_or(due))
    }

    /// When the quiet hours end in which a time lies; none where it lies in none.
    fn end_of_quiet(&self, at: &Zoned) -> Option<Zoned> {
        let (from, to) = self.quiet?;
        let time = at.time();
        let inside = if from < to { time >= from && time < to } else { time >= from || time < to };
        if inside { next(at, to) } else { None }
    }
}

/// The next time of day after a moment. One that a change of the clocks leaves out comes as much later as they are put forward
/// (RFC 5545, section 3.3.5).
fn next(at: &Zoned, time: Time) -> Option<Zoned> {
    let mut date = at.date();
    // Today and tomorrow, and one more day for a clock that is put back over it.
    for _ in 0..3 {
        let zoned = date.to_datetime(time).to_zoned(at.time_zone().clone()).ok()?;
        if zoned > *at {
            return Some(zoned);
        }
        date = date.tomorrow().ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hold(text: &str) -> Result<Option<Hold>, String> {
        let file: HoldFile = toml::from_str(text).unwrap();
        let urgencies = crate::routing::URGENCIES.map(str::to_owned);
        let known = |name: &str| ["ward", "desk"].contains(&name);
        Hold::parse(&file, &urgencies, &["urgent".to_owned()], known).map_err(|error| error.to_string())
    }

    const BOTH: &str = r#"
        time_zone = "Europe/Copenhagen"
        [recipients.ward]
        quiet = { from = "22:00", to = "06:30" }
        [recipients.desk]
        digest = ["07:00", "15:00", "23:00"]
        quiet = { from = "22:30", to = "05:00" }
    "#;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn quiet_hours_end_and_digests_come_in_local_time() {
        let hold = hold(BOTH).unwrap().unwrap();
        let until = |name: &str, at: &str| {
            let due = hold.until(name, "routine", ms(at))?;
            Some(Timestamp::from_millisecond(due).unwrap().to_string())
        };
        let at = |text: &str| Some(text.to_owned());
        // Copenhagen is an hour ahead of UTC in winter and two in summer.
        assert_eq!(until("ward", "2026-01-10T20:59:59Z"), None);
        assert_eq!(until("ward", "2026-01-10T21:00:00Z"), at("2026-01-11T05:30:00Z"));
        assert_eq!(until("ward", "2026-01-11T05:29:59Z"), at("2026-01-11T05:30:00Z"));
        assert_eq!(until("ward", "2026-01-11T05:30:00Z"), None);
        assert_eq!(until("ward", "2026-07-10T20:00:00Z"), at("2026-07-11T04:30:00Z"));
        assert_eq!(until("desk", "2026-01-10T06:00:00Z"), at("2026-01-10T14:00:00Z"));
        assert_eq!(until("desk", "2026-01-10T14:00:00Z"), at("2026-01-11T04:00:00Z"), "23:00 is quiet");
        assert_eq!(until("nobody", "2026-01-10T23:00:00Z"), None);
        assert_eq!(hold.until("ward", "urgent", ms("2026-01-10T23:00:00Z")), None);
    }

    /// On 29 March 2026 there is no 02:30 in Copenhagen, and on 25 October there are two.
    #[test]
    fn a_change_of_the_clocks_loses_no_time() {
        let hold = hold("time_zone = \"Europe/Copenhagen\"\n[recipients.ward]\ndigest = [\"02:30\"]")
            .unwrap()
            .unwrap();
        let until = |at: &str| {
            Timestamp::from_millisecond(hold.until("ward", "routine", ms(at)).unwrap()).unwrap().to_string()
        };
        assert_eq!(until("2026-03-29T00:00:00Z"), "2026-03-29T01:30:00Z");
        assert_eq!(until("2026-10-25T00:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(until("2026-10-25T00:45:00Z"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn who_was_told_a_moment_ago_waits_and_not_into_quiet_hours() {
        let text = "time_zone = \"UTC\"\n[recipients.ward]\nevery = \"15m\"\nquiet = { from = \"22:00\", to = \"06:00\" }";
        let hold = hold(text).unwrap().unwrap();
        let at = |text: &str| ms(&format!("2026-01-10T{text}:00Z"));
        assert_eq!(hold.until("ward", "routine", at("12:00")), Some(at("12:00")), "it goes to the outbox");
        assert_eq!(hold.until("ward", "emergent", at("12:00")), None);
        let release = |told: Option<&str>, due: &str| hold.release("ward", told.map(at), at(due));
        assert_eq!(release(None, "12:00"), at("12:00"));
        assert_eq!(release(Some("11:00"), "12:00"), at("12:00"));
        assert_eq!(release(Some("11:50"), "12:00"), at("12:05"));
        assert_eq!(release(Some("21:50"), "21:55"), ms("2026-01-11T06:00:00Z"), "22:05 is quiet");
        assert_eq!(hold.release("nobody", Some(at("12:00")), at("12:00")), at("12:00"));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let refused = |old: &str, new: &str| {
            assert!(BOTH.contains(old));
            hold(&BOTH.replacen(old, new, 1)).unwrap_err()
        };
        assert!(refused("Europe/Copenhagen", "Europe/Nowhere").contains("IANA"));
        assert!(refused("time_zone = \"Europe/Copenhagen\"", "").contains("missing"));
        assert!(refused("06:30", "six").contains("no time"));
        assert!(refused("06:30", "22:00").contains("one time"));
        assert!(refused("recipients.ward", "recipients.nurse").contains("not defined"));
        assert!(refused("quiet = { from = \"22:00\", to = \"06:30\" }", "").contains("none of"));
        for urgency in ["emergent", "urgent"] {
            let text = format!("urgencies = [\"{urgency}\"]\n{BOTH}");
            assert!(hold(&text).unwrap_err().contains("never held back"), "{urgency}");
        }
        assert!(hold(&format!("urgencies = [\"stat\"]\n{BOTH}")).unwrap_err().contains("is no urgency"));
        assert!(hold("").unwrap().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Nothing is held for longer than a day and what the clocks are put back, and nothing is due in quiet hours.
        #[test]
        fn what_is_held_is_due_within_a_day_and_outside_quiet_hours(
            seconds in 1_750_000_000i64..1_850_000_000, from in 0i8..24, to in 0i8..24, digest in prop::option::of(0i8..24),
        ) {
            prop_assume!(from != to);
            let time = |hour: i8| Time::constant(hour, 0, 0, 0);
            let schedule = Schedule { digest: digest.map(time).into_iter().collect(), quiet: Some((time(from), time(to))), every_ms: 0 };
            let at = Timestamp::from_second(seconds).unwrap().in_tz("America/New_York").unwrap();
            if let Some(due) = schedule.until(&at) {
                let held = due.timestamp().as_second() - seconds;
                prop_assert!(held > 0 && held <= 50 * 3_600, "{held}");
                // The hour that the clocks leave out is named by the one behind it.
                let skipped = due.time().hour() == 3;
                prop_assert!(skipped || schedule.end_of_quiet(&due).is_none(), "{due}");
            } else {
                prop_assert!(digest.is_none() && schedule.end_of_quiet(&at).is_none());
            }
        }
    }
}
