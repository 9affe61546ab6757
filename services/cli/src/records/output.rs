//! Where records go, and how many.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use replay::{FileError, ParquetFile, View};
use serde_json::Value;
use worm_log::Record;

use super::by::By;
use crate::output::{Outcome, complain, line, table, usage};
use crate::position::Position;

/// Takes records as lines of JSON.
pub(super) struct Lines {
    to: Box<dyn Write>,
    /// The last record that an earlier run gave; everything up to it is left out.
    last: Option<Position>,
    /// Topics in their order.
    topics: Vec<String>,
}

impl Lines {
    pub(super) fn stdout() -> Self {
        Self { to: Box::new(io::stdout().lock()), last: None, topics: Vec::new() }
    }

    /// A file that is not there yet; or with `resume` one that an earlier run began.
    pub(super) fn file(path: &Path, resume: bool, topics: &[String]) -> Result<Self, Outcome> {
        let failed = |error: io::Error| usage(format_args!("{}: {error}", path.display()));
        // What is in it is as confidential as its topics.
        let mut open = OpenOptions::new();
        open.read(true).write(true).mode(0o600);
        let file =
            if resume { open.create(true) } else { open.create_new(true) }.open(path).map_err(failed)?;
        let (whole, last) = resume_at(&file).map_err(failed)?;
        if last.as_ref().is_some_and(|last| !topics.contains(&last.topic)) {
            return Err(usage(format_args!("{}: its last line is of none of the topics", path.display())));
        }
        file.set_len(whole).and_then(|()| (&file).seek(SeekFrom::Start(whole))).map_err(failed)?;
        Ok(Self { to: Box::new(BufWriter::new(file)), last, topics: topics.to_vec() })
    }

    /// The offset that a partition begins with; none where an earlier run is through with it.
    pub(super) fn begin(&self, topic: &str, partition: i32) -> Option<i64> {
        let Some(last) = &self.last else { return Some(0) };
        let order = |topic: &str| self.topics.iter().position(|known| known == topic);
        match (order(topic), partition).cmp(&(order(&last.topic), last.partition)) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(last.offset.saturating_add(1)),
            std::cmp::Ordering::Greater => Some(0),
        }
    }

    pub(super) fn give(&mut self, view: &View<'_>, masked: bool) -> Result<(), Outcome> {
        written(writeln!(self.to, "{}", view.to_json(masked)))
    }

    pub(super) fn flush(&mut self) -> Result<(), Outcome> {
        written(self.to.flush())
    }
}

/// Takes records as rows of a Parquet file.
pub(super) struct Rows(Option<ParquetFile<File>>);

impl Rows {
    /// A file that is not there yet.
    pub(super) fn file(path: &Path, topics: &[String]) -> Result<Self, Outcome> {
        let mut open = OpenOptions::new();
        open.write(true).create_new(true).mode(0o600);
        let file = open.open(path).map_err(|error| usage(format_args!("{}: {error}", path.display())))?;
        ParquetFile::new(file, topics).map(|file| Self(Some(file))).map_err(|error| unwritten(&error))
    }

    pub(super) fn give(&mut self, view: &View<'_>, masked: bool) -> Result<(), Outcome> {
        let file = self.0.as_mut();
        file.map_or(Ok(()), |file| file.give(view, masked)).map_err(|error| unwritten(&error))
    }

    /// Closes the file, after a failure too: what was given before can then be read.
    pub(super) fn finish(&mut self) -> Result<(), Outcome> {
        self.0.take().map_or(Ok(()), ParquetFile::finish).map_err(|error| unwritten(&error))
    }
}

fn unwritten(error: &FileError) -> Outcome {
    usage(service::chain(error))
}

fn written(result: io::Result<()>) -> Result<(), Outcome> {
    match result {
        // A reader that has gone away, such as `head`, has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|error| usage(format_args!("the records cannot be written: {error}"))),
    }
}

/// Where the last whole line of a file ends, and the place in it.
fn resume_at(file: &File) -> io::Result<(u64, Option<Position>)> {
    let mut reader = BufReader::new(file);
    let (mut whole, mut last) = (0, Vec::new());
    loop {
        let mut bytes = Vec::new();
        let read = reader.read_until(b'\n', &mut bytes)?;
        if read == 0 || bytes.last() != Some(&b'\n') {
            break;
        }
        whole += read as u64;
        last = bytes;
    }
    if last.is_empty() {
        return Ok((whole, None));
    }
    let place = || {
        let line: Value = serde_json::from_slice(&last).ok()?;
        Some(Position {
            topic: line.get("topic")?.as_str()?.to_owned(),
            partition: line.get("partition")?.as_i64()?.try_into().ok()?,
            offset: line.get("offset")?.as_i64()?,
        })
    };
    place().map(|place| (whole, Some(place))).ok_or_else(|| io::Error::other("its last line is no record"))
}

/// What was given of a partition.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    records: u64,
    bytes: u64,
    unproven: u64,
    first: i64,
    last: i64,
}

/// What was given.
#[derive(Debug, Default)]
pub(super) struct Tally {
    partitions: BTreeMap<(String, i32), Given>,
    by: Vec<By>,
    /// Records and bytes by what is asked for.
    marks: BTreeMap<Vec<String>, (u64, u64)>,
}

impl Tally {
    pub(super) fn new(by: &[By]) -> Self {
        Self { by: by.to_vec(), ..Self::default() }
    }

    pub(super) fn add(&mut self, record: &Record, proven: bool, by: Vec<String>) {
        let bytes =
            [&record.key, &record.value].into_iter().flatten().map(|bytes| bytes.len() as u64).sum::<u64>();
        if !self.by.is_empty() {
            let (records, sum) = self.marks.entry(by).or_default();
            *records += 1;
            *sum += bytes;
        }
        let given = self.partitions.entry((record.topic.clone(), record.partition)).or_default();
        if given.records == 0 {
            given.first = record.offset;
        }
        given.records += 1;
        given.bytes += bytes;
        given.unproven += u64::from(!proven);
        given.last = record.offset;
    }

    /// A dry run's table on standard output, and one line on standard error in any case.
    pub(super) fn print(&self, dry_run: bool) {
        if dry_run && !self.by.is_empty() {
            let header: Vec<&str> = self.by.iter().map(|by| by.name()).chain(["records", "bytes"]).collect();
            let rows: Vec<Vec<String>> = self
                .marks
                .iter()
                .map(|(marks, (records, bytes))| {
                    marks.iter().cloned().chain([records.to_string(), bytes.to_string()]).collect()
                })
                .collect();
            table(&header, &rows).iter().for_each(line);
        } else if dry_run {
            let rows: Vec<Vec<String>> = self
                .partitions
                .iter()
                .map(|((topic, partition), given)| {
                    let Given { records, bytes, unproven, first, last } = given;
                    vec![
                        topic.clone(),
                        partition.to_string(),
                        first.to_string(),
                        last.to_string(),
                        records.to_string(),
                        bytes.to_string(),
                        unproven.to_string(),
                    ]
                })
                .collect();
            let header = ["topic", "partition", "first", "last", "records", "bytes", "not proved"];
            table(&header, &rows).iter().for_each(line);
        }
        let sum = |of: fn(&Given) -> u64| self.partitions.values().map(of).sum::<u64>();
        complain(format_args!(
            "{}: records {}, bytes {}, not proved {}",
            if dry_run { "would replay" } else { "replayed" },
            sum(|given| given.records),
            sum(|given| given.bytes),
            sum(|given| given.unproven),
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sink(path: &Path) -> Result<Lines, Outcome> {
        Lines::file(path, true, &["b".to_owned(), "a".to_owned()])
    }

    #[test]
    fn a_file_goes_on_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let line = r#"{"topic":"b","partition":1,"offset":7}"#;
        fs::write(&path, format!("{line}\n{{\"topic\":\"b\",\"part")).unwrap();
        let sink = sink(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{line}\n"));
        let begins = [("b", 0, None), ("b", 1, Some(8)), ("b", 2, Some(0)), ("a", 0, Some(0))];
        for (topic, partition, first) in begins {
            assert_eq!(sink.begin(topic, partition), first, "{topic}/{partition}");
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        for text in ["a diary\nof", "{\"topic\":\"c\",\"partition\":1,\"offset\":7}\n{"] {
            fs::write(&path, text).unwrap();
            assert!(sink(&path).is_err(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert!(Lines::file(&path, false, &[]).is_err(), "a file that is there is not written over");
        fs::write(&path, "").unwrap();
        assert_eq!(sink(&path).unwrap().begin("a", 3), Some(0));
    }
}
