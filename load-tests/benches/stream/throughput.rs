//! Records a second, and as a share of what the bare copy does.

use std::collections::BTreeMap;

use service::Failure;

use crate::broker::{Parts, Progress};
use crate::child::Role;
use crate::input::Pool;
use crate::measure::Rate;
use crate::table::{Spread, Table, count, percent};
use crate::Plan;

const CONTENDERS: [(Role, &str); 5] = [
    (Role::Produce, "bare produce"),
    (Role::CopyBase, "bare transactional copy, `BaseProducer`"),
    (Role::CopyThreaded, "bare transactional copy, `ThreadedProducer`"),
    (Role::PassThrough, "pass-through stage"),
    (Role::Ingest, "`ingest`"),
];

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
            for (at, (role, name)) in CONTENDERS.iter().enumerate() {
                let rate = contend(parts, plan, *role, &input, partitions)?;
                println!("{partitions} partitions, run {}: {name} {:.0}/s", repetition + 1, rate.records);
                rates.entry(at).or_default().push(rate);
            }
        }
        parts.delete(&input)?;
        let spread = |at: usize, figure: fn(&Rate) -> f64| {
            let figures: Vec<f64> = rates.get(&at).into_iter().flatten().map(figure).collect();
            Spread::of(&figures).ok_or("no runs")
        };
        // The floor is the faster of the two.
        let floor = spread(1, |rate| rate.records)?.median.max(spread(2, |rate| rate.records)?.median);
        for (at, (_, name)) in CONTENDERS.iter().enumerate() {
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
         faster of the two bare copies at the median.",
        pool.mean_bytes(),
        plan.repetitions,
        plan.window.as_secs_f64()
    )))
}

/// One contender on a group and an output topic of its own.
fn contend(
    parts: &mut Parts,
    plan: &Plan,
    role: Role,
    input: &str,
    partitions: i32,
) -> Result<Rate, Failure> {
    let output = if role == Role::Ingest { RECEIVED.to_owned() } else { parts.unique("output") };
    parts.create(&output, partitions)?;
    let options = parts.options(role, input, &output);
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
