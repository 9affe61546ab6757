//! The status page and the terminal view over a simulated line, to work on them without running one.
//!
//! `cargo run -p wardstream-standalone --example status_page -- [PORT] [waiting]`

use std::collections::VecDeque;
use std::error::Error;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use notify::{Composer, ComposerConfig, Decision, NotificationId, RoutingTable, TEMPLATE, Triage};
use tokio_util::sync::CancellationToken;
use wardstream_standalone::status::{
    DeadLetterCount, DeadLetterView, Dependency, Health, Latency, NotificationView, Phase, Snapshot,
    StageSnapshot, StatusSource, Totals, Verification, WormSnapshot, serve, terminal,
};

const STAGES: [(&str, u64, f64); 6] = [
    ("ingest", 97, 1.4),
    ("validate", 12, 2.1),
    ("redact", 3, 6.8),
    ("classify", 0, 41.0),
    ("summarize", 0, 38.0),
    ("notify", 1, 12.0),
];

const DEAD: [(&str, &str, &str, &str, &str); 4] = [
    ("ingest", "HL7-102", "the MSH segment is cut off", "the MSH segment is cut off", "MSH-6 at byte 33"),
    (
        "ingest",
        "HL7-104",
        "MSH-9 (message type) is missing",
        "MSH-9 (message type) is missing",
        "MSH-9 at byte 53",
    ),
    (
        "validate",
        "FHIR-306",
        "a required element is missing",
        "required element is missing",
        "Bundle.entry[2].resource.status",
    ),
    (
        "redact",
        "DEID-401",
        "output still looks as if it held an identifier, and was withheld",
        "output still looks as if it held an identifier, and was withheld",
        "Observation.note[0].text",
    ),
];

struct Simulation {
    started_ms: i64,
    waiting: bool,
    random: Mutex<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: u64,
    last_ms: i64,
    notified: u64,
    notes: VecDeque<NotificationView>,
    dead: VecDeque<DeadLetterView>,
    dead_counts: [u64; 4],
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

impl Simulation {
    /// xorshift64*: the same picture at every start.
    fn random(&self, below: u64) -> u64 {
        let mut state = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    fn advance(&self, state: &mut State, composer: &Composer, table: &RoutingTable) {
        let now = now_ms();
        let elapsed = (now - state.last_ms).clamp(0, 2_000) as f64 / 1_000.0;
        let wave = 180.0 + 90.0 * ((now - self.started_ms) as f64 / 9_000.0).sin();
        let new = ((wave + self.random(40) as f64) * elapsed) as u64;
        state.last_ms = now;
        let mut told = 0;
        for message in state.messages..state.messages + new {
            match self.random(100) {
                0 => {
                    let kind = self.random(4) as usize;
                    let (stage, code, _, reason, location) = DEAD[kind];
                    state.dead_counts[kind] += 1;
                    state.dead.push_front(DeadLetterView {
                        at_ms: now,
                        stage: stage.into(),
                        code: code.into(),
                        reason: reason.into(),
                        location: Some(location.into()),
                        event_id: None,
                        source: format!("hl7.raw/{}/{}", message % 4, message / 4),
                    });
                    state.dead.truncate(100);
                }
                1..=9 => {
                    state.notified += 1;
                    // Composing hundreds a second would be for nobody to see.
                    if told < 2 {
                        told += 1;
                        if let Some(note) = self.note(message, now, composer, table) {
                            state.notes.push_front(note);
                            state.notes.truncate(200);
                        }
                    }
                }
                _ => {}
            }
        }
        state.messages += new;
    }

    fn note(
        &self,
        message: u64,
        now: i64,
        composer: &Composer,
        table: &RoutingTable,
    ) -> Option<NotificationView> {
        let (urgency, p, specialty, document, abstained, reason, sentences) = match self.random(8) {
            0 => (
                "emergent",
                0.99,
                "nephrology",
                "lab-result",
                false,
                "Critical value: potassium 6.9 mmol/L, above 6.2 (LOINC 2823-3).",
                "Potassium 6.9 mmol/L (3.5–5.1), critical high, up from 5.4 two days ago.|Creatinine 310 µmol/L (62–106), high.|Bicarbonate 14 mmol/L (22–29), low.",
            ),
            1 => (
                "emergent",
                0.93,
                "cardiology",
                "progress-note",
                false,
                "Text: ST elevation, ongoing chest pain.",
                "ST elevation in II, III and aVF with ongoing chest pain.|Troponin T 412 ng/L, rising.",
            ),
            2 | 3 => (
                "urgent",
                0.81,
                "pulmonology",
                "radiology-report",
                false,
                "Text: new nodule, biopsy recommended.",
                "New 14 mm spiculated nodule in the right upper lobe.|CT-guided biopsy or PET-CT is recommended.",
            ),
            4 => (
                "urgent",
                0.46,
                "general-medicine",
                "nursing-note",
                true,
                "No urgency reached its threshold (urgent 0.46, routine 0.41).",
                "Patient more drowsy since noon, eats little.",
            ),
            _ => (
                "routine",
                0.94,
                "orthopedics",
                "progress-note",
                false,
                "Text: planned follow-up.",
                "Six weeks after total knee replacement; wound healed, flexion 105°.",
            ),
        };
        let id = NotificationId::at("hl7.raw", 0, message as i64, TEMPLATE);
        let triage = Triage {
            event_id: NotificationId::at("hl7.raw", 0, message as i64, "event").to_string(),
            pseudonym: format!("p1_{:010X}", message.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24),
            facility: "NORTH".into(),
            message_type: "ORU^R01".into(),
            urgency: urgency.into(),
            urgency_p: p,
            specialty: specialty.into(),
            document_type: document.into(),
            abstained,
            reasons: vec![reason.into()],
            sentences: sentences.split('|').map(str::to_owned).collect(),
            received_at_ms: now - 140,
            model_id: "wardstream-triage".into(),
            model_version: "1.0.0".into(),
        };
        let Decision::Notify(routes) = table.decide(&triage) else { return None };
        let mail = composer.compose(id, &triage, &routes, SystemTime::now()).ok()?;
        Some(NotificationView {
            id: id.to_string(),
            event_id: triage.event_id,
            sent_at_ms: now,
            latency_ms: Some(90 + self.random(120)),
            urgency: urgency.into(),
            triage: routes.triage,
            specialty: specialty.into(),
            from: "Wardstream <wardstream@hospital.example>".into(),
            to: mail.to.iter().map(|recipient| recipient.address.to_string()).collect(),
            subject: mail.subject,
            message_id: mail.message_id,
            html: mail.html,
            text: mail.text,
        })
    }
}

struct Source {
    simulation: Simulation,
    composer: Composer,
    table: RoutingTable,
}

impl StatusSource for Source {
    fn snapshot(&self) -> Snapshot {
        let sim = &self.simulation;
        let taken_at_ms = now_ms();
        let broker =
            |health, detail: &str| Dependency { name: "Kafka broker".into(), health, detail: detail.into() };
        if sim.waiting {
            return Snapshot {
                taken_at_ms,
                started_at_ms: sim.started_ms,
                note: Some("Waiting for the broker at 127.0.0.1:9092; trying again every 2 s.".into()),
                stages: STAGES
                    .iter()
                    .map(|(name, ..)| StageSnapshot { name: (*name).into(), ..StageSnapshot::default() })
                    .collect(),
                dependencies: vec![broker(Health::Down, "127.0.0.1:9092, connection refused")],
                ..Snapshot::default()
            };
        }
        let mut state = sim.state.lock().unwrap_or_else(PoisonError::into_inner);
        sim.advance(&mut state, &self.composer, &self.table);
        let mut flowing = state.messages;
        let mut stages = Vec::new();
        for (index, (name, per_myriad, p50)) in STAGES.into_iter().enumerate() {
            let dead = match index {
                0 => state.dead_counts[0] + state.dead_counts[1],
                1 => state.dead_counts[2],
                2 => state.dead_counts[3],
                _ => 0,
            };
            let behind = sim.random(4) * (index as u64 / 3 + 1);
            let records_in = flowing.saturating_sub(behind);
            let records_out = if name == "notify" { state.notified } else { records_in.saturating_sub(dead) };
            let dropped = if name == "notify" { records_in.saturating_sub(records_out) } else { 0 };
            let jitter = 1.0 + sim.random(30) as f64 / 100.0;
            stages.push(StageSnapshot {
                name: name.into(),
                health: Health::Up,
                detail: None,
                records_in,
                records_out,
                dropped,
                parked: 0,
                dead_lettered: dead,
                lag: Some(behind + per_myriad % 5),
                latency: Some(Latency { p50_ms: p50 * jitter, p99_ms: p50 * 3.4 * jitter }),
            });
            flowing = records_out;
        }
        let sealed = state.messages * 6;
        stages.push(StageSnapshot {
            name: "audit".into(),
            health: Health::Up,
            records_in: sealed + 40,
            records_out: sealed,
            lag: Some(40),
            latency: Some(Latency { p50_ms: 480.0, p99_ms: 990.0 }),
            ..StageSnapshot::default()
        });
        let dead: u64 = state.dead_counts.iter().sum();
        let in_flight = 4 + sim.random(9);
        let mut counts: Vec<DeadLetterCount> = DEAD
            .iter()
            .zip(state.dead_counts)
            .filter(|(_, count)| *count > 0)
            .map(|((stage, code, title, ..), count)| DeadLetterCount {
                stage: (*stage).into(),
                code: (*code).into(),
                title: (*title).into(),
                count,
            })
            .collect();
        counts.sort_by_key(|one| std::cmp::Reverse(one.count));
        let up = |name: &str, detail: &str| Dependency {
            name: name.into(),
            health: Health::Up,
            detail: detail.into(),
        };
        Snapshot {
            taken_at_ms,
            started_at_ms: sim.started_ms,
            phase: Phase::Running,
            note: None,
            totals: Totals {
                messages_in: state.messages,
                notified: state.notified,
                dropped: state.messages.saturating_sub(state.notified + dead + in_flight),
                dead_lettered: dead,
                in_flight,
                lost: 0,
                duplicated: 0,
            },
            end_to_end: Some(Latency {
                p50_ms: 104.0 + sim.random(20) as f64,
                p99_ms: 270.0 + sim.random(80) as f64,
            }),
            stages,
            dependencies: vec![
                broker(Health::Up, "embedded, 127.0.0.1:9092"),
                up("Schema registry", "embedded, 127.0.0.1:8081"),
                up("Mail server", "mail sink, 127.0.0.1:2525, STARTTLS"),
                up("WORM store", "local folder"),
                up("Models", "all-MiniLM-L6-v2, wardstream-triage 1.0.0"),
            ],
            worm: Some(WormSnapshot {
                store: "local folder".into(),
                tamper_proof: false,
                segments: sealed / 2_000 + 1,
                records: sealed,
                bytes: sealed * 310,
                last_sealed_at_ms: Some(taken_at_ms - 3_000),
                verification: Some(Verification {
                    at_ms: sim.started_ms + 5_000,
                    ok: true,
                    summary: "every segment is there, in order and unchanged".into(),
                }),
            }),
            dead_letter_counts: counts,
        }
    }

    fn notifications(&self, limit: usize) -> Vec<NotificationView> {
        let state = self.simulation.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.notes.iter().take(limit).cloned().collect()
    }

    fn dead_letters(&self, limit: usize) -> Vec<DeadLetterView> {
        let state = self.simulation.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.dead.iter().take(limit).cloned().collect()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = arguments.first().map_or(Ok(8080), |port| port.parse::<u16>())?;
    let composer = Composer::new(&ComposerConfig {
        from: "wardstream@hospital.example".into(),
        from_name: "Wardstream".into(),
        console_url: format!("http://127.0.0.1:{port}"),
        message_id_domain: None,
    })?;
    let started_ms = now_ms();
    let source: Arc<dyn StatusSource> = Arc::new(Source {
        simulation: Simulation {
            started_ms,
            waiting: arguments.iter().any(|argument| argument == "waiting"),
            random: Mutex::new(0x9e37_79b9_7f4a_7c15),
            state: Mutex::new(State { last_ms: started_ms, ..State::default() }),
        },
        composer,
        table: RoutingTable::parse(RoutingTable::DEFAULT)?,
    });
    let shutdown = CancellationToken::new();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    eprintln!("http://127.0.0.1:{port}");
    let page = tokio::spawn(serve(listener, Arc::clone(&source), shutdown.clone()));
    let stdout = std::io::stdout();
    let interactive = stdout.is_terminal();
    let view = tokio::spawn(terminal::run(stdout, interactive, source, shutdown.clone()));
    tokio::signal::ctrl_c().await?;
    shutdown.cancel();
    view.await??;
    page.await??;
    Ok(())
}
