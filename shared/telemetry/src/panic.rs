//! Panics, logged without their message.

use std::panic::PanicHookInfo;
use std::thread;

/// Replaces the process's panic hook: the place and the thread are logged, the message is not, because it may
/// quote the text that was being worked on.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let thread = thread::current();
        let place = info.location().map(|location| format!("{}:{}", location.file(), location.line()));
        tracing::error!(
            code = "TEL-810",
            place = place.as_deref().unwrap_or("unknown"),
            thread = thread.name().unwrap_or("unnamed"),
            "a thread panicked; its message is withheld because it may quote clinical data"
        );
    }));
}
