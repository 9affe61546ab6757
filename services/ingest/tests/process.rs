//! What the process does with its configuration.

#[path = "../../../shared/service/tests/process/mod.rs"]
mod process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wardstream-ingest");

#[test]
fn a_wrong_configuration_ends_it_before_it_opens_a_socket() {
    process::refuses_an_unknown_key(PROGRAM);
    process::refuses(PROGRAM, "WARDSTREAM_INGEST__DEFAULT_ZONE", "Mars/Olympus", "ingest.default_zone");
    process::refuses(PROGRAM, "WARDSTREAM_INGEST__MLLP__LISTEN", "everywhere", "ingest.mllp.listen");
    process::refuses(PROGRAM, "WARDSTREAM_INGEST__DEDUP_CAPACITY", "0", "ingest.dedup_capacity");
}

#[test]
fn print_config_masks_secrets() {
    process::masks(PROGRAM, &[]);
}
