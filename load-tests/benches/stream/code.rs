//! Processor time of each step of the line's code, on one thread, without Kafka.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use contracts::{EventId, FhirReceived};
use hl7v2::Message;
use inference::{Budget, Document, Models};
use notify::{Decision, NotificationId, NotifyConfig, TEMPLATE, Triage};
use rustix::time::{ClockId, clock_gettime};
use service::Failure;
use stream::Codec;
use wardstream_load_tests::drill::{Registry, deid, encoder};
use wardstream_load_tests::{Config, Feed};

use crate::table::{Table, count, quantile};

/// Messages of the usual mix, the first of which warm caches and are not counted.
const MESSAGES: usize = 1200;
const WARM_UP: usize = 200;
/// Of these the texts go through the encoder, which takes most of the time.
const ENCODED: usize = 200;

/// Times of one step, one a message.
struct Step {
    stage: &'static str,
    name: &'static str,
    micros: Vec<f64>,
}

struct Steps {
    steps: Vec<Step>,
    warm: bool,
}

impl Steps {
    fn time<T>(&mut self, stage: &'static str, name: &'static str, work: impl FnOnce() -> T) -> T {
        let before = clock_gettime(ClockId::ThreadCPUTime);
        let out = work();
        let took = clock_gettime(ClockId::ThreadCPUTime) - before;
        let at = self.steps.iter().position(|step| step.stage == stage && step.name == name);
        let at = at.unwrap_or_else(|| {
            self.steps.push(Step { stage, name, micros: Vec::new() });
            self.steps.len() - 1
        });
        if self.warm {
            self.steps[at].micros.push(took.tv_sec as f64 * 1e6 + took.tv_nsec as f64 / 1e3);
        }
        out
    }
}

pub(crate) fn measure() -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let registry = Registry::start(runtime.handle())?;
    let codec = Codec::new(&registry.config(), runtime.handle().clone())?;
    let folder = encoder().with_file_name("rampart");
    let redactor = deid().redactor(None, redact::Model { folder, ..Default::default() }.load()?)?;
    let notify = NotifyConfig::default();
    let (routing, composer) = (notify.routing()?, notify.composer()?);
    let encoder = encoder();
    let models = Path::new(&encoder).is_dir().then(|| Models::load(&encoder)).transpose()?;
    let mut steps = Steps { steps: Vec::new(), warm: false };
    let feed = Feed::new(Config { damage_rate: 0.0, ..Config::default() });
    for (number, message) in feed.take(MESSAGES).enumerate() {
        steps.warm = number >= WARM_UP;
        let bytes = &message.bytes;
        let parsed =
            steps.time("ingest", "parse HL7 v2", || Message::parse(bytes)).map_err(|_| "no message")?;
        let conversion = steps.time("ingest", "convert to FHIR, as JSON", || {
            v2_to_fhir::convert_to_text(&parsed, &v2_to_fhir::Options::default())
        })?;
        let event = EventId::at("hl7.raw", 0, number as i64);
        let received = FhirReceived {
            event_id: event.to_string(),
            facility: conversion.facility,
            message_type: conversion.message_type,
            received_at: 0,
            control_id: conversion.control_id,
            bundle: conversion.bundle,
            unmapped: conversion.unmapped.into_iter().map(|unmapped| unmapped.path).collect(),
        };
        let encoded = steps
            .time("ingest", "encode Avro", || codec.encode("fhir.received", &received))
            .map_err(|error| error.to_string())?;
        let decoded: FhirReceived = steps
            .time("validate", "decode Avro", || codec.decode(Some(&encoded)))
            .map_err(|error| error.to_string())?;
        let outcome =
            steps.time("validate", "validate", || fhir::Validator::r4().validate(decoded.bundle.as_bytes()));
        if !outcome.is_valid() {
            continue;
        }
        let bundle: serde_json::Value =
            steps.time("redact", "read JSON", || serde_json::from_str(&decoded.bundle))?;
        let Ok(redacted) = steps.time("redact", "redact", || redactor.redact_bundle(&bundle)) else {
            continue;
        };
        let text = steps.time("redact", "write JSON", || redacted.bundle.to_string());
        if number >= WARM_UP + ENCODED {
            continue;
        }
        let Some(models) = &models else { continue };
        let document = steps.time("classify", "read the document", || {
            serde_json::from_str(&text).map(|bundle| Document::from_bundle(&bundle))
        })?;
        let judged = steps.time("classify", "classify", || models.classify(&document))?;
        let summary =
            steps.time("summarize", "summarize", || models.summarize(&document, Budget::default()))?;
        let triage = Triage {
            event_id: event.to_string(),
            pseudonym: redacted.pseudonym.unwrap_or_default(),
            facility: decoded.facility,
            message_type: decoded.message_type,
            urgency: judged.urgency.label.as_str().to_owned(),
            urgency_p: judged.urgency.p,
            specialty: judged.specialty.label.as_str().to_owned(),
            document_type: judged.doc_type.label.as_str().to_owned(),
            abstained: judged.abstained,
            reasons: judged.reasons,
            sentences: summary.sentences.into_iter().map(|sentence| sentence.text).collect(),
            received_at_ms: 0,
            model_id: judged.model_id,
            model_version: judged.model_version,
        };
        if let Decision::Notify(routes) = routing.decide(&triage) {
            let id = NotificationId::of(&event, TEMPLATE);
            let date = UNIX_EPOCH + Duration::from_secs(1_741_010_400);
            steps.time("notify", "compose the mail", || composer.compose(id, &triage, &routes, date))?;
        }
    }
    let mut table = Table::new(
        "Processor time of the line's code, one thread",
        &["stage", "step", "messages", "mean µs", "p50 µs", "p99 µs", "messages/s a core"],
    );
    for step in &mut steps.steps {
        step.micros.sort_by(f64::total_cmp);
        let mean = step.micros.iter().sum::<f64>() / step.micros.len().max(1) as f64;
        let at = |share: f64| {
            quantile(&step.micros, share).map_or_else(|| "–".to_owned(), |us| format!("{us:.1}"))
        };
        table.row(&[
            step.stage.to_owned(),
            step.name.to_owned(),
            step.micros.len().to_string(),
            format!("{mean:.1}"),
            at(0.5),
            at(0.99),
            count(1e6 / mean),
        ]);
    }
    let note = if models.is_some() {
        ""
    } else {
        " The encoder is not on this machine, so the stages behind redact are not measured."
    };
    Ok(table.finish(&format!("The usual mix of the synthetic hospital.{note}")))
}
