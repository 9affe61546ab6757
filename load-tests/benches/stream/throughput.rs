//! Records a second, and as a share of what the bare copy does.

use std::collections::BTreeMap;

use service::Failure;

use crate::Plan;
use crate::broker::{Parts, Progress};
use crate::child::Role;
use crate::input::Pool;
use crate::measure::Rate;
use crate::table::{Spread, Table, count, percent};

/// What runs, and the most records of a batch of the bare copy. A stage commits whatever is finished when a transaction
/// is due, up to `max_in_flight`; so the copy is measured with the bound at which a stage's transaction is due, and with
/// that.
const CONTENDERS: [(Role, usize, &str); 7] = [
    (Role::Produce, 500, "bare produce"),
    (Role::CopyBase, 500, "bare copy, 500 a transaction, `BaseProducer`"),
    (Role::CopyThreaded, 500, "bare copy, 500 a transaction, `ThreadedProducer`"),
    (Role::CopyBase, 2000, "bare copy, 2000 a transaction, `BaseProducer`"),
    (Role::CopyThreaded, 2000, "bare copy, 2000 a transaction, `ThreadedProducer`"),
    (Role::PassThrough, 500, "pass-through stage"),
    (Role::Ingest, 500, "`ingest`"),
];
/// Which of them are copies.
const COPIES: std::ops::Range<usize> = 1..5;

/// Topic that `ingest` writes.
pub(crate) const RECEIVED: &str = "fhir.received";

pub(crate) fn measure(parts: &mut Parts, plan: &Plan) -> Result<String, Failure> {
    let pool = Pool::results();
    let mut table = Table::new(
        "Records a second",
        &[
            "partitions",
            "contender",
            "records/s",
            "least–greatest",
            "of the copy",
            "processor µs a record",
            "broker µs a record",
        ],
    );
    for partitions in plan.partitions.iter().copied() {
        let input = parts.unique("hl7.input");
        parts.create(&input, partitions)?;
        pool.load(&parts.bootstrap(), &input, plan.backlog)?;
        let mut rates: BTreeMap<usize, Vec<Rate>> = BTreeMap::new();
        for repetition in 0..plan.repetitions {
            for (at, (role, batch, name)) in CONTENDERS.iter().enumerate() {
                let rate = contend(parts, plan, (*role, *batch), &input, partitions)?;
                println!("{partitions} partitions, run {}: {name} {:.0}/s", repetition + 1, rate.records);
                rates.entry(at).or_default().push(rate);
            }
        }
        parts.delete(&input)?;
        let spread = |at: usize, figure: fn(&Rate) -> f64| {
            let figures: Vec<f64> = rates.get(&at).into_iter().flatten().map(figure).collect();
            Spread::of(&figures).ok_or("no runs")
        };
        // The floor is the fastest of them.
        let mut floor = 0.0_f64;
        for copy in COPIES {
            floor = floor.max(spread(copy, |rate| rate.records)?.median);
        }
        for (at, (_, _, name)) in CONTENDERS.iter().enumerate() {
            let records = spread(at, |rate| rate.records)?;
            table.row(&[
                partitions.to_string(),
                (*name).to_owned(),
                count(records.median),
                format!("{}–{}", count(records.min), count(records.max)),
                percent(records.median / floor),
                format!("{:.1}", spread(at, |rate| rate.processor_us)?.median),
                format!("{:.1}", spread(at, |rate| rate.broker_us)?.median),
            ]);
        }
    }
    Ok(table.finish(&format!(
        "Laboratory results (ORU^R01) of {:.0} bytes on average; {} runs of {} s each in turns, medians; 100 % is the \
         fastest of the bare transactional copies.",
        pool.mean_bytes(),
        plan.repetitions,
        plan.window.as_secs_f64()
    )))
}

/// One contender on a group and an output topic of its own.
fn contend(
    parts: &mut Parts,
    plan: &Plan,
    (role, batch): (Role, usize),
    input: &str,
    partitions: i32,
) -> Result<Rate, Failure> {
    let output = if role == Role::Ingest { RECEIVED.to_owned() } else { parts.unique("output") };
    parts.create(&output, partitions)?;
    let mut options = parts.options(role, input, &output);
    options.batch_records = batch;
    let mut contender = [parts.spawn(&options, None)?];
    let progress: Box<dyn Progress> = if role == Role::Produce {
        Box::new(parts.written(&output, partitions)?)
    } else {
        Box::new(parts.committed(&options.group, input, partitions)?)
    };
    let end = if role == Role::Produce { u64::MAX } else { plan.backlog };
    let rate = parts.watch(&mut contender, &*progress, plan.window, end)?;
    let [contender] = contender;
    contender.stop()?;
    parts.delete(&output)?;
    Ok(rate)
}
