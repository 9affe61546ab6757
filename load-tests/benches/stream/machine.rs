//! Where and when figures were taken.

use std::path::Path;
use std::process::Command;

/// Cores, processor, day and commit, in one line.
pub(crate) fn line() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        model.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1)).unwrap_or(" ?");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let today = jiff::Zoned::now().strftime("%Y-%m-%d");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root).output();
    let commit = commit
        .map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!("{cores} cores,{model}, {today}, commit {commit}")
}
