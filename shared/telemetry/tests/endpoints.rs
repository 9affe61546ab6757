//! Health and metrics as a probe and a scraper see them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;
use wardstream_telemetry::{Error, Health, Metrics, Server, serve};

struct Running {
    url: String,
    metrics: Metrics,
    health: Health,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

async fn running() -> Running {
    let (metrics, health, shutdown) = (Metrics::new(), Health::new(), CancellationToken::new());
    let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", server.address());
    let task = tokio::spawn(server.run(metrics.clone(), health.clone(), shutdown.clone()));
    Running { url, metrics, health, shutdown, task }
}

async fn get(url: String) -> (u16, String, String) {
    let response = reqwest::get(url).await.unwrap();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
}

#[tokio::test]
async fn readiness_lists_what_is_not_ready_and_why() {
    let running = running().await;
    let kafka = running.health.component("kafka");
    kafka.waiting("no broker answers");
    let (status, kind, body) = get(format!("{}/readyz", running.url)).await;
    assert_eq!((status, kind.as_str()), (503, "application/json"));
    assert_eq!(
        body,
        r#"{"ready":false,"stalled":[],"not_ready":[{"component":"kafka","state":"waiting","reason":"no broker answers"}]}"#
    );
    kafka.ready();
    let (status, _, body) = get(format!("{}/readyz", running.url)).await;
    assert_eq!((status, body.as_str()), (200, r#"{"ready":true,"stalled":[],"not_ready":[]}"#));
}

#[tokio::test]
async fn a_lost_loop_makes_the_process_dead_and_a_waiting_one_does_not() {
    let running = running().await;
    running.health.component("kafka").waiting("no broker answers");
    assert_eq!(get(format!("{}/healthz", running.url)).await.0, 200);
    drop(running.health.heartbeat("owner", std::time::Duration::from_secs(60)));
    let (status, _, body) = get(format!("{}/healthz", running.url)).await;
    assert_eq!((status, body.as_str()), (503, r#"{"live":false,"stalled":["owner"]}"#));
}

#[tokio::test]
async fn metrics_are_scraped_as_open_metrics() {
    let running = running().await;
    running.metrics.stage("ingest").received("hl7.raw", 2);
    let (status, kind, body) = get(format!("{}/metrics", running.url)).await;
    assert_eq!((status, kind.as_str()), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(body.contains("wardstream_records_in_total{stage=\"ingest\",topic=\"hl7.raw\"} 2\n"), "{body}");
    assert!(body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn shutdown_ends_the_server_without_an_error() {
    let running = running().await;
    running.shutdown.cancel();
    assert!(running.task.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_taken_port_is_a_coded_error() {
    let taken = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let error =
        serve(taken.address(), Metrics::new(), Health::new(), CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.code(), "TEL-805");
    assert!(error.to_string().contains(&taken.address().to_string()));
}

async fn probe(address: String, page: &'static str) -> (Option<i32>, String) {
    let run = move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_wardstream-probe"))
            .arg(page)
            .env("WARDSTREAM_TELEMETRY__LISTEN", address)
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn the_probe_of_a_container_says_what_the_endpoints_say() {
    let running = running().await;
    // As in a container, where the service listens on every address.
    let address = running.url.replace("http://127.0.0.1", "0.0.0.0");
    let kafka = running.health.component("kafka");
    kafka.waiting("no broker answers");
    let (status, said) = probe(address.clone(), "readyz").await;
    assert_eq!(status, Some(1));
    assert!(said.contains("no broker answers"), "{said}");
    assert_eq!(probe(address.clone(), "healthz").await.0, Some(0));
    kafka.ready();
    assert_eq!(probe(address.clone(), "readyz").await, (Some(0), String::new()));
    assert_eq!(probe(address, "metrics").await.0, Some(64));
    assert_eq!(probe("nowhere".to_owned(), "readyz").await.0, Some(64));
    let closed = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap().address().to_string();
    assert_eq!(probe(closed, "readyz").await.0, Some(1));
}
