use std::io;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a drill could not be done. What the line does wrong is no error: it is in the verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment does not name a part.
    #[error("{0} is not set, so the line has no part to run on; deploy/local/setup.sh test fetches it")]
    Missing(&'static str),
    /// Something about files or processes.
    #[error("drill: {context}")]
    Io {
        /// What was being done.
        context: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A part that does not come up.
    #[error("drill: {part} cannot be used")]
    Part {
        /// Which.
        part: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Something did not happen while nothing else happened either.
    #[error("drill: waited in vain for {0}")]
    Stuck(String),
    /// A signal ended the drill.
    #[error("drill: interrupted")]
    Interrupted,
}

impl Error {
    pub(crate) fn io(context: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { context, source }
    }

    pub(crate) fn part(part: &'static str, source: impl Into<Cause>) -> Self {
        Self::Part { part, source: source.into() }
    }
}
