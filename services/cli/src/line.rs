use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use contracts::EventId;
use deid::Redactor;
use fhir::Validator;
use inference::{Budget, Document, Models};
use notify::{Composer, Decision, NotificationId, RoutingTable, TEMPLATE, Triage};
use serde_json::{Value, json};
use v2_to_fhir::{Conversion, Options};

use crate::convert::{self, Zone};
use crate::input;
use crate::models::Folder;
use crate::output::{Outcome, documents, usage};
use crate::redact;

/// What `line` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with one message or a batch each; `-` or none reads standard input.
    files: Vec<PathBuf>,
    /// Stop behind this stage.
    #[arg(long, value_name = "STAGE")]
    until: Option<Stage>,
    #[command(flatten)]
    models: Folder,
    #[command(flatten)]
    zone: Zone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Stage {
    Ingest,
    Validate,
    Redact,
    Classify,
    Summarize,
    Notify,
}

struct Line {
    until: Stage,
    options: Options,
    redactor: Option<Redactor>,
    models: Option<Models>,
    notify: Option<(RoutingTable, Composer)>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let line = match Line::new(args) {
        Ok(line) => line,
        Err(outcome) => return outcome,
    };
    let inputs = match input::read(&args.files) {
        Ok(inputs) => inputs,
        Err(outcome) => return outcome,
    };
    let mut outcome = Outcome::Good;
    let mut out = Vec::new();
    for input in &inputs {
        if !convert::holds_a_message(input) {
            outcome = Outcome::Rejected;
            continue;
        }
        for (number, message) in hl7v2::batch::messages(&input.bytes).enumerate() {
            let mut stages = serde_json::Map::new();
            let result = match message {
                Ok(bytes) => line.pass(&input.name, number, bytes, &mut stages),
                Err(error) => Err((Stage::Ingest, format!("{error}; {}", error.code.help()))),
            };
            let mut record = json!({ "file": input.name, "message": number + 1 });
            if let Err((stage, reason)) = result {
                outcome = Outcome::Rejected;
                stages.insert(name(stage), json!({ "fate": "dead-letter", "reason": reason }));
            }
            record["stages"] = Value::Object(stages);
            out.push(record);
        }
    }
    documents(&out);
    outcome
}

fn name(stage: Stage) -> String {
    format!("{stage:?}").to_lowercase()
}

type Stopped = (Stage, String);

impl Line {
    fn new(args: &Args) -> Result<Self, Outcome> {
        let until = args.until.unwrap_or(Stage::Notify);
        let config = notify::NotifyConfig::default();
        let notify = || {
            config
                .routing()
                .and_then(|routing| Ok((routing, config.composer()?)))
                .map_err(|error| usage(format_args!("[{}] {error}", error.code())))
        };
        Ok(Self {
            until,
            options: args.zone.options()?,
            redactor: (until >= Stage::Redact)
                .then(|| redact::redactor(true, Some(&args.models)))
                .transpose()?,
            models: (until >= Stage::Classify).then(|| args.models.load()).transpose()?,
            notify: (until >= Stage::Notify).then(notify).transpose()?,
        })
    }

    /// Takes one message along the line, as far as it is to go.
    fn pass(
        &self,
        file: &str,
        number: usize,
        bytes: &[u8],
        stages: &mut serde_json::Map<String, Value>,
    ) -> Result<(), Stopped> {
        let mut emit = |stage, value: Value| {
            let mut record = json!({ "fate": "emitted" });
            if let Value::Object(members) = value {
                members.into_iter().for_each(|(name, value)| record[name] = value);
            }
            stages.insert(name(stage), record);
            self.until == stage
        };
        let conversion = convert::convert(bytes, &self.options).map_err(|reason| (Stage::Ingest, reason))?;
        let Conversion { bundle, unmapped, message_type, facility, .. } = conversion;
        let unmapped: Vec<String> = unmapped.into_iter().map(|unmapped| unmapped.path).collect();
        if emit(
            Stage::Ingest,
            json!({ "message_type": message_type, "bundle": bundle, "unmapped": unmapped }),
        ) {
            return Ok(());
        }
        let outcome = Validator::r4().validate(bundle.to_string().as_bytes());
        if !outcome.is_valid() {
            return Err((Stage::Validate, outcome.to_operation_outcome().to_string()));
        }
        if emit(Stage::Validate, json!({ "outcome": outcome.to_operation_outcome() })) {
            return Ok(());
        }
        let Some(redactor) = &self.redactor else { return Ok(()) };
        let redacted = redact::bundle_of(redactor, &bundle).map_err(|reason| (Stage::Redact, reason))?;
        let counts: serde_json::Map<String, Value> =
            redacted.counts.iter().map(|(kind, count)| (kind.as_str().to_owned(), json!(count))).collect();
        let shown =
            json!({ "pseudonym": redacted.pseudonym, "bundle": redacted.bundle, "redactions": counts });
        if emit(Stage::Redact, shown) {
            return Ok(());
        }
        let Some(models) = &self.models else { return Ok(()) };
        let document = Document::from_bundle(&redacted.bundle);
        let failed = |stage| move |error: inference::Error| (stage, format!("{}: {error}", error.code()));
        let judged = models.classify(&document).map_err(failed(Stage::Classify))?;
        if emit(Stage::Classify, serde_json::to_value(&judged).unwrap_or_default()) {
            return Ok(());
        }
        let summary = models.summarize(&document, Budget::default()).map_err(failed(Stage::Summarize))?;
        if emit(Stage::Summarize, serde_json::to_value(&summary).unwrap_or_default()) {
            return Ok(());
        }
        let Some((routing, composer)) = &self.notify else { return Ok(()) };
        let event = EventId::at(file, 0, i64::try_from(number).unwrap_or(i64::MAX));
        let triage = Triage {
            event_id: event.to_string(),
            pseudonym: redacted.pseudonym.unwrap_or_default(),
            facility: redactor.pseudonym("facility", &facility).replacen("psn_", "fac_", 1),
            message_type,
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
        match routing.decide(&triage) {
            Decision::Drop(reason) => {
                stages.insert(name(Stage::Notify), json!({ "fate": "dropped", "reason": reason.as_str() }));
            }
            Decision::Notify(routes) => {
                let id = NotificationId::of(&event, TEMPLATE);
                let mail = composer
                    .compose(id, &triage, &routes, UNIX_EPOCH)
                    .map_err(|error| (Stage::Notify, error.to_string()))?;
                let to: Vec<String> = mail.to.iter().map(|recipient| recipient.name.clone()).collect();
                emit(Stage::Notify, json!({ "to": to, "subject": mail.subject, "text": mail.text }));
            }
        }
        Ok(())
    }
}
