//! Processes that are measured, and what `/proc` says of them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use service::Failure;

/// Clock ticks of `/proc/PID/stat` a second (`USER_HZ`), which Linux fixes at 100 on every architecture it shows here.
const TICKS: f64 = 100.0;
/// A drain may take this long before the process counts as hung.
const STOP: Duration = Duration::from_secs(40);

/// A child that is measured. Killed by process id when dropped.
pub(crate) struct Measured {
    child: Child,
    log: PathBuf,
}

impl Measured {
    /// Starts a program with its output in `log`; on `core` alone, where one is given.
    pub(crate) fn start(program: &[String], log: &Path, core: Option<usize>) -> Result<Self, Failure> {
        let pinned = core.map(|core| ["taskset".to_owned(), "-c".to_owned(), core.to_string()]);
        let words: Vec<&String> = pinned.iter().flatten().chain(program).collect();
        let (name, arguments) = words.split_first().ok_or("no program to start")?;
        let output = File::create(log)?;
        let child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error once the process has ended: nobody asked it to.
    pub(crate) fn alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("a measured process ended with {status}: {}", self.tail()).into()),
        }
    }

    /// Closes its standard input, which asks it to drain, and waits for its end.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + STOP;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(format!("a measured process ended with {status}: {}", self.tail()).into());
                }
                None if Instant::now() > deadline => return Err("a measured process does not end".into()),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of a process so far, user and system, seconds.
pub(crate) fn processor_seconds(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; behind it utime and stime are the 12th and 13th field.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / TICKS)
}

/// Resident size and its greatest value so far, MiB.
pub(crate) fn resident_mib(pid: u32) -> io::Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    Ok((field("VmRSS:").unwrap_or(0.0) / 1024.0, field("VmHWM:").unwrap_or(0.0) / 1024.0))
}

/// The children of this process whose command line holds a word.
pub(crate) fn child_with(word: &str) -> Option<(u32, Vec<String>)> {
    let own = std::process::id().to_string();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.to_owned();
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<String> =
            line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        (parent == own && words.iter().any(|found| found == word)).then_some((pid, words))
    })
}
