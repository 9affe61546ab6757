//! The page and its JSON over HTTP. Everything is embedded: the page asks no other host for anything.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::history::History;
use super::{NotificationView, Snapshot, StatusSource};

const HTML: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// Most notifications or dead letters one answer lists.
const MAX_LIMIT: usize = 500;
/// Notifications among which one is looked up by id.
const LOOK_BACK: usize = MAX_LIMIT;
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct App {
    source: Arc<dyn StatusSource>,
    /// The answer to `/api/status`, made once a second whoever asks.
    status: watch::Receiver<Bytes>,
    /// Whether only this machine can reach the listener.
    loopback: bool,
}

#[derive(Serialize)]
struct Status<'a> {
    #[serde(rename = "version")]
    version: &'static str,
    snapshot: &'a Snapshot,
    history: &'a History,
}

/// Serves the page on `listener` until `shutdown`: `/` and `/events/{event_id}` (the page), `/api/status`,
/// `/api/notifications`, `/api/notifications/{id}`, `/api/notifications/{id}/html`, `/api/dead-letters`.
///
/// # Errors
/// What the listener says when it cannot accept any more.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn StatusSource>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let loopback = listener.local_addr()?.ip().is_loopback();
    let mut history = History::default();
    let (publish, status) = watch::channel(sample(source.as_ref(), &mut history));
    let app = App { source: Arc::clone(&source), status, loopback };
    let sampling = async {
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + SAMPLE_EVERY, SAMPLE_EVERY);
        // After a stall one sample is enough; a burst of them would show a rate that never was.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            publish.send_replace(sample(source.as_ref(), &mut history));
        }
    };
    let serving = async {
        axum::serve(listener, router(app)).with_graceful_shutdown(shutdown.clone().cancelled_owned()).await
    };
    tokio::select! {
        // A browser keeps its connection open: shutdown does not wait for it.
        () = shutdown.cancelled() => Ok(()),
        result = serving => result,
        () = sampling => Ok(()),
    }
}

fn sample(source: &dyn StatusSource, history: &mut History) -> Bytes {
    let snapshot = source.snapshot();
    history.push(&snapshot);
    let status = Status { version: env!("CARGO_PKG_VERSION"), snapshot: &snapshot, history };
    // The shapes hold numbers, strings and lists: nothing that JSON cannot say.
    Bytes::from(serde_json::to_vec(&status).unwrap_or_else(|_| b"{}".to_vec()))
}

fn router(app: App) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/events/{event_id}", get(page))
        .route("/favicon.svg", get(favicon))
        .route("/api/status", get(status))
        .route("/api/notifications", get(notifications))
        .route("/api/notifications/{id}", get(notification))
        .route("/api/notifications/{id}/html", get(notification_html))
        .route("/api/dead-letters", get(dead_letters))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

/// Refuses requests that a foreign page makes a browser send to this machine under another name (DNS rebinding), and
/// sets the headers that every answer has.
async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.loopback && !is_local(request.headers(), request.uri()) {
        return (StatusCode::MISDIRECTED_REQUEST, "this page answers to localhost and addresses only\n")
            .into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let same_origin = HeaderValue::from_static("same-origin");
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin);
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    response
}

fn is_local(headers: &HeaderMap, uri: &Uri) -> bool {
    let host =
        headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.authority().map(|a| a.as_str()));
    let Some(host) = host else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

struct Page {
    html: Bytes,
    policy: HeaderValue,
}

/// The page with its style and script put in, and the policy that allows exactly these two.
fn assembled() -> &'static Page {
    static PAGE: OnceLock<Page> = OnceLock::new();
    PAGE.get_or_init(|| {
        let html = HTML.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT);
        let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
             img-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(SCRIPT),
            hash(STYLE)
        );
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Page { html: Bytes::from(html), policy }
    })
}

async fn page() -> Response {
    let Page { html, policy } = assembled();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy.clone()),
    ];
    (headers, html.clone()).into_response()
}

async fn favicon() -> Response {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("page/favicon.svg")).into_response()
}

async fn status(State(app): State<App>) -> Response {
    let body = app.status.borrow().clone();
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

impl Limit {
    fn or(&self, default: usize) -> usize {
        self.limit.unwrap_or(default).min(MAX_LIMIT)
    }
}

/// A notification in the list: all but its parts.
#[derive(Serialize)]
struct Listed {
    id: String,
    event_id: String,
    sent_at_ms: i64,
    latency_ms: Option<u64>,
    urgency: String,
    triage: bool,
    specialty: String,
    to: Vec<String>,
    subject: String,
}

impl From<NotificationView> for Listed {
    fn from(view: NotificationView) -> Self {
        let NotificationView {
            id,
            event_id,
            sent_at_ms,
            latency_ms,
            urgency,
            triage,
            specialty,
            to,
            subject,
            ..
        } = view;
        Self { id, event_id, sent_at_ms, latency_ms, urgency, triage, specialty, to, subject }
    }
}

async fn notifications(State(app): State<App>, Query(limit): Query<Limit>) -> Response {
    let views = app.source.notifications(limit.or(50));
    axum::Json(views.into_iter().map(Listed::from).collect::<Vec<_>>()).into_response()
}

async fn notification(State(app): State<App>, Path(id): Path<String>) -> Response {
    match find(&app, &id) {
        Some(view) => axum::Json(view).into_response(),
        None => gone(),
    }
}

/// The HTML part alone, for the frame: it may style itself, and nothing else.
async fn notification_html(State(app): State<App>, Path(id): Path<String>) -> Response {
    let Some(view) = find(&app, &id) else { return gone() };
    // The link must not open the event inside the frame.
    let html = view.html.replacen("<head>", "<head><base target=\"_blank\">", 1);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; form-action 'none'; \
                  sandbox allow-popups allow-popups-to-escape-sandbox";
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, policy)], html).into_response()
}

fn find(app: &App, id: &str) -> Option<NotificationView> {
    app.source.notifications(LOOK_BACK).into_iter().find(|view| view.id == id || view.event_id == id)
}

fn gone() -> Response {
    (StatusCode::NOT_FOUND, "no notification of this id is kept; older ones are in the audit log\n")
        .into_response()
}

async fn dead_letters(State(app): State<App>, Query(limit): Query<Limit>) -> Response {
    axum::Json(app.source.dead_letters(limit.or(100))).into_response()
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
