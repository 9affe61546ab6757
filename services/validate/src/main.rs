//! The `wardstream-validate` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wardstream_validate::NAME, wardstream_validate::run)
}
