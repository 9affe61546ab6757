//! One program, many processes: what it is started as decides what it is. All of them end with the drill.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

use crate::drill::{Error, service};

/// Names the process that this one must not outlive.
const PARENT: &str = "DRILL_PARENT";
/// First argument that makes this program a launcher: `under PID PROGRAM [ARGUMENT…]`.
const UNDER: &str = "under";
/// Exit status of a launcher that cannot start its program, as of `env`.
const CANNOT_START: u8 = 127;

/// Becomes the service or the launcher that this process was started as; none where it is a drill.
#[must_use]
pub fn become_other() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let name = arguments.next().map(PathBuf::from).unwrap_or_default();
    let name = name.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(service) = name.strip_prefix("wardstream-").and_then(service::find) {
        let parent = std::env::var(PARENT).ok()?;
        return Some(if end_with(&parent) { (service.main)() } else { ExitCode::from(CANNOT_START) });
    }
    if arguments.next()?.to_str() != Some(UNDER) {
        return None;
    }
    let parent = arguments.next()?;
    let program = arguments.next()?;
    if parent.to_str().is_some_and(end_with) {
        // Returns only when it failed.
        let _ = Command::new(program).args(arguments).exec();
    }
    Some(ExitCode::from(CANNOT_START))
}

/// Has the kernel kill this process when `parent` ends, however it ends; false when it has ended already.
fn end_with(parent: &str) -> bool {
    set_parent_process_death_signal(Some(Signal::KILL)).is_ok()
        && getppid().map(|id| id.as_raw_nonzero().get().to_string()).as_deref() == Some(parent)
}

/// The program and first arguments that start another program which ends with this process.
///
/// The kernel looks at the thread that starts the child: it has to live as long as the child is to live.
pub(crate) fn launcher() -> Result<Vec<OsString>, Error> {
    Ok(vec![program()?.into_os_string(), UNDER.into(), std::process::id().to_string().into()])
}

/// A service of this program as a process, with nothing of this environment.
pub(crate) fn service_command(name: &str, config: &Path) -> Result<Command, Error> {
    let mut command = Command::new(program()?);
    command
        .arg0(format!("wardstream-{name}"))
        .arg("--config")
        .arg(config)
        .env_clear()
        .env(PARENT, std::process::id().to_string());
    Ok(command)
}

fn program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(Error::io("own program"))
}

/// Sends a signal to a child.
pub(crate) fn signal(process_id: u32, signal: Signal) -> Result<(), Error> {
    match i32::try_from(process_id).ok().and_then(Pid::from_raw) {
        Some(id) => kill_process(id, signal).map_err(|error| Error::io("signal")(error.into())),
        None => Ok(()),
    }
}
