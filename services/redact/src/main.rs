//! The `wardstream-redact` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wardstream_redact::NAME, wardstream_redact::run)
}
