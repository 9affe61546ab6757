use std::collections::BTreeMap;
use std::path::PathBuf;

use hl7v2::Message;
use jiff::tz::TimeZone;
use v2_to_fhir::{Conversion, Options};

use crate::input::{self, Input};
use crate::output::{Outcome, complain, documents, usage};

/// What `convert` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with one message or a batch each; `-` or none reads standard input.
    files: Vec<PathBuf>,
    /// Also list on standard error what had a value and was not mapped.
    #[arg(long)]
    unmapped: bool,
    #[command(flatten)]
    zone: Zone,
}

/// The zone of timestamps that have none.
#[derive(Debug, clap::Args)]
pub(crate) struct Zone {
    /// IANA time zone of timestamps that have none.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
}

impl Zone {
    pub(crate) fn options(&self) -> Result<Options, Outcome> {
        match TimeZone::get(&self.zone) {
            Ok(default_zone) => Ok(Options { default_zone, facility_zones: BTreeMap::new() }),
            Err(_) => Err(usage(format_args!("{} is no IANA time zone", self.zone))),
        }
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let (options, inputs) = match args.zone.options().and_then(|zone| Ok((zone, input::read(&args.files)?))) {
        Ok(both) => both,
        Err(outcome) => return outcome,
    };
    let mut bundles = Vec::new();
    let outcome = each_message(&inputs, &options, |name, conversion| {
        if args.unmapped {
            for unmapped in &conversion.unmapped {
                complain(format_args!(
                    "{name}: {} (segment {} {}): {}",
                    unmapped.path,
                    unmapped.segment,
                    unmapped.occurrence,
                    serde_json::to_value(unmapped.reason).map_or_else(
                        |_| String::new(),
                        |reason| { reason.as_str().unwrap_or_default().replace('-', " ") }
                    )
                ));
            }
        }
        bundles.push(conversion.bundle);
    });
    documents(&bundles);
    outcome
}

/// Converts each message of the inputs; says on standard error what is rejected, and where.
pub(crate) fn each_message(
    inputs: &[Input],
    options: &Options,
    mut take: impl FnMut(&str, Conversion),
) -> Outcome {
    let mut outcome = Outcome::Good;
    for input in inputs {
        if !holds_a_message(input) {
            outcome = Outcome::Rejected;
            continue;
        }
        for (number, message) in hl7v2::batch::messages(&input.bytes).enumerate() {
            let name = format!("{}: message {}", input.name, number + 1);
            match message.map_err(describe).and_then(|bytes| convert(bytes, options)) {
                Ok(conversion) => take(&name, conversion),
                Err(reason) => {
                    complain(format_args!("{name}: {reason}"));
                    outcome = Outcome::Rejected;
                }
            }
        }
    }
    outcome
}

/// Whether there is anything to parse; says so where there is not, before a parser complains of the first line.
pub(crate) fn holds_a_message(input: &Input) -> bool {
    let found = input.bytes.windows(3).any(|window| window == b"MSH");
    if !found {
        complain(format_args!("{}: no HL7 v2 message: it holds no MSH segment", input.name));
    }
    found
}

/// One message as `ingest` converts it.
///
/// # Errors
/// Code, place and what to do.
pub(crate) fn convert(bytes: &[u8], options: &Options) -> Result<Conversion, String> {
    let message = Message::parse(bytes).map_err(describe)?;
    v2_to_fhir::convert(&message, options)
        .map_err(|error| format!("{}: {error}; {}", error.code(), error.help()))
}

fn describe(error: hl7v2::Error) -> String {
    format!("{error}; {}", error.code.help())
}
