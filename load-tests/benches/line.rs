//! The whole line measured: messages a second at saturation, and latency from feed to notification at half of it, on
//! the embedded broker and on Apache Kafka. `make bench` runs it; the last lines are the table of
//! `docs/performance.md`.

#![expect(clippy::print_stdout, reason = "it prints its table")]

#[path = "stream/machine.rs"]
mod machine;

use std::time::{Duration, Instant};

use local_kafka::LocalKafka;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use service::Failure;
use standalone::{Demo, Options, Summary};
use tokio_util::sync::CancellationToken;
use wardstream_load_tests::drill::encoder;

/// How long a call to the broker may take.
const CALL: Duration = Duration::from_secs(30);

/// What to measure.
#[derive(Debug, clap::Parser)]
struct Args {
    /// Messages of each run.
    #[arg(long, default_value_t = 600)]
    messages: u64,
    /// Messages of a run before, on Apache Kafka, that is not measured.
    #[arg(long, default_value_t = 1000)]
    warmup: u64,
    /// Seed of the synthetic hospital.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let args = <Args as clap::Parser>::parse();
    let mut rows = Vec::new();
    measure("embedded", None, &args, &mut rows)?;
    match LocalKafka::from_env_as_shipped()? {
        Some(kafka) => measure("Apache Kafka", Some(&kafka), &args, &mut rows)?,
        None => println!("skipped: {} is not set, so nothing is measured on Apache Kafka", local_kafka::LIBS),
    }
    println!("\n{} messages a run, seed {}, {}\n", args.messages, args.seed, machine::line());
    println!("| broker | run | messages/s | feed to notification p50 / p99 ms | lost | duplicated |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (broker, run, summary) in &rows {
        let (p50, p99) = summary.latency_ms.unwrap_or_default();
        println!(
            "| {broker} | {run} | {:.1} | {p50:.0} / {p99:.0} | {} | {} |",
            rate(summary),
            summary.lost,
            summary.duplicated
        );
    }
    println!(
        "\n| broker | run | stage | work on one record p50 / p99 ms | from the feed to here p50 / p99 ms |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (broker, run, summary) in &rows {
        for timing in &summary.timings {
            let ms = |pair: Option<(f64, f64)>| {
                pair.map_or_else(|| "–".to_owned(), |(p50, p99)| format!("{p50:.1} / {p99:.1}"))
            };
            println!(
                "| {broker} | {run} | {} | {} | {} |",
                timing.stage,
                ms(timing.process_ms),
                ms(timing.end_to_end_ms)
            );
        }
    }
    Ok(())
}

/// Two runs: as fast as the line takes them, then at half of that rate. An Apache Kafka has had a run before: a broker in
/// use is not one whose code was never compiled.
fn measure(
    broker: &str,
    kafka: Option<&LocalKafka>,
    args: &Args,
    rows: &mut Vec<(String, String, Summary)>,
) -> Result<(), Failure> {
    if let Some(kafka) = kafka {
        run(Some(kafka), args.seed, args.warmup, None)?;
        empty(kafka)?;
    }
    let saturated = run(kafka, args.seed, args.messages, None)?;
    let half = rate(&saturated) / 2.0;
    rows.push((broker.to_owned(), "saturated".to_owned(), saturated));
    // A run on the same topics would meet the records of the one before.
    kafka.map(empty).transpose()?;
    let at_half = run(kafka, args.seed, args.messages, Some(half))?;
    rows.push((broker.to_owned(), "half load".to_owned(), at_half));
    Ok(())
}

/// Deletes every topic of the line, and with it what groups have committed of it, and waits until all are gone.
fn empty(kafka: &LocalKafka) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap_servers()).create()?;
    let topics = || -> Result<Vec<String>, Failure> {
        let metadata = admin.inner().fetch_metadata(None, CALL)?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        Ok(names.filter(|name| !name.starts_with("__")).collect())
    };
    let all = topics()?;
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for deleted in runtime.block_on(admin.delete_topics(&all, &AdminOptions::new()))? {
        deleted.map_err(|(topic, code)| format!("{topic}: {code}"))?;
    }
    let deadline = Instant::now() + CALL;
    while !topics()?.is_empty() {
        if Instant::now() > deadline {
            return Err("topics were deleted and are still there".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn run(kafka: Option<&LocalKafka>, seed: u64, messages: u64, rate: Option<f64>) -> Result<Summary, Failure> {
    let folder = tempfile::tempdir()?;
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        mllp: None,
        data: folder.path().to_owned(),
        classifier: encoder().with_file_name("rampart"),
        encoder: encoder(),
        bootstrap_servers: kafka.map(LocalKafka::bootstrap_servers),
        partitions: 3,
        demo: Some(Demo { seed, rate, messages: Some(messages), exit: true }),
        interactive: false,
    };
    let summary =
        standalone::run(&options, &CancellationToken::new(), &mut ())?.ok_or("the run was cut short")?;
    println!("\n{summary}\n");
    Ok(summary)
}

fn rate(summary: &Summary) -> f64 {
    if summary.seconds > 0.0 { summary.messages as f64 / summary.seconds } else { 0.0 }
}
