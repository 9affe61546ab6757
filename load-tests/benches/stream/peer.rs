//! A peer on one core, and `ingest` with `validate` on the same core, on the same input and broker.

use service::Failure;

use crate::Plan;
use crate::broker::{Parts, Progress};
use crate::child::Role;
use crate::input::Pool;
use crate::measure::Rate;
use crate::process::Measured;
use crate::table::{Spread, Table, count};
use crate::throughput::RECEIVED;

const PARTITIONS: i32 = 4;
/// The core of what is measured; the broker and the benchmark itself are on the others.
const CORE: usize = 0;
/// Records of a peer's transaction: its cost is far below that of the records, and progress is seen often.
const BATCH: usize = 50;
const VALIDATED: &str = "fhir.validated";

pub(crate) fn measure(parts: &mut Parts, plan: &Plan) -> Result<String, Failure> {
    if plan.peer.is_empty() {
        return Err("--peer names no program".into());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return Err("one core for the contenders and one for the broker are needed".into());
    }
    parts.keep_broker_off(CORE, cores)?;
    let pool = Pool::results();
    let input = parts.unique("hl7.input");
    parts.create(&input, PARTITIONS)?;
    pool.load(&parts.bootstrap(), &input, plan.backlog)?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for repetition in 0..plan.repetitions {
        theirs.push(peer(parts, plan, &input)?);
        ours.push(line(parts, plan, &input)?);
        println!(
            "run {}: peer {:.0}/s, ingest and validate {:.0}/s",
            repetition + 1,
            theirs[repetition].records,
            ours[repetition].records
        );
    }
    parts.delete(&input)?;
    let median = |rates: &[Rate], figure: fn(&Rate) -> f64| {
        let figures: Vec<f64> = rates.iter().map(figure).collect();
        Spread::of(&figures).map_or(0.0, |spread| spread.median)
    };
    let mut table = Table::new("One core", &["contender", "records/s", "processor µs a record"]);
    for (name, rates) in [("peer", &theirs), ("`ingest` and `validate`", &ours)] {
        table.row(&[
            name.to_owned(),
            count(median(rates, |rate| rate.records)),
            format!("{:.0}", median(rates, |rate| rate.processor_us)),
        ]);
    }
    let wall = median(&ours, |rate| rate.records) / median(&theirs, |rate| rate.records);
    let processor = median(&theirs, |rate| rate.processor_us) / median(&ours, |rate| rate.processor_us);
    Ok(table.finish(&format!(
        "Ratio of records a second on one core: {wall:.1}\n\nRatio of processor time a record: {processor:.1}"
    )))
}

/// A peer's arguments are those of every contender: broker, group, input and output.
fn peer(parts: &mut Parts, plan: &Plan, input: &str) -> Result<Rate, Failure> {
    let output = parts.unique("peer.output");
    let dead = parts.unique("peer.dead-letter");
    parts.create(&output, PARTITIONS)?;
    parts.create(&dead, PARTITIONS)?;
    let group = parts.unique("peer");
    let mut words = plan.peer.clone();
    let options = [
        ("bootstrap", parts.bootstrap()),
        ("group", group.clone()),
        ("input", input.to_owned()),
        ("output", output.clone()),
        ("dead-letters", dead.clone()),
        ("batch-records", BATCH.to_string()),
    ];
    words.extend(options.iter().map(|(name, value)| format!("--{name}={value}")));
    let name = parts.unique("peer.log");
    let log = parts.folder.path().join(name);
    let mut process = [Measured::start(&words, &log, Some(CORE))?];
    let progress = parts.committed(&group, input, PARTITIONS)?;
    // A batch of the peer takes seconds, and a window must hold some.
    let rate = parts.watch(&mut process, &progress, plan.window * 4, plan.backlog)?;
    let [process] = process;
    process.stop()?;
    let rejected = parts.written(&dead, PARTITIONS)?.ends()?.iter().sum::<i64>();
    if rejected > 0 {
        return Err(
            format!("the peer rejected valid messages: {rejected} offsets in its dead letters").into()
        );
    }
    parts.delete(&output)?;
    parts.delete(&dead)?;
    Ok(rate)
}

/// Both services on the one core; what counts is what `validate` has committed.
fn line(parts: &mut Parts, plan: &Plan, input: &str) -> Result<Rate, Failure> {
    parts.create(RECEIVED, PARTITIONS)?;
    parts.create(VALIDATED, PARTITIONS)?;
    let mut first = parts.options(Role::Ingest, input, RECEIVED);
    let mut second = parts.options(Role::Validate, RECEIVED, VALIDATED);
    (first.workers, second.workers) = (1, 1);
    let mut both = [parts.spawn(&first, Some(CORE))?, parts.spawn(&second, Some(CORE))?];
    let progress = parts.committed(&second.group, RECEIVED, PARTITIONS)?;
    let mut rate = parts.watch(&mut both, &progress, plan.window, u64::MAX)?;
    for process in both {
        process.stop()?;
    }
    // The offsets of the topic between the two count the control records of transactions as well.
    let records = parts.committed(&first.group, input, PARTITIONS)?.records()? as f64;
    let offsets = parts.written(RECEIVED, PARTITIONS)?.records()? as f64;
    rate.records *= records / offsets;
    rate.processor_us *= offsets / records;
    rate.broker_us *= offsets / records;
    parts.delete(RECEIVED)?;
    parts.delete(VALIDATED)?;
    Ok(rate)
}
