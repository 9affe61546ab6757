//! A fate, ready to be written: the outputs, and the lineage that the runtime stamps on each. Pure.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use contracts::EventId;
use contracts::headers::{
    EVENT_ID, OUTPUT_INDEX, RECEIVED_AT, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIMESTAMP, SOURCE_TOPIC,
    TRACEPARENT,
};
use telemetry::Fate as Label;

use crate::Outgoing;

/// What became of an input.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) outputs: Vec<Outgoing>,
    /// None for a record that the guard has seen before: it has no outputs.
    pub(crate) stamp: Option<Stamp>,
    pub(crate) fate: Label,
    /// Error code or reason; empty for what was emitted.
    pub(crate) reason: String,
    pub(crate) finished: Instant,
}

impl Done {
    /// What becomes of a record that the guard has seen before: nothing.
    pub(crate) fn duplicate() -> Self {
        Self {
            outputs: Vec::new(),
            stamp: None,
            fate: Label::Dropped,
            reason: String::new(),
            finished: Instant::now(),
        }
    }

    /// Bytes of the outputs.
    pub(crate) fn size(&self) -> usize {
        self.outputs.iter().map(Outgoing::size).sum()
    }

    /// The outputs with their lineage.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = Output<'_>> {
        let stamp = self.stamp.iter();
        stamp.flat_map(|stamp| {
            (0..).zip(&self.outputs).map(move |(index, outgoing)| Output { outgoing, stamp, index })
        })
    }
}

/// What every output of one input says of it.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Of the input, milliseconds since the epoch.
    pub(crate) timestamp_ms: i64,
    pub(crate) event_id: EventId,
    pub(crate) received_at_ms: i64,
    pub(crate) traceparent: String,
}

/// One record to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output<'a> {
    pub(crate) outgoing: &'a Outgoing,
    pub(crate) stamp: &'a Stamp,
    /// 0-based place among the input's outputs.
    pub(crate) index: u32,
}

impl Output<'_> {
    /// How many headers there are.
    pub(crate) fn header_count(&self) -> usize {
        self.outgoing.headers.len() + 8
    }

    /// Gives every header to `add`, the stage's own first.
    pub(crate) fn headers(&self, mut add: impl FnMut(&str, &[u8])) {
        for (name, value) in &self.outgoing.headers {
            add(name, value);
        }
        let stamp = self.stamp;
        let mut text = String::with_capacity(40);
        let mut number = |name: &str, value: &dyn std::fmt::Display, add: &mut dyn FnMut(&str, &[u8])| {
            text.clear();
            // Writing to a String cannot fail.
            let _ = write!(text, "{value}");
            add(name, text.as_bytes());
        };
        add(SOURCE_TOPIC, stamp.topic.as_bytes());
        number(SOURCE_PARTITION, &stamp.partition, &mut add);
        number(SOURCE_OFFSET, &stamp.offset, &mut add);
        number(OUTPUT_INDEX, &self.index, &mut add);
        number(SOURCE_TIMESTAMP, &stamp.timestamp_ms, &mut add);
        number(EVENT_ID, &stamp.event_id, &mut add);
        number(RECEIVED_AT, &stamp.received_at_ms, &mut add);
        add(TRACEPARENT, stamp.traceparent.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_says_where_it_came_from_and_which_it_is() {
        let done = Done {
            outputs: vec![Outgoing::new("b", None, vec![1]), Outgoing::new("c", None, vec![2])],
            stamp: Some(Stamp {
                topic: "a".into(),
                partition: 3,
                offset: 17,
                timestamp_ms: 5,
                event_id: EventId::at("a", 3, 17),
                received_at_ms: 4,
                traceparent: "00-1-2-00".to_owned(),
            }),
            fate: Label::Emitted,
            reason: String::new(),
            finished: Instant::now(),
        };
        let headers: Vec<Vec<(String, String)>> = done
            .outputs()
            .map(|output| {
                let mut all = Vec::new();
                output.headers(|name, value| {
                    all.push((name.to_owned(), String::from_utf8(value.to_vec()).unwrap()));
                });
                assert_eq!(all.len(), output.header_count());
                all
            })
            .collect();
        let value =
            |at: usize, name: &str| headers[at].iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert_eq!((value(0, SOURCE_TOPIC), value(0, SOURCE_OFFSET)), ("a".to_owned(), "17".to_owned()));
        assert_eq!((value(0, OUTPUT_INDEX), value(1, OUTPUT_INDEX)), ("0".to_owned(), "1".to_owned()));
        assert_eq!(Done::duplicate().outputs().count(), 0);
    }
}
