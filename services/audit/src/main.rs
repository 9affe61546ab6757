//! The `wardstream-audit` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wardstream_audit::NAME, wardstream_audit::run)
}
