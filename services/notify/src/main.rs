//! The `wardstream-notify` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wardstream_notify::NAME, wardstream_notify::run)
}
