//! Resident size of a consumer as records go by: it must not grow with them.

use std::time::{Duration, Instant};

use service::Failure;

use crate::Plan;
use crate::broker::{Parts, Progress};
use crate::child::Role;
use crate::input::Pool;
use crate::process::resident_mib;
use crate::table::{Table, count};
use crate::throughput::RECEIVED;

const PARTITIONS: i32 = 12;
const MARKS: [u64; 6] = [10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];
/// A consumer that makes no progress for so long is stuck.
const STUCK: Duration = Duration::from_secs(60);

pub(crate) fn measure(parts: &mut Parts, plan: &Plan) -> Result<String, Failure> {
    let pool = Pool::results();
    let input = parts.unique("hl7.input");
    parts.create(&input, PARTITIONS)?;
    pool.load(&parts.bootstrap(), &input, plan.memory_records)?;
    let mut marks: Vec<u64> = MARKS.iter().copied().filter(|mark| *mark < plan.memory_records).collect();
    marks.push(plan.memory_records);
    let mut table = Table::new(
        "Resident size, MiB",
        &["consumer", "records", "now", "greatest so far", "records/s since the line above"],
    );
    for (role, name) in [(Role::PassThrough, "pass-through"), (Role::Ingest, "`ingest`")] {
        let output = if role == Role::Ingest { RECEIVED.to_owned() } else { parts.unique("output") };
        parts.create(&output, PARTITIONS)?;
        let options = parts.options(role, &input, &output);
        let mut consumer = parts.spawn(&options, None)?;
        let progress = parts.committed(&options.group, &input, PARTITIONS)?;
        let (mut before, mut since) = (0, Instant::now());
        for mark in &marks {
            let mut records = progress.records()?;
            let mut moved = (records, Instant::now());
            while records < *mark {
                consumer.alive()?;
                std::thread::sleep(Duration::from_millis(50));
                records = progress.records()?;
                if records > moved.0 {
                    moved = (records, Instant::now());
                } else if moved.1.elapsed() > STUCK {
                    return Err(format!("{name} stopped at {records} records").into());
                }
            }
            let (now, greatest) = resident_mib(consumer.pid())?;
            let rate = (records - before) as f64 / since.elapsed().as_secs_f64();
            (before, since) = (records, Instant::now());
            table.row(&[
                name.to_owned(),
                count(*mark as f64),
                format!("{now:.0}"),
                format!("{greatest:.0}"),
                count(rate),
            ]);
        }
        consumer.stop()?;
        parts.delete(&output)?;
    }
    parts.delete(&input)?;
    Ok(table.finish(&format!(
        "{PARTITIONS} partitions, records of {:.0} bytes. `ingest` remembers the fingerprints of the last 200,000 \
         messages (`ingest.dedup_capacity`), so it grows until then.",
        pool.mean_bytes()
    )))
}
