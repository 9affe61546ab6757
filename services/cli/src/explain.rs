use crate::output::{Outcome, line, usage};

/// What `explain` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A code, for instance HL7-101; none lists all.
    code: Option<String>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    match &args.code {
        None => {
            for page in ::standalone::errors::all() {
                line(format_args!("{:<14} {}", page.code, page.title));
            }
            Outcome::Good
        }
        Some(code) => match ::standalone::errors::find(&code.to_ascii_uppercase()) {
            Some(page) => {
                line(::standalone::errors::markdown(&page).trim_end());
                Outcome::Good
            }
            None => usage(format_args!("no such code; `wardstream explain` lists them all")),
        },
    }
}
