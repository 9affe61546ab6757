//! How events were judged, who was told, and who looked at records.

use std::collections::BTreeMap;

use contracts::ACCESS_EVENTS;

use super::{chart, key};
use crate::commands;
use crate::document::{Block, Cell, Section, Table};
use crate::{Counts, Latencies};

/// Bounds of the times in the histogram of latencies: milliseconds, and how they are called.
const BOUNDS: [(i64, &str); 11] = [
    (100, "0.1 s"),
    (200, "0.2 s"),
    (500, "0.5 s"),
    (1_000, "1 s"),
    (2_000, "2 s"),
    (5_000, "5 s"),
    (10_000, "10 s"),
    (30_000, "30 s"),
    (60_000, "1 min"),
    (600_000, "10 min"),
    (3_600_000, "1 h"),
];

pub(super) fn judged(counts: &Counts) -> Section {
    let classified = ["triage.classified".to_owned()];
    let models = counts
        .models
        .iter()
        .map(|((model, version), number)| vec![key(model), key(version), Cell::number(*number)])
        .collect();
    let who = |abstained: bool| if abstained { "left to a person" } else { "decided" };
    let rows = counts
        .judged
        .iter()
        .map(|((urgency, abstained), number)| vec![key(urgency), key(who(*abstained)), Cell::number(*number)])
        .collect();
    let mut by_urgency: BTreeMap<&str, u64> = BTreeMap::new();
    for ((urgency, _), number) in &counts.judged {
        *by_urgency.entry(urgency).or_default() += number;
    }
    let bars: Vec<(String, u64)> =
        by_urgency.into_iter().map(|(urgency, number)| (urgency.to_owned(), number)).collect();
    let mut blocks = vec![
        Block::Text(
            "Which models judged the events, and how urgent they found them. A model that is not sure leaves the event to a person."
                .to_owned(),
        ),
        Block::Table(
            Table::new("Models in use", &["model", "version", "judgements"], models)
                .by(commands::grouped(&classified, r#".value | "\(.model_id) \(.model_version)""#)),
        ),
        Block::Table(Table::new("Judgements", &["urgency", "who decides", "events"], rows).by(
            commands::grouped(
                &classified,
                r#".value | .urgency.label + (if .abstained then " left to a person" else " decided" end)"#,
            ),
        )),
    ];
    chart(&mut blocks, 2, "Judgements by urgency", &bars);
    Section { id: "judgements", title: "How it was judged".to_owned(), blocks }
}

pub(super) fn notified(counts: &Counts) -> Section {
    let sent = ["notification.sent".to_owned()];
    let rows = counts
        .notified
        .iter()
        .map(|((urgency, channel), number)| vec![key(urgency), key(channel), Cell::number(*number)])
        .collect();
    let mut all = Latencies::default();
    counts.latencies.values().for_each(|latencies| all.extend(latencies));
    let percentiles = |name: &str, latencies: &Latencies| {
        let times = [50, 95, 99].map(|percent| latencies.percentile(percent));
        let times = times.into_iter().chain([latencies.max()]).map(|ms| Cell::Number(ms.unwrap_or(0)));
        [key(name), Cell::number(latencies.count())].into_iter().chain(times).collect::<Vec<_>>()
    };
    let mut latencies: Vec<Vec<Cell>> =
        counts.latencies.iter().map(|(urgency, latencies)| percentiles(urgency, latencies)).collect();
    if all.count() > 0 {
        latencies.push(percentiles("all", &all));
    }
    let program = r#"def p(q): .[(length * q / 100 | ceil) - 1]; [inputs.value] | (group_by(.urgency)[] | {n: .[0].urgency, of: .}), {n: "all", of: .} | select(.of | length > 0) | .n as $n | [.of[] | .sent_at - .received_at] | sort | "\($n) \(length) \(p(50)) \(p(95)) \(p(99)) \(.[-1])""#;
    let bounds = BOUNDS.map(|(ms, _)| ms);
    let names: Vec<String> = std::iter::once(format!("below {}", BOUNDS[0].1))
        .chain(BOUNDS.windows(2).map(|pair| format!("{} to {}", pair[0].1, pair[1].1)))
        .chain(BOUNDS.last().map(|(_, name)| format!("{name} and more")))
        .collect();
    let histogram: Vec<(String, u64)> = names.iter().cloned().zip(all.histogram(&bounds)).collect();
    let used = |histogram: &[(String, u64)]| {
        let first = histogram.iter().position(|(_, number)| *number > 0).unwrap_or(0);
        let last = histogram.iter().rposition(|(_, number)| *number > 0).map_or(0, |last| last + 1);
        histogram[first..last.max(first)].to_vec()
    };
    let spans = histogram.iter().filter(|(_, number)| *number > 0);
    let spans = spans.map(|(name, number)| vec![key(name), Cell::number(*number)]).collect();
    let steps: String = bounds
        .iter()
        .zip(&names)
        .map(|(bound, name)| format!(r#"if . < {bound} then "{name}" else "#))
        .collect();
    let name_of = format!(
        r#".value | .sent_at - .received_at | {steps}"{}"{}"#,
        names.last().map_or("", String::as_str),
        " end".repeat(bounds.len())
    );
    let rows_repeated = vec![vec![key("sent more than once"), Cell::number(counts.repeated.len() as u64)]];
    let repeated = format!(
        r#"log {} | jq -r '.value | "\(.notification_id) \(.event_id)"' | sort | uniq -d | wc -l | sed 's/^/sent more than once /'"#,
        commands::topics(&sent)
    );
    let mut blocks = vec![
        Block::Text(
            "Notifications that a channel's server accepted. The latency is the time from the feed's record in Kafka (received_at) to the \
             acceptance (sent_at); what was held for a digest, escalated or replayed counts from its first arrival too. Percentiles are exact, by nearest rank."
                .to_owned(),
        ),
        Block::Table(
            Table::new("Notifications", &["urgency", "channel", "notifications"], rows)
                .by(commands::grouped(&sent, r#".value | "\(.urgency) \(.channel)""#)),
        ),
        Block::Table(Table::new("Repetitions", &["what", "number"], rows_repeated).by(repeated)),
        Block::Table(
            Table::new(
                "Latency in milliseconds",
                &["urgency", "notifications", "p50", "p95", "p99", "max"],
                latencies,
            )
            .by(commands::reduced(&sent, program)),
        ),
        Block::Table(
            Table::new("Notifications by latency", &["latency", "notifications"], spans)
                .by(commands::grouped(&sent, &name_of)),
        ),
    ];
    chart(&mut blocks, 4, "Notifications by latency", &used(&histogram));
    blocks.extend(waited(counts));
    Section { id: "notifications", title: "Who was told, and how fast".to_owned(), blocks }
}

/// What was held, and what somebody had to acknowledge; nothing where the line does neither.
fn waited(counts: &Counts) -> Vec<Block> {
    let table = |caption: &str, columns: &[&'static str], rows: Vec<(&String, u64)>| {
        let rows = rows.into_iter().map(|(name, number)| vec![key(name), Cell::number(number)]).collect();
        Table::new(caption, columns, rows)
    };
    let mut blocks = Vec::new();
    if !counts.held.is_empty() {
        let rows = counts.held.iter().map(|(recipient, number)| (recipient, *number)).collect();
        blocks.push(Block::Table(
            table("Held for a digest or the end of quiet hours", &["recipient", "notifications"], rows)
                .by(commands::grouped(&["notification.held".to_owned()], ".value.recipient")),
        ));
    }
    if !counts.escalated.is_empty() {
        let rows = counts.escalated.iter().map(|(what, events)| (what, events.len() as u64)).collect();
        let its = |topic: &str| ["notification.open", "notification.acknowledged"].contains(&topic);
        let topics = counts.topics_or(its, "notification.open");
        blocks.push(Block::Text(
            "Events that somebody had to acknowledge, by the steps of their escalation: 0 is the recipients of the routes, 1 the first tier."
                .to_owned(),
        ));
        blocks.push(Block::Table(
            table("Escalation and acknowledgement", &["what", "events"], rows).by(commands::events(
                &topics,
                r#"select(.value) | .value | .event_id + " " + (if has("acknowledged_at") then "acknowledged, step \(.step)" elif .unanswered then "unanswered" else "told, step \(.step)" end)"#,
            )),
        ));
    }
    blocks
}

pub(super) fn accesses(counts: &Counts) -> Section {
    let rows = counts
        .accesses
        .iter()
        .map(|((operator, kind, purpose), number)| {
            vec![key(operator), key(kind), key(purpose), Cell::number(*number)]
        })
        .collect();
    let blocks = vec![
        Block::Text(
            "Who read records, had them unmasked or changed a hold, and why, as each said before the first record was read. Each is a FHIR \
             AuditEvent in access.events. That this report was made is there too, behind its period or in it."
                .to_owned(),
        ),
        Block::Table(
            Table::new("Accesses", &["person", "access", "purpose", "times"], rows).by(commands::grouped(
                &[ACCESS_EVENTS.to_owned()],
                r#".value | "\(.operator) \(.kind) \(.purpose)""#,
            )),
        ),
    ];
    Section { id: "accesses", title: "Who looked at it".to_owned(), blocks }
}
