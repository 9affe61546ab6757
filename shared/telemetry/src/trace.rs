//! Spans along a record's way, and the `traceparent` header that joins them.
//!
//! The header is W3C Trace Context level 1. Ids travel with every record even where nothing is exported, so that
//! one service with an exporter still sees whole traces, and log lines can be joined by trace id.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

static TRACER: RwLock<Option<SdkTracer>> = RwLock::new(None);

pub(crate) fn install(provider: &SdkTracerProvider) {
    *TRACER.write().unwrap_or_else(PoisonError::into_inner) = Some(provider.tracer("wardstream"));
}

pub(crate) fn uninstall() {
    *TRACER.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The ids of a `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceParent {
    /// Reads `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context, section 3.2). A header of a later version is read
    /// by its first four fields, as section 4.3 demands. `None` for anything else; a broken header is to be
    /// treated as absent.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let header = header.as_bytes();
        let (fixed, rest) = header.split_at_checked(55)?;
        let [first, second] = [fixed.get(..2)?, fixed.get(3..35)?];
        let version = hex(first)?;
        let well_formed = [2, 35, 52].iter().all(|at| fixed.get(*at) == Some(&b'-'));
        // Version ff is forbidden, and version 00 ends after the flags.
        if !well_formed || version == 0xff || (version == 0 && !rest.is_empty()) {
            return None;
        }
        if !rest.is_empty() && rest.first() != Some(&b'-') {
            return None;
        }
        let trace = hex(second)?;
        let span = u64::try_from(hex(fixed.get(36..52)?)?).ok()?;
        let flags = hex(fixed.get(53..)?)?;
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// The trace id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// Lower-case hexadecimal only: the standard forbids upper case.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

/// Work on one record by one stage. Ends, and is exported, when it is dropped.
#[derive(Debug)]
pub struct Span {
    context: TraceParent,
    exported: Option<Box<opentelemetry_sdk::trace::Span>>,
}

/// Begins a span. `parent` is the record's `traceparent` header; where it is absent or broken a new trace begins.
///
/// Without an exporter this draws a span id and allocates nothing.
#[must_use]
pub fn start_span(name: &'static str, stage: &'static str, parent: Option<&str>) -> Span {
    let parent = parent.and_then(TraceParent::parse);
    let tracer = TRACER.read().unwrap_or_else(PoisonError::into_inner);
    let Some(tracer) = tracer.as_ref() else {
        return Span { context: child_of(parent), exported: None };
    };
    let within = parent.map_or_else(Context::new, |parent| {
        let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        let context = SpanContext::new(
            TraceId::from(parent.trace),
            SpanId::from(parent.span),
            flags,
            true,
            TraceState::NONE,
        );
        Context::new().with_remote_span_context(context)
    });
    let span = tracer
        .span_builder(name)
        .with_kind(SpanKind::Consumer)
        .with_attributes([
            KeyValue::new("wardstream.stage", stage),
            KeyValue::new("messaging.system", "kafka"),
        ])
        .start_with_context(tracer, &within);
    let context = span.span_context();
    let context = TraceParent {
        trace: u128::from_be_bytes(context.trace_id().to_bytes()),
        span: u64::from_be_bytes(context.span_id().to_bytes()),
        sampled: context.is_sampled(),
    };
    Span { context, exported: Some(Box::new(span)) }
}

/// A trace that begins where nothing is exported is not sampled: no stage has its first span to show.
fn child_of(parent: Option<TraceParent>) -> TraceParent {
    let (trace, sampled) = match parent {
        Some(parent) => (parent.trace, parent.sampled),
        None => (rand::random_range(1..=u128::MAX), false),
    };
    TraceParent { trace, span: rand::random_range(1..=u64::MAX), sampled }
}

impl Span {
    /// The header for records that this work gives rise to.
    #[must_use]
    pub fn traceparent(&self) -> String {
        self.context.to_string()
    }

    /// The trace id, 32 hexadecimal digits, for log lines.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.context.trace_id()
    }

    /// Records which record is worked on. Nothing else of a record may become an attribute.
    pub fn record_source(&mut self, topic: &str, partition: i32, offset: i64) {
        if let Some(span) = &mut self.exported {
            span.set_attributes([
                KeyValue::new("messaging.destination.name", topic.to_owned()),
                KeyValue::new("messaging.destination.partition.id", partition.to_string()),
                KeyValue::new("messaging.kafka.offset", offset),
            ]);
        }
    }

    /// Marks the work as failed, with the stable code of the error and nothing of its text.
    pub fn record_error(&mut self, code: &'static str) {
        if let Some(span) = &mut self.exported {
            span.set_attribute(KeyValue::new("error.type", code));
            span.set_status(Status::error(code));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_reads_and_writes_back() {
        let parent = TraceParent::parse(HEADER).unwrap();
        assert_eq!(parent.to_string(), HEADER);
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_broken_header_is_as_none() {
        for header in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_later_version_is_read_by_its_first_fields() {
        let later = HEADER.replacen("00", "cc", 1) + "-what-comes";
        assert_eq!(TraceParent::parse(&later), TraceParent::parse(HEADER));
    }

    #[test]
    fn without_an_exporter_the_trace_goes_on() {
        let span = start_span("process", "ingest", Some(HEADER));
        let next = TraceParent::parse(&span.traceparent()).unwrap();
        assert_eq!(next.trace_id(), span.trace_id());
        assert_eq!(next.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(span.traceparent(), HEADER);
        assert!(next.sampled);
    }

    #[test]
    fn without_a_parent_a_trace_begins() {
        let (one, two) =
            (start_span("process", "ingest", None), start_span("process", "ingest", Some("junk")));
        assert_ne!(one.trace_id(), two.trace_id());
        assert!(!TraceParent::parse(&one.traceparent()).unwrap().sampled);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_header_panics(header in "\\PC{0,80}") {
            let _ = TraceParent::parse(&header);
        }

        #[test]
        fn what_is_read_is_written(trace in 1u128.., span in 1u64.., sampled: bool) {
            let parent = TraceParent { trace, span, sampled };
            prop_assert_eq!(TraceParent::parse(&parent.to_string()), Some(parent));
        }
    }
}
