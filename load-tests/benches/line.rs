//! The whole line measured: messages a second at saturation, and latency from feed to notification at half of it, on
//! the embedded broker and on Apache Kafka. `make bench` runs it; the last lines are the table of
//! `docs/performance.md`.

#![expect(clippy::print_stdout, reason = "it prints its table")]

#[path = "stream/machine.rs"]
mod machine;

use local_kafka::LocalKafka;
use service::Failure;
use standalone::{Demo, Options, Summary};
use tokio_util::sync::CancellationToken;
use wardstream_load_tests::drill::encoder;

/// What to measure.
#[derive(Debug, clap::Parser)]
struct Args {
    /// Messages of each run.
    #[arg(long, default_value_t = 600)]
    messages: u64,
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

/// Two runs: as fast as the line takes them, then at half of that rate.
fn measure(
    broker: &str,
    kafka: Option<&LocalKafka>,
    args: &Args,
    rows: &mut Vec<(String, String, Summary)>,
) -> Result<(), Failure> {
    let saturated = run(kafka, args, None)?;
    let half = rate(&saturated) / 2.0;
    rows.push((broker.to_owned(), "saturated".to_owned(), saturated));
    // A second run on the same topics would meet the first one's records.
    let fresh = kafka.map(|_| LocalKafka::from_env_as_shipped()).transpose()?.flatten();
    let at_half = run(fresh.as_ref(), args, Some(half))?;
    rows.push((broker.to_owned(), "half load".to_owned(), at_half));
    Ok(())
}

fn run(kafka: Option<&LocalKafka>, args: &Args, rate: Option<f64>) -> Result<Summary, Failure> {
    let folder = tempfile::tempdir()?;
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        mllp: None,
        data: folder.path().to_owned(),
        classifier: encoder().with_file_name("rampart"),
        encoder: encoder(),
        bootstrap_servers: kafka.map(LocalKafka::bootstrap_servers),
        partitions: 3,
        demo: Some(Demo { seed: args.seed, rate, messages: Some(args.messages), exit: true }),
        interactive: false,
    };
    let summary = standalone::run(&options, &CancellationToken::new())?.ok_or("the run was cut short")?;
    println!("\n{summary}\n");
    Ok(summary)
}

fn rate(summary: &Summary) -> f64 {
    if summary.seconds > 0.0 { summary.messages as f64 / summary.seconds } else { 0.0 }
}
