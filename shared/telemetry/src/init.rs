//! The log and the trace exporter of a process.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::config::{Config, Format};
use crate::{Error, panic, trace};
use opentelemetry::global;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// Exporting must not hold up a drain for longer than this.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps the exporter alive. When the last guard of a process is dropped, spans not yet exported are sent, for
/// at most five seconds.
#[must_use = "spans are exported only while the guard lives"]
#[derive(Clone, Debug)]
pub struct Guard {
    shared: Arc<Shared>,
}

impl Guard {
    /// Sends the spans that wait to be exported.
    pub fn flush(&self) {
        if let Some(provider) = &self.shared.provider {
            let _ = provider.force_flush();
        }
    }
}

#[derive(Debug)]
struct Shared {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider {
            trace::uninstall();
            if provider.shutdown_with_timeout(EXPORT_TIMEOUT).is_err() {
                tracing::warn!(code = "TEL-811", "the last spans could not be exported");
            }
        }
    }
}

/// Services of one process share one log and one exporter.
static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
static LOGGING: AtomicBool = AtomicBool::new(false);

/// Starts the log (to standard error), the panic hook and, where `otlp_endpoint` is set, the export of spans.
///
/// While a guard from an earlier call lives, further calls share what that call started, and their configuration
/// is not looked at: several services may run in one process. `service` becomes `service.name` of the spans.
///
/// # Errors
/// [`Error::Filter`], [`Error::Ratio`], [`Error::Endpoint`], [`Error::Client`].
pub fn init(service: &'static str, config: &Config) -> Result<Guard, Error> {
    let mut slot = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = slot.upgrade() {
        return Ok(Guard { shared });
    }
    let (ratio, filter) = (config.ratio()?, config.log.filter()?);
    let provider = config.traces_url()?.map(|url| exporter(service, url, ratio)).transpose()?;
    // The subscriber of a process can be set only once; tests and embedders may have set theirs.
    if !LOGGING.swap(true, Ordering::SeqCst) {
        let _ = Registry::default().with(log_layer(filter, config.log.format, std::io::stderr)).try_init();
        panic::install();
    }
    global::set_text_map_propagator(TraceContextPropagator::new());
    if let Some(provider) = &provider {
        trace::install(provider);
    }
    let shared = Arc::new(Shared { provider });
    *slot = Arc::downgrade(&shared);
    Ok(Guard { shared })
}

/// The layer that writes log lines, with libraries kept at `info` and above.
fn log_layer<S, W>(
    filter: EnvFilter,
    format: Format,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: Write + 'static,
{
    let quiet_libraries = filter_fn(|metadata| {
        metadata.target().starts_with("wardstream") || *metadata.level() <= LevelFilter::INFO
    });
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_target(true);
    match format {
        Format::Json => layer.json().flatten_event(true).with_filter(filter.and(quiet_libraries)).boxed(),
        Format::Text => layer.with_ansi(false).with_filter(filter.and(quiet_libraries)).boxed(),
    }
}

fn exporter(service: &'static str, url: String, ratio: f64) -> Result<SdkTracerProvider, Error> {
    // A blocking client must not be built, nor dropped, on a thread of a tokio runtime.
    let client = std::thread::spawn(|| reqwest::blocking::Client::builder().timeout(EXPORT_TIMEOUT).build())
        .join()
        .map_err(|_| Error::Client("the thread that builds it panicked".into()))?
        .map_err(|error| Error::Client(error.into()))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(url)
        .with_timeout(EXPORT_TIMEOUT)
        .with_http_client(client)
        .build()
        .map_err(|_| Error::Endpoint)?;
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
        .with_resource(resource)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Log;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: Format, emit: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = log_layer(EnvFilter::new(filter), format, move || writer.clone());
        tracing::subscriber::with_default(Registry::default().with(layer), emit);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_is_one_object_with_its_fields() {
        let text = logged("info", Format::Json, || {
            tracing::info!(topic = "hl7.raw", partition = 3, "assigned");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "assigned");
        assert_eq!(line["topic"], "hl7.raw");
        assert_eq!(line["partition"].to_string(), "3");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn libraries_are_not_logged_below_info_whatever_the_filter_says() {
        let text = logged("trace", Format::Text, || {
            tracing::debug!(target: "hyper::proto", "body bytes");
            tracing::trace!(target: "lettre", "mail");
            tracing::info!(target: "hyper::proto", "connected");
            tracing::trace!(target: "wardstream_stream", "polled");
        });
        assert!(!text.contains("body bytes") && !text.contains("mail"), "{text}");
        assert!(text.contains("connected") && text.contains("polled"), "{text}");
    }

    #[test]
    fn a_bad_configuration_is_coded_and_told_before_anything_starts() {
        let level = |level: &str| Log { level: level.to_owned(), ..Log::default() };
        for (config, code, key) in [
            (
                Config { trace_sample_ratio: 1.5, ..Config::default() },
                "TEL-802",
                "telemetry.trace_sample_ratio",
            ),
            (Config { log: level("wardstream=loud"), ..Config::default() }, "TEL-801", "telemetry.log.level"),
            (Config { log: level("inof"), ..Config::default() }, "TEL-801", "telemetry.log.level"),
            (Config { log: level(""), ..Config::default() }, "TEL-801", "telemetry.log.level"),
            (at("ftp://collector"), "TEL-803", "telemetry.otlp_endpoint"),
            (at("http://user:hunter2@collector"), "TEL-803", "telemetry.otlp_endpoint"),
            (at("http://collector/?token=hunter2"), "TEL-803", "telemetry.otlp_endpoint"),
        ] {
            let error = init("t", &config).unwrap_err();
            assert_eq!(error.code(), code);
            let told =
                config.check().unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            assert!(told.contains(key), "{told}");
            assert!(!format!("{error} {error:?} {told}").contains("hunter2"));
        }
        assert!(Config::default().check().is_ok());
        let modules = Config { log: level("warn, wardstream_stream=debug"), ..Config::default() };
        assert!(modules.check().is_ok());
        assert_eq!(
            at("http://otel:4318/").traces_url().unwrap().as_deref(),
            Some("http://otel:4318/v1/traces")
        );
    }

    fn at(endpoint: &str) -> Config {
        Config { otlp_endpoint: Some(endpoint.parse().unwrap()), ..Config::default() }
    }
}
