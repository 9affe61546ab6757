//! `/healthz`, `/readyz` and `/metrics` over HTTP.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Error, Health, Metrics};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A server that listens and does not yet answer: binding is apart from serving so that a taken port is known
/// before work begins.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// [`Error::Bind`].
    pub async fn bind(listen: SocketAddr) -> Result<Self, Error> {
        let bind = |source| Error::Bind { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self { listener, address })
    }

    /// The address it listens on, with the port that was chosen where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is cancelled. Cancel it after the drain, not at its beginning: the last figures
    /// of a process are the ones worth scraping.
    ///
    /// # Errors
    /// [`Error::Serve`].
    pub async fn run(
        self,
        metrics: Metrics,
        health: Health,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        axum::serve(self.listener, router(metrics, health))
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
            .map_err(Error::Serve)
    }
}

/// [`Server::bind`] and [`Server::run`] in one.
///
/// # Errors
/// [`Error::Bind`] at once, [`Error::Serve`] later.
pub async fn serve(
    listen: SocketAddr,
    metrics: Metrics,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    Server::bind(listen).await?.run(metrics, health, shutdown).await
}

#[derive(Clone)]
struct Shared {
    metrics: Metrics,
    health: Health,
}

fn router(metrics: Metrics, health: Health) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(Shared { metrics, health })
}

async fn healthz(State(shared): State<Shared>) -> Response {
    let report = shared.health.report();
    let status = if report.live { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "live": report.live, "stalled": report.stalled }))).into_response()
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let report = shared.health.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let waiting: Vec<_> = report.not_ready().collect();
    let body = json!({ "ready": report.ready, "stalled": report.stalled, "not_ready": waiting });
    (status, Json(body)).into_response()
}

async fn scrape(State(shared): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], shared.metrics.encode()).into_response()
}
