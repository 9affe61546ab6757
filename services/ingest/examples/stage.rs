//! Processor time of the stage for one message again and again, from the record read to the record to be written, with
//! the allocator and the Avro of the service; Kafka is not in it.
//!
//! `stage FILE [SECONDS]` prints one line: microseconds a message, messages a second, bytes of the record.

#![expect(clippy::print_stdout, reason = "a command-line example")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::EventId;
use stream::{Codec, Context, Fate, Incoming, RegistryConfig, Stage as _, Table};
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use wardstream_ingest::{Ingest, IngestConfig};

/// Processor time that this thread has had; the time since `start` where the system does not say.
fn busy(start: Instant) -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = schedule.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// The message with another control id, for one that was read before is a retransmission.
fn numbered(message: &[u8], number: i64) -> Vec<u8> {
    let mut fields = message.splitn(11, |byte| *byte == b'|');
    let mut out = fields.by_ref().take(9).collect::<Vec<_>>().join(&b'|');
    let rest = fields.nth(1).unwrap_or_default();
    out.extend_from_slice(format!("|{number:012}|").as_bytes());
    out.extend_from_slice(rest);
    out
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let bytes = std::fs::read(arguments.next().ok_or("usage: stage FILE [SECONDS]")?)?;
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}", listener.local_addr()?);
    runtime.spawn(schema_registry::serve(listener, contracts::subjects(), CancellationToken::new()));
    let codec = Codec::new(&RegistryConfig { url, ..RegistryConfig::default() }, runtime.handle().clone())?;
    let recent = Table::new("fhir.received", None, &stream::Config::default())?;
    let stage = Ingest::new(codec, &IngestConfig::default(), Some(recent), Metrics::new())?;
    let topic: Arc<str> = Arc::from("hl7.raw");
    let (start, mut offset, mut written) = (Instant::now(), 0, 0);
    let before = busy(start);
    while start.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..100 {
            offset += 1;
            let record = Incoming {
                topic: Arc::clone(&topic),
                partition: 0,
                offset,
                timestamp_ms: offset,
                key: None,
                value: Some(numbered(&bytes, offset)),
                headers: Vec::new(),
            };
            let event_id = EventId::at("hl7.raw", 0, offset);
            let context = Context { event_id, received_at_ms: offset, now_ms: offset, attempt: 0 };
            let Fate::Emit(outputs) = stage.process(&record, &context)? else {
                return Err("the message did not convert".into());
            };
            written = outputs.iter().filter_map(|output| output.value.as_ref()).map(Vec::len).sum();
        }
    }
    let time = (busy(start) - before).as_secs_f64();
    let count = u32::try_from(offset)?;
    println!("{:.1} {:.0} {written}", time * 1e6 / f64::from(count), f64::from(count) / time);
    Ok(())
}
