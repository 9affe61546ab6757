//! Conditions of map rows.

use crate::rule::Source;

/// When a row applies: any of the alternatives, each of which is all of its tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Alternatives (`or`); none means always.
    pub(crate) alternatives: Vec<Vec<Test>>,
}

/// One test on one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) source: Source,
    pub(crate) check: Check,
}

/// What is asked of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// `PID-25`
    Valued,
    /// `!PID-25`
    NotValued,
    /// `OBX-2=ST,TX`
    In(Vec<String>),
    /// `OBX-2!=NA`: valued or not, but none of these.
    NotIn(Vec<String>),
    /// `PID-7>8`: longer than so many characters.
    Longer(usize),
    /// `OBX-5#1`: repeats more often than so many times.
    Repeats(usize),
    /// `!OBX-5#1`: does not.
    NotRepeats(usize),
}

impl Condition {
    /// Reads `A & B or C`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        let alternatives = text
            .split(" or ")
            .map(|all| all.split('&').map(|test| Test::parse(test.trim())).collect())
            .collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }
}

impl Condition {
    /// Whether it tests which value that source has.
    pub(crate) fn asks_for(&self, source: &Source) -> bool {
        let mut tests = self.alternatives.iter().flatten();
        tests.any(|test| {
            test.source.of == source.of
                && matches!(test.check, Check::In(_))
                && test.source.numbers().first() == source.numbers().first()
        })
    }
}

impl Test {
    fn parse(text: &str) -> Result<Self, String> {
        let list = |text: &str| text.split(',').map(|s| s.trim().to_owned()).collect();
        let count = |text: &str| text.parse().map_err(|_| format!("bad count in {text}"));
        let (source, check) = if let Some(rest) = text.strip_prefix('!') {
            match rest.split_once('#') {
                Some((source, times)) => (source, Check::NotRepeats(count(times)?)),
                None => (rest, Check::NotValued),
            }
        } else if let Some((source, times)) = text.split_once('#') {
            (source, Check::Repeats(count(times)?))
        } else if let Some((source, values)) = text.split_once("!=") {
            (source, Check::NotIn(list(values)))
        } else if let Some((source, values)) = text.split_once('=') {
            (source, Check::In(list(values)))
        } else if let Some((source, length)) = text.split_once('>') {
            (source, Check::Longer(length.parse().map_err(|_| format!("bad length in {text}"))?))
        } else {
            (text, Check::Valued)
        };
        Ok(Self { source: Source::parse(source.trim())?, check })
    }
}
