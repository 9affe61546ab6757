//! `shared/stream` measured against what the broker itself gives, on one Apache Kafka, in one run:
//!
//! | section | what it measures |
//! | --- | --- |
//! | `throughput` | bare produce, bare transactional copy, a pass-through stage, `ingest`; as ratios to the copy |
//! | `latency` | produce to visible output at shares of saturation, for a few sizes and waits of a batch |
//! | `compression` | records a second, processor time and bytes on disk for each codec |
//! | `memory` | resident size of a consumer as records go by |
//! | `code` | processor time of each step of the line's pure code |
//! | `line` | processor time and resident size of each service of the running line |
//! | `peer` | a peer's records a second on one core beside `ingest` and `validate` (`make peers`) |
//!
//! `make bench-stream` runs all but the last. Whatever is measured runs in a process of its own, so that `/proc` tells
//! its memory and its processor time; it is this same program, started as `child`.

#![expect(clippy::print_stdout, reason = "it prints its tables")]

mod broker;
mod child;
mod code;
mod compression;
mod floor;
mod input;
mod latency;
mod line;
mod machine;
mod measure;
mod memory;
mod pass_through;
mod peer;
mod process;
mod table;
mod throughput;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};
use service::Failure;

use crate::broker::Parts;

#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Sub>,
    /// What to measure; all but `peer` by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    sections: Vec<Section>,
    /// How often each contender of `throughput` and `compression` runs, in turns with the others.
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// How long each run is measured, seconds.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Partitions of the topics of `throughput`.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 12])]
    partitions: Vec<i32>,
    /// Records that wait for each contender of `throughput`: enough that none comes to their end.
    #[arg(long, default_value_t = 400_000)]
    backlog: u64,
    /// Records that go through each consumer of `memory`.
    #[arg(long, default_value_t = 1_000_000)]
    memory_records: u64,
    /// Messages that go through the line of `line`.
    #[arg(long, default_value_t = 400)]
    line_messages: u64,
    /// Program of the peer and its arguments, before those that every peer gets; given once for each word.
    #[arg(long)]
    peer: Vec<String>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// What is measured, in a process of its own. Ends when its standard input does.
    #[command(hide = true)]
    Child(child::Options),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Section {
    Throughput,
    Latency,
    Compression,
    Memory,
    Code,
    Line,
    Peer,
}

/// What every section needs to know of the run.
struct Plan {
    repetitions: usize,
    window: Duration,
    partitions: Vec<i32>,
    backlog: u64,
    memory_records: u64,
    line_messages: u64,
    peer: Vec<String>,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    if let Some(Sub::Child(options)) = args.command {
        return child::run(options);
    }
    let sections: BTreeSet<Section> = if args.sections.is_empty() {
        Section::value_variants().iter().copied().filter(|section| *section != Section::Peer).collect()
    } else {
        args.sections.iter().copied().collect()
    };
    let plan = Plan {
        repetitions: args.repetitions.max(1),
        window: Duration::from_secs_f64(args.seconds.max(0.5)),
        partitions: args.partitions,
        backlog: args.backlog,
        memory_records: args.memory_records,
        line_messages: args.line_messages,
        peer: args.peer,
    };
    let started = Instant::now();
    let mut report = Vec::new();
    for section in sections {
        println!("# {section:?}");
        let text = match section {
            // The one section without a broker.
            Section::Code => code::measure()?,
            _ => {
                // A fresh broker each: no section inherits the files and caches of another.
                let Some(mut parts) = Parts::start()? else {
                    println!("skipped: {} is not set, so nothing is measured on Kafka", local_kafka::LIBS);
                    continue;
                };
                if section != Section::Line {
                    parts.create_aside()?;
                }
                match section {
                    Section::Throughput => throughput::measure(&mut parts, &plan)?,
                    Section::Latency => latency::measure(&mut parts, &plan)?,
                    Section::Compression => compression::measure(&mut parts, &plan)?,
                    Section::Memory => memory::measure(&mut parts, &plan)?,
                    Section::Line => line::measure(&mut parts, &plan)?,
                    Section::Peer => peer::measure(&mut parts, &plan)?,
                    Section::Code => String::new(),
                }
            }
        };
        println!("{text}");
        report.push(text);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let (machine, took, load) = (machine::line(), started.elapsed().as_secs(), load.join(" "));
    println!("\n{machine}, {took} s, load average at the end {load}\n");
    for text in report {
        println!("{text}");
    }
    Ok(())
}
