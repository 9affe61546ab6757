//! The running line, each service a process: processor time a message, and resident size.

use std::time::{Duration, Instant};

use service::Failure;
use wardstream_load_tests::drill::{Mail, encoder};
use wardstream_load_tests::{Config, Feed};

use rdkafka::producer::{BaseRecord, Producer};

use crate::Plan;
use crate::broker::{Committed, Parts, Written};
use crate::child::Role;
use crate::input;
use crate::process::{Measured, processor_seconds, resident_mib};
use crate::table::{Table, count};

const PARTITIONS: i32 = 3;
/// Each stage and the topic it reads; all topics are keyed by patient.
const STAGES: [(Role, &str); 6] = [
    (Role::Ingest, "hl7.raw"),
    (Role::Validate, "fhir.received"),
    (Role::Redact, "fhir.validated"),
    (Role::Classify, "fhir.deidentified"),
    (Role::Summarize, "triage.classified"),
    (Role::Notify, "triage.summarized"),
];
/// A line in which nothing is committed for so long is stuck.
const STUCK: Duration = Duration::from_secs(120);

struct Stage {
    role: Role,
    process: Measured,
    committed: Committed,
    input: Written,
    /// Processor time before the first message: loading, joining the group.
    idle_seconds: f64,
}

impl Stage {
    /// Whether everything that is in its topic is committed. A transaction ends with a control record, which nobody
    /// reads: the last committed offset may be one below the end.
    fn done(&self) -> Result<bool, Failure> {
        let (committed, ends) = (self.committed.offsets()?, self.input.ends()?);
        Ok(committed.iter().zip(&ends).all(|(committed, end)| committed + 1 >= *end))
    }
}

pub(crate) fn measure(parts: &mut Parts, plan: &Plan) -> Result<String, Failure> {
    if !encoder().is_dir() {
        return Ok("skipped: the encoder is not on this machine, so the line does not run\n".to_owned());
    }
    for topic in contracts::topics(PARTITIONS) {
        parts.create(&topic.name, topic.partitions)?;
    }
    let mail = Mail::start(parts.folder.path(), 1000, parts.runtime.handle())?;
    let notify::Smtp { port, ca_file, .. } = mail.smtp();
    let mut stages = Vec::new();
    for (role, topic) in STAGES {
        let mut options = parts.options(role, topic, "");
        if role == Role::Notify {
            options.smtp_port = Some(port);
            options.smtp_ca.clone_from(&ca_file);
        }
        stages.push(Stage {
            role,
            process: parts.spawn(&options, None)?,
            committed: parts.committed(&options.group, topic, PARTITIONS)?,
            input: parts.written(topic, PARTITIONS)?,
            idle_seconds: 0.0,
        });
    }
    // One message each tells that every stage has joined its group.
    let mut feed = Feed::new(Config { damage_rate: 0.0, ..Config::default() });
    let producer = input::feed(&parts.bootstrap())?;
    let mut publish = |count: u64| -> Result<(), Failure> {
        for message in feed.by_ref().take(count as usize) {
            input::send(&producer, BaseRecord::to("hl7.raw").key(&message.key[..]).payload(&message.bytes))?;
        }
        Ok(producer.flush(Duration::from_secs(30))?)
    };
    publish(30)?;
    settle(&mut stages)?;
    for stage in &mut stages {
        stage.idle_seconds = processor_seconds(stage.process.pid())?;
    }
    let broker = processor_seconds(parts.broker)?;
    let began = Instant::now();
    publish(plan.line_messages)?;
    settle(&mut stages)?;
    let took = began.elapsed().as_secs_f64();
    let messages = plan.line_messages as f64;
    let mut table = Table::new(
        "The running line",
        &["process", "processor ms a message", "resident MiB", "greatest MiB"],
    );
    let mut row = |name: String, pid: u32, before: f64| -> Result<(), Failure> {
        let (now, greatest) = resident_mib(pid)?;
        let ms = (processor_seconds(pid)? - before) * 1000.0 / messages;
        table.row(&[name, format!("{ms:.2}"), format!("{now:.0}"), format!("{greatest:.0}")]);
        Ok(())
    };
    for stage in &stages {
        row(format!("`{}`", stage.role.name()), stage.process.pid(), stage.idle_seconds)?;
    }
    row("Apache Kafka".to_owned(), parts.broker, broker)?;
    for stage in stages {
        stage.process.stop()?;
    }
    parts.runtime.block_on(mail.server.stop());
    Ok(table.finish(&format!(
        "{} messages of the usual mix through the line in {took:.1} s, {}/s, {PARTITIONS} partitions, each service a \
         process; mail over TLS to a server of the benchmark.",
        plan.line_messages,
        count(messages / took)
    )))
}

/// Waits until every stage has committed everything, from the first on: a stage that is done writes nothing any more.
fn settle(stages: &mut [Stage]) -> Result<(), Failure> {
    for at in 0..stages.len() {
        let mut moved = (Vec::new(), Instant::now());
        while !stages[at].done()? {
            for stage in stages.iter_mut() {
                stage.process.alive()?;
            }
            let offsets = stages[at].committed.offsets()?;
            if offsets != moved.0 {
                moved = (offsets, Instant::now());
            } else if moved.1.elapsed() > STUCK {
                return Err(format!("{} stands still", stages[at].role.name()).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}
