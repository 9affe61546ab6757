//! The `wardstream-summarize` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wardstream_summarize::NAME, wardstream_summarize::run)
}
