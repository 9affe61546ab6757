//! The end of a process.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// A token that SIGTERM or SIGINT cancels. A second signal ends the process at once, with status 128 plus the
/// signal's number, for an operator who will not wait for the drain.
///
/// Must be called within a tokio runtime.
///
/// # Errors
/// [`Error::Signal`] if the handlers cannot be installed.
pub fn shutdown_signal() -> Result<CancellationToken, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => ("SIGTERM", 15),
                _ = interrupt.recv() => ("SIGINT", 2),
            }
        };
        let (name, _) = next().await;
        tracing::info!(signal = name, "draining; a second signal ends the process at once");
        cancel.cancel();
        let (name, number) = next().await;
        tracing::warn!(signal = name, "second signal, ending without a drain");
        std::process::exit(128 + number);
    });
    Ok(token)
}
