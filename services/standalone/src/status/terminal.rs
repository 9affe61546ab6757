//! The terminal view: one line a stage, redrawn in place on a terminal, one summary line every few seconds elsewhere.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Health, Phase, Snapshot, StageSnapshot, StatusSource};

/// Width taken when the terminal does not tell.
const DEFAULT_WIDTH: usize = 100;
const REDRAW_EVERY: Duration = Duration::from_millis(500);
const SUMMARISE_EVERY: Duration = Duration::from_secs(5);

/// Draws to `out` until `shutdown`, and once more then: in place when `interactive`, else a plain line every 5 s.
///
/// # Errors
/// What `out` says when it cannot be written.
pub async fn run(
    mut out: impl Write,
    interactive: bool,
    source: Arc<dyn StatusSource>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let every = if interactive { REDRAW_EVERY } else { SUMMARISE_EVERY };
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut screen = Screen::default();
    let mut before: Option<Snapshot> = None;
    loop {
        let last = tokio::select! {
            () = shutdown.cancelled() => true,
            _ = tick.tick() => false,
        };
        let now = source.snapshot();
        if interactive {
            let (width, height) = terminal_size::terminal_size()
                .map_or((DEFAULT_WIDTH, usize::MAX), |(width, height)| (width.0.into(), height.0.into()));
            screen.draw(&mut out, &render(&now, before.as_ref(), width, true), height)?;
        } else {
            writeln!(out, "{}", summary(&now, before.as_ref()))?;
            out.flush()?;
        }
        if last {
            return Ok(());
        }
        // Rates are over a second at least: over less they jump.
        if before.as_ref().is_none_or(|before| now.taken_at_ms - before.taken_at_ms >= 1_000) {
            before = Some(now);
        }
    }
}

/// What is on the terminal.
#[derive(Debug, Default)]
struct Screen {
    lines: usize,
}

impl Screen {
    /// Replaces the lines drawn before by `frame`. Lines beyond the terminal's height are left out: the cursor
    /// cannot go back to what has scrolled away.
    fn draw(&mut self, out: &mut impl Write, frame: &str, height: usize) -> io::Result<()> {
        let mut text = String::with_capacity(frame.len() + 64);
        if self.lines > 0 {
            text.push_str(&format!("\x1b[{}A", self.lines));
        }
        self.lines = 0;
        for line in frame.lines().take(height.saturating_sub(1)) {
            text.push_str(line);
            text.push_str("\x1b[K\n");
            self.lines += 1;
        }
        text.push_str("\x1b[J");
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
    Accent,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[1;31m",
            Self::Accent => "\x1b[36m",
        }
    }
}

/// Pieces of one line, cut to the width before colours are added.
#[derive(Debug, Default)]
struct Line {
    pieces: Vec<(Ink, String)>,
}

impl Line {
    fn add(&mut self, ink: Ink, text: impl Into<String>) -> &mut Self {
        self.pieces.push((ink, text.into()));
        self
    }

    fn write(&self, out: &mut String, width: usize, colour: bool) {
        let mut room = width;
        for (ink, text) in &self.pieces {
            let cut: String = text.chars().take(room).collect();
            room -= cut.chars().count();
            if colour && *ink != Ink::Plain && !cut.is_empty() {
                out.push_str(ink.code());
                out.push_str(&cut);
                out.push_str("\x1b[0m");
            } else {
                out.push_str(&cut);
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
}

/// A column after the stage's name.
struct Column {
    title: &'static str,
    width: usize,
    /// The higher, the longer it stays when the terminal is narrow.
    rank: u8,
    value: fn(&StageSnapshot, f64) -> String,
    ink: fn(&StageSnapshot, f64) -> Ink,
}

const COLUMNS: [Column; 7] = [
    Column { title: "in", width: 11, rank: 4, value: |s, _| grouped(s.records_in), ink: |_, _| Ink::Plain },
    Column { title: "out", width: 11, rank: 2, value: |s, _| grouped(s.records_out), ink: |_, _| Ink::Plain },
    Column {
        title: "rate",
        width: 9,
        rank: 7,
        value: |_, rate| format!("{}/s", short(rate)),
        ink: |_, rate| if rate > 0.0 { Ink::Accent } else { Ink::Dim },
    },
    Column {
        title: "lag",
        width: 8,
        rank: 5,
        value: |s, _| s.lag.map_or("–".to_owned(), |lag| short(lag as f64)),
        ink: |_, _| Ink::Plain,
    },
    Column {
        title: "p50",
        width: 9,
        rank: 1,
        value: |s, _| s.latency.map_or("–".to_owned(), |latency| milliseconds(latency.p50_ms)),
        ink: |_, _| Ink::Plain,
    },
    Column {
        title: "p99",
        width: 9,
        rank: 3,
        value: |s, _| s.latency.map_or("–".to_owned(), |latency| milliseconds(latency.p99_ms)),
        ink: |_, _| Ink::Plain,
    },
    Column {
        title: "dead",
        width: 7,
        rank: 6,
        value: |s, _| short((s.dead_lettered + s.parked) as f64),
        ink: |s, _| if s.dead_lettered + s.parked > 0 { Ink::Warn } else { Ink::Dim },
    },
];

const NAME: usize = 13;

/// The frame: a heading, the totals, a line a stage, and what is waited for. No line is wider than `width`; narrow
/// terminals lose columns, the least telling first. `before` is an earlier snapshot to take rates from.
#[must_use]
pub fn render(now: &Snapshot, before: Option<&Snapshot>, width: usize, colour: bool) -> String {
    let mut out = String::with_capacity(2_048);
    let mut put = |line: &Line| line.write(&mut out, width, colour);
    let phase = phase(now.phase);
    let mut head = Line::default();
    head.add(Ink::Bold, "Wardstream").add(Ink::Plain, "  ");
    head.add(if now.phase == Phase::Running { Ink::Good } else { Ink::Warn }, phase);
    head.add(Ink::Dim, format!("  {}", elapsed(now.taken_at_ms - now.started_at_ms)));
    if let Some(latency) = now.end_to_end {
        let (p50, p99) = (milliseconds(latency.p50_ms), milliseconds(latency.p99_ms));
        head.add(Ink::Dim, format!("  feed to notification p50 {p50}, p99 {p99}"));
    }
    put(&head);

    let totals = now.totals;
    let mut line = Line::default();
    let mut total = |ink, name: &str, value: u64| {
        line.add(Ink::Dim, format!("{name} ")).add(ink, grouped(value)).add(Ink::Plain, "  ");
    };
    let fault = |value| match value {
        0 if totals.messages_in > 0 => Ink::Good,
        0 => Ink::Plain,
        _ => Ink::Bad,
    };
    total(fault(totals.lost), "lost", totals.lost);
    total(fault(totals.duplicated), "duplicated", totals.duplicated);
    total(Ink::Bold, "in", totals.messages_in);
    total(Ink::Bold, "notified", totals.notified);
    total(Ink::Plain, "dropped", totals.dropped);
    total(if totals.dead_lettered > 0 { Ink::Warn } else { Ink::Plain }, "dead", totals.dead_lettered);
    total(Ink::Plain, "in flight", totals.in_flight);
    put(&line);

    let columns = columns_for(width);
    let mut header = Line::default();
    header.add(Ink::Dim, format!("  {:<NAME$}", "stage"));
    for column in &columns {
        header.add(Ink::Dim, format!("{:>1$}", column.title, column.width));
    }
    put(&header);
    for stage in &now.stages {
        let (mark, ink) = mark(stage.health);
        let mut line = Line::default();
        line.add(ink, mark).add(Ink::Plain, " ").add(Ink::Bold, format!("{:<NAME$}", stage.name));
        let rate = rate(now, before, &stage.name);
        for column in &columns {
            line.add((column.ink)(stage, rate), format!("{:>1$}", (column.value)(stage, rate), column.width));
        }
        put(&line);
    }
    for dependency in now.dependencies.iter().filter(|dependency| dependency.health != Health::Up) {
        let (mark, ink) = mark(dependency.health);
        let mut line = Line::default();
        line.add(ink, format!("{mark} {}", dependency.name))
            .add(Ink::Dim, format!("  {}", dependency.detail));
        put(&line);
    }
    if let Some(note) = &now.note {
        put(Line::default().add(Ink::Warn, format!("… {note}")));
    }
    out
}

/// The same in one line of plain text, for logs and pipes.
#[must_use]
pub fn summary(now: &Snapshot, before: Option<&Snapshot>) -> String {
    let totals = now.totals;
    let stages: Vec<String> = now
        .stages
        .iter()
        .map(|stage| {
            let lag = stage.lag.map_or(String::new(), |lag| format!(" lag {lag}"));
            format!("{} {}/s{lag}", stage.name, short(rate(now, before, &stage.name)))
        })
        .collect();
    let mut line = format!(
        "{} {} in {} notified {} dropped {} dead {} in-flight {} lost {} duplicated {}",
        phase(now.phase),
        elapsed(now.taken_at_ms - now.started_at_ms),
        totals.messages_in,
        totals.notified,
        totals.dropped,
        totals.dead_lettered,
        totals.in_flight,
        totals.lost,
        totals.duplicated
    );
    if !stages.is_empty() {
        line.push_str(" | ");
        line.push_str(&stages.join(", "));
    }
    let waiting: Vec<&str> = now
        .dependencies
        .iter()
        .filter(|dependency| dependency.health != Health::Up)
        .map(|dependency| dependency.name.as_str())
        .collect();
    if !waiting.is_empty() {
        line.push_str(" | waiting for ");
        line.push_str(&waiting.join(", "));
    }
    line
}

fn columns_for(width: usize) -> Vec<&'static Column> {
    let room = width.saturating_sub(NAME + 2);
    let mut kept: Vec<&Column> = COLUMNS.iter().collect();
    while kept.iter().map(|column| column.width).sum::<usize>() > room {
        let Some(least) = kept.iter().map(|column| column.rank).min() else { break };
        kept.retain(|column| column.rank != least);
    }
    kept
}

fn rate(now: &Snapshot, before: Option<&Snapshot>, stage: &str) -> f64 {
    let count = |snapshot: &Snapshot| snapshot.stages.iter().find(|s| s.name == stage).map(|s| s.records_in);
    match (before, count(now), before.and_then(count)) {
        (Some(before), Some(after), Some(earlier)) if now.taken_at_ms > before.taken_at_ms => {
            after.saturating_sub(earlier) as f64 * 1_000.0 / (now.taken_at_ms - before.taken_at_ms) as f64
        }
        _ => 0.0,
    }
}

const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Draining => "draining",
        Phase::Finished => "finished",
    }
}

const fn mark(health: Health) -> (&'static str, Ink) {
    match health {
        Health::Up => ("●", Ink::Good),
        Health::Waiting => ("○", Ink::Warn),
        Health::Down => ("✗", Ink::Bad),
    }
}

fn elapsed(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn short(value: f64) -> String {
    match value {
        v if v < 9.95 && v.fract() > 0.0 => format!("{v:.1}"),
        v if v < 9_999.5 => format!("{v:.0}"),
        v if v < 999_500.0 => format!("{:.1}k", v / 1e3),
        v if v < 999.5e6 => format!("{:.1}M", v / 1e6),
        v => format!("{:.1}G", v / 1e9),
    }
}

fn milliseconds(ms: f64) -> String {
    match ms {
        v if v < 9.95 => format!("{v:.1} ms"),
        v if v < 999.5 => format!("{v:.0} ms"),
        v if v < 99_950.0 => format!("{:.1} s", v / 1e3),
        v => format!("{:.0} min", v / 6e4),
    }
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;
