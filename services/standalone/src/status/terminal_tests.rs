use super::super::{Dependency, Latency, Totals};
use super::*;

fn snapshot(at: i64, count: u64) -> Snapshot {
    let stage = |name: &str, dead: u64| StageSnapshot {
        name: name.into(),
        health: Health::Up,
        records_in: count,
        records_out: count.saturating_sub(dead),
        dead_lettered: dead,
        lag: Some(12),
        latency: Some(Latency { p50_ms: 0.82, p99_ms: 1_240.0 }),
        ..StageSnapshot::default()
    };
    Snapshot {
        taken_at_ms: at,
        phase: Phase::Running,
        totals: Totals {
            messages_in: count,
            notified: 40,
            dropped: 900,
            dead_lettered: 12,
            in_flight: 3,
            ..Totals::default()
        },
        end_to_end: Some(Latency { p50_ms: 85.0, p99_ms: 260.4 }),
        stages: vec![stage("ingest", 12), stage("validate", 0)],
        ..Snapshot::default()
    }
}

#[test]
fn draws_a_line_a_stage() {
    let frame = render(&snapshot(64_000, 12_345), Some(&snapshot(62_000, 11_345)), 100, false);
    assert_eq!(
        frame.lines().collect::<Vec<_>>(),
        [
            "Wardstream  running  01:04  feed to notification p50 85 ms, p99 260 ms",
            "lost 0  duplicated 0  in 12,345  notified 40  dropped 900  dead 12  in flight 3",
            "  stage                 in        out     rate     lag      p50      p99   dead",
            "● ingest            12,345     12,333    500/s      12   0.8 ms    1.2 s     12",
            "● validate          12,345     12,345    500/s      12   0.8 ms    1.2 s      0",
        ]
    );
}

#[test]
fn narrow_terminals_lose_columns_and_no_line_is_too_wide() {
    let mut now = snapshot(64_000, u64::MAX);
    now.note = Some("waiting for the broker at 127.0.0.1:9092, which has not answered yet".into());
    now.dependencies.push(Dependency {
        name: "Kafka broker".into(),
        health: Health::Down,
        detail: "refused".into(),
    });
    for width in 0..140 {
        let frame = render(&now, None, width, false);
        assert!(frame.lines().all(|line| line.chars().count() <= width), "{width}");
        assert_eq!(frame.lines().count(), 7);
    }
    let header = |width| {
        render(&now, None, width, false)
            .lines()
            .nth(2)
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(header(80).as_deref(), Some("stage in out rate lag p50 p99 dead"));
    assert_eq!(header(60).as_deref(), Some("stage in rate lag p99 dead"));
    assert_eq!(header(40).as_deref(), Some("stage rate lag dead"));
    assert_eq!(header(20).as_deref(), Some("stage"));
}

#[test]
fn colour_adds_codes_only() {
    let (now, before) = (snapshot(9_000, 500), snapshot(8_000, 100));
    let mut plain = String::new();
    let mut code = false;
    for c in render(&now, Some(&before), 90, true).chars() {
        match c {
            '\x1b' => code = true,
            'm' if code => code = false,
            _ if code => {}
            c => plain.push(c),
        }
    }
    assert_eq!(plain, render(&now, Some(&before), 90, false));
    let mut fault = now.clone();
    fault.totals.lost = 2;
    assert!(render(&fault, None, 90, true).contains("\x1b[1;31m2\x1b[0m"));
}

#[test]
fn says_what_is_waited_for() {
    let mut now =
        Snapshot { note: Some("waiting for the broker at 127.0.0.1:9092".into()), ..Snapshot::default() };
    now.dependencies.push(Dependency {
        name: "Kafka broker".into(),
        detail: "not answering".into(),
        ..Default::default()
    });
    let frame = render(&now, None, 100, false);
    assert!(frame.contains("Wardstream  starting  00:00"));
    assert!(frame.contains("○ Kafka broker  not answering\n… waiting for the broker at 127.0.0.1:9092\n"));
    assert_eq!(
        summary(&now, None),
        "starting 00:00 in 0 notified 0 dropped 0 dead 0 in-flight 0 lost 0 duplicated 0 | waiting for Kafka broker"
    );
}

#[test]
fn one_plain_line_for_pipes() {
    assert_eq!(
        summary(&snapshot(3_724_000, 2_000), Some(&snapshot(3_719_000, 1_000))),
        "running 1:02:04 in 2000 notified 40 dropped 900 dead 12 in-flight 3 lost 0 duplicated 0 | \
         ingest 200/s lag 12, validate 200/s lag 12"
    );
}

#[test]
fn rates_are_never_of_a_clock_that_stands_or_a_counter_that_fell() {
    assert_eq!(rate(&snapshot(5, 100), Some(&snapshot(5, 50)), "ingest"), 0.0);
    assert_eq!(rate(&snapshot(2_000, 10), Some(&snapshot(1_000, 50)), "ingest"), 0.0);
    assert_eq!(rate(&snapshot(2_000, 60), Some(&snapshot(1_000, 50)), "nobody"), 0.0);
}

#[test]
fn redraws_in_place_within_the_height() {
    let mut screen = Screen::default();
    let mut out = Vec::new();
    screen.draw(&mut out, "a\nb\nc\n", 3).unwrap();
    screen.draw(&mut out, "d\n", 3).unwrap();
    screen.draw(&mut out, "e\nf\n", usize::MAX).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "a\x1b[K\nb\x1b[K\n\x1b[J\x1b[2Ad\x1b[K\n\x1b[J\x1b[1Ae\x1b[K\nf\x1b[K\n\x1b[J"
    );
}
