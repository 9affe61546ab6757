//! What each codec costs and saves, on records that are copied and on FHIR.

use std::collections::BTreeMap;

use service::Failure;

use crate::Plan;
use crate::broker::{Parts, Progress};
use crate::child::Role;
use crate::input::Pool;
use crate::measure::Rate;
use crate::table::{Spread, Table, count};
use crate::throughput::RECEIVED;

const PARTITIONS: i32 = 4;
const CODECS: [&str; 3] = ["none", "lz4", "zstd"];

pub(crate) fn measure(parts: &mut Parts, plan: &Plan) -> Result<String, Failure> {
    let pool = Pool::results();
    let input = parts.unique("hl7.input");
    parts.create(&input, PARTITIONS)?;
    pool.load(&parts.bootstrap(), &input, plan.backlog)?;
    let mut runs: BTreeMap<(usize, usize), Vec<(Rate, f64)>> = BTreeMap::new();
    let roles = [(Role::PassThrough, "pass-through, HL7 v2"), (Role::Ingest, "`ingest`, FHIR")];
    for _ in 0..plan.repetitions {
        for (at, (role, _)) in roles.iter().enumerate() {
            for (codec, name) in CODECS.iter().enumerate() {
                let run = compress(parts, plan, *role, &input, name)?;
                runs.entry((at, codec)).or_default().push(run);
            }
        }
    }
    let mut table = Table::new(
        "Compression",
        &[
            "records",
            "codec",
            "records/s",
            "processor µs a record",
            "broker µs a record",
            "bytes a record on disk",
        ],
    );
    for ((at, codec), runs) in &runs {
        let median = |figure: fn(&(Rate, f64)) -> f64| {
            let figures: Vec<f64> = runs.iter().map(figure).collect();
            Spread::of(&figures).map_or(0.0, |spread| spread.median)
        };
        table.row(&[
            roles[*at].1.to_owned(),
            CODECS[*codec].to_owned(),
            count(median(|run| run.0.records)),
            format!("{:.1}", median(|run| run.0.processor_us)),
            format!("{:.1}", median(|run| run.0.broker_us)),
            count(median(|run| run.1)),
        ]);
    }
    Ok(table.finish(&format!(
        "{PARTITIONS} partitions; {} runs each in turns, medians. Bytes on disk are those of the topic's segments, \
         headers and control records included.",
        plan.repetitions
    )))
}

fn compress(
    parts: &mut Parts,
    plan: &Plan,
    role: Role,
    input: &str,
    codec: &str,
) -> Result<(Rate, f64), Failure> {
    let output = if role == Role::Ingest { RECEIVED.to_owned() } else { parts.unique("output") };
    parts.create(&output, PARTITIONS)?;
    let mut options = parts.options(role, input, &output);
    options.compression = codec.to_owned();
    let mut contender = [parts.spawn(&options, None)?];
    let progress = parts.committed(&options.group, input, PARTITIONS)?;
    let rate = parts.watch(&mut contender, &progress, plan.window, plan.backlog)?;
    let [contender] = contender;
    contender.stop()?;
    let bytes = parts.bytes_on_disk(&output, PARTITIONS)? as f64 / progress.records()? as f64;
    parts.delete(&output)?;
    Ok((rate, bytes))
}
