//! The `wardstream-ingest` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wardstream_ingest::NAME, wardstream_ingest::run)
}
