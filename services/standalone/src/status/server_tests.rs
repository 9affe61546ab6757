use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::header::HeaderMap as Headers;
use serde_json::Value;

use super::super::{DeadLetterView, Phase, Totals};
use super::*;

#[derive(Default)]
struct Line {
    clock: AtomicI64,
}

impl StatusSource for Line {
    fn snapshot(&self) -> Snapshot {
        let seconds = self.clock.fetch_add(1, Ordering::Relaxed);
        Snapshot {
            taken_at_ms: seconds * 1_000,
            phase: Phase::Running,
            totals: Totals { messages_in: 5 * seconds as u64, ..Totals::default() },
            ..Snapshot::default()
        }
    }

    fn notifications(&self, limit: usize) -> Vec<NotificationView> {
        let one = |n: i32| NotificationView {
            id: format!("n{n}"),
            event_id: format!("e{n}"),
            subject: "[Emergent] Cardiology: lab result".into(),
            html: "<html><head><title>x</title></head><body onload=\"alert(1)\">told</body></html>".into(),
            text: "told".into(),
            ..NotificationView::default()
        };
        (0..3).map(one).take(limit).collect()
    }

    fn dead_letters(&self, limit: usize) -> Vec<DeadLetterView> {
        let one = DeadLetterView {
            code: "HL7-101".into(),
            location: Some("PID-3".into()),
            ..DeadLetterView::default()
        };
        vec![one; 2].into_iter().take(limit).collect()
    }
}

struct Page {
    base: String,
    client: reqwest::Client,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

impl Page {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, Arc::new(Line::default()), shutdown.clone()));
        Self { base, client: reqwest::Client::builder().no_proxy().build().unwrap(), shutdown, task }
    }

    async fn get(&self, path: &str) -> (u16, Headers, String) {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (answer.status().as_u16(), answer.headers().clone(), answer.text().await.unwrap())
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await.2).unwrap()
    }
}

#[tokio::test]
async fn the_page_is_whole_and_allows_only_itself() {
    let page = Page::start().await;
    for path in ["/", "/events/0b6f6f0e-9f5c-5d4e-8a1c-2f0d3f7f6a11"] {
        let (status, headers, html) = page.get(path).await;
        assert_eq!(status, 200);
        assert!(html.contains(STYLE) && html.contains(SCRIPT));
        // No request leaves this origin, and nothing runs but the hashed script.
        assert!(!html.contains("src=\"http") && !html.contains("href=\"http") && !html.contains("@import"));
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"));
        // A policy without inline styles would silently drop these.
        assert!(!HTML.contains("style=\"") && !HTML.contains("onclick"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
    }
    assert_eq!(page.get("/favicon.svg").await.0, 200);
    assert_eq!(page.get("/nothing").await.0, 404);
}

#[test]
fn script_and_style_do_not_close_their_element() {
    assert!(!SCRIPT.contains("</script") && !SCRIPT.contains("<!--"));
    assert!(!STYLE.contains("</style"));
    assert!(
        !SCRIPT.contains("innerHTML") && !SCRIPT.contains("insertAdjacentHTML") && !SCRIPT.contains("eval(")
    );
}

#[tokio::test]
async fn status_carries_numbers_and_their_history() {
    let page = Page::start().await;
    let status = page.json("/api/status").await;
    assert_eq!(status["snapshot"]["phase"], "running");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["history"]["at_ms"].as_array().map(Vec::len), Some(1));
}

#[test]
fn each_sample_adds_to_the_history() {
    let (line, mut history) = (Line::default(), History::default());
    sample(&line, &mut history);
    let second: Value = serde_json::from_slice(&sample(&line, &mut history)).unwrap();
    assert_eq!(second["history"]["messages_in"], serde_json::json!([0.0, 5.0]));
}

#[tokio::test]
async fn lists_are_bounded_and_parts_come_one_by_one() {
    let page = Page::start().await;
    let list = page.json("/api/notifications?limit=2").await;
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    assert_eq!((list[0]["id"].as_str(), list[0].get("html")), (Some("n0"), None));
    assert_eq!(page.json("/api/notifications/n1").await["text"], "told");
    assert_eq!(page.json("/api/notifications/e2").await["id"], "n2");
    assert_eq!(page.get("/api/notifications/none").await.0, 404);
    assert_eq!(page.json("/api/dead-letters?limit=1").await.as_array().map(Vec::len), Some(1));
    assert_eq!(page.get("/api/dead-letters?limit=x").await.0, 400);
}

#[tokio::test]
async fn a_mail_cannot_script_the_page() {
    let page = Page::start().await;
    let (status, headers, html) = page.get("/api/notifications/n0/html").await;
    assert_eq!(status, 200);
    assert!(html.contains("<head><base target=\"_blank\">"));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("sandbox")
            && !policy.contains("allow-scripts")
    );
}

#[tokio::test]
async fn foreign_names_for_this_machine_are_refused() {
    let page = Page::start().await;
    for (host, expected) in [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8080", 421),
        ("[evil", 421),
    ] {
        let answer =
            page.client.get(format!("{}/api/status", page.base)).header("host", host).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{host}");
    }
}

#[tokio::test]
async fn ends_with_shutdown_though_a_browser_stays_connected() {
    let page = Page::start().await;
    page.get("/").await;
    page.shutdown.cancel();
    page.task.await.unwrap().unwrap();
}
