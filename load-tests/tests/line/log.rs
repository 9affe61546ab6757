//! Every log line of the process, kept.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static CAPTURE: Once = Once::new();

/// Keeps every line from now on, at the finest level that an operator can ask for: everything of the product's
/// own, and libraries at `info`.
pub(crate) fn capture() {
    CAPTURE.call_once(|| {
        let finest = filter_fn(|metadata| {
            metadata.target().starts_with("wardstream") || *metadata.level() <= LevelFilter::INFO
        });
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Sink);
        tracing_subscriber::registry().with(layer.with_filter(finest)).init();
    });
}

/// Everything so far.
pub(crate) fn text() -> Vec<u8> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

struct Sink;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
