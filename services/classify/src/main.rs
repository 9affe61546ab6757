//! The `wardstream-classify` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(wardstream_classify::NAME, wardstream_classify::run)
}
