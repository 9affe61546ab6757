//! The pages behind the links that acknowledge: GET asks, POST acknowledges, because mail scanners and previews follow links
//! with GET. No page names an event or a person, and none loads anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use contracts::NotificationAcknowledged;
use service::Failure;
use stream::{Codec, CodecError, Outgoing, Publisher};
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Links;
use crate::books::of_event;
use crate::link::{Claim, Invalid, PATH};
use crate::run::now_ms;

pub(crate) const ACKNOWLEDGED: &str = "notification.acknowledged";
/// How long an answer may take once the service is to end.
const GRACE: Duration = Duration::from_secs(5);
/// The form has no fields.
const MAX_BODY: usize = 1024;

/// What the server works with.
pub(crate) struct Acknowledgements {
    pub(crate) links: Arc<Links>,
    pub(crate) codec: Codec,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Metrics,
}

/// Listens: binding is apart from serving so that a taken port is known before work begins.
pub(crate) async fn bind(listen: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen)
        .await
        .map_err(|error| format!("acknowledge.listen: cannot listen on {listen}: {error}").into())
}

/// Answers until the shutdown.
pub(crate) async fn serve(
    listener: TcpListener,
    acknowledgements: Acknowledgements,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "acknowledgements");
    }
    let router = router(Arc::new(acknowledgements));
    let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tokio::select! {
        served = serving => Ok(served?),
        // A browser keeps its connection open: the shutdown waits for an answer, not for that.
        () = async {
            shutdown.cancelled().await;
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}

fn router(acknowledgements: Arc<Acknowledgements>) -> Router {
    // Below whatever path a proxy leaves before it.
    Router::new()
        .route("/{*path}", get(ask).post(acknowledge))
        .fallback(|| async { Page::Unknown })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(acknowledgements)
}

async fn ask(State(all): State<Arc<Acknowledgements>>, Path(path): Path<String>) -> Page {
    all.claim(&path).map_or_else(|page| page, |_| Page::Ask)
}

async fn acknowledge(State(all): State<Arc<Acknowledgements>>, Path(path): Path<String>) -> Page {
    let claim = match all.claim(&path) {
        Ok(claim) => claim,
        Err(page) => return page,
    };
    let writer = all.clone();
    // The codec and the producer block.
    let written = tokio::task::spawn_blocking(move || writer.write(&claim)).await;
    match written {
        Ok(Ok(())) => {
            all.metrics.acknowledgement("recorded");
            Page::Done
        }
        Ok(Err(error)) => {
            tracing::error!(error = service::chain(&error), "an acknowledgement cannot be written");
            all.metrics.acknowledgement("failed");
            Page::Failed
        }
        Err(_) => Page::Failed,
    }
}

impl Acknowledgements {
    fn claim(&self, path: &str) -> Result<Claim, Page> {
        let mut segments = path.rsplit('/');
        let (token, before) = (segments.next().unwrap_or_default(), segments.next());
        if before != Some(PATH) {
            return Err(Page::Unknown);
        }
        self.links.verify(token, now_ms()).map_err(|invalid| {
            let (word, page) = match invalid {
                Invalid::Expired => ("expired", Page::Expired),
                Invalid::Forged => ("forged", Page::Unknown),
            };
            self.metrics.acknowledgement(word);
            page
        })
    }

    /// Returns once it is there for good: an instance that looks from now on sees it.
    fn write(&self, claim: &Claim) -> Result<(), CodecError> {
        let acknowledged = NotificationAcknowledged {
            event_id: claim.event.to_string(),
            step: i32::from(claim.step),
            acknowledged_at: now_ms(),
        };
        let value = self.codec.encode(ACKNOWLEDGED, &acknowledged)?;
        let output = Outgoing::new(ACKNOWLEDGED, Some(acknowledged.event_id.into_bytes()), value);
        self.publisher.publish_blocking(&of_event(output, claim.event))?;
        Ok(())
    }
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Ask,
    Done,
    Expired,
    Unknown,
    Failed,
}

impl Page {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Ask => (
                StatusCode::OK,
                "Acknowledge this notification?",
                "You confirm that you have seen it and that you see to it. Nobody else is called then.",
            ),
            Self::Done => (
                StatusCode::OK,
                "Acknowledged",
                "It is recorded that you have seen this notification. Nobody else is called.",
            ),
            Self::Expired => (
                StatusCode::GONE,
                "This link is too old",
                "It acknowledges nothing any more. Open the event in the console.",
            ),
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "This link acknowledges nothing",
                "Open the notification again and use the whole link in it.",
            ),
            Self::Failed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "This was not recorded",
                "Please try again. Until it is recorded the next tier is called as if you had not answered.",
            ),
        }
    }

    fn html(self) -> String {
        let (_, title, text) = self.parts();
        let form = match self {
            Self::Ask | Self::Failed => {
                "<form method=\"post\"><button type=\"submit\">Acknowledge</button></form>\n"
            }
            Self::Done | Self::Expired | Self::Unknown => "",
        };
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{title}</h1>\n<p>{text}</p>\n{form}</main>\n</body>\n</html>\n"
        )
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#f3f5f7;--card:#fff;--ink:#161d24;--soft:#57636f;--line:#dfe4ea;--act:#0f6b5c}\
@media (prefers-color-scheme:dark){:root{--ground:#0f1419;--card:#171d24;--ink:#e8edf2;--soft:#9fabb8;--line:#2a333d}}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--ground);color:var(--ink);\
font:17px/1.5 -apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
main{box-sizing:border-box;width:min(30rem,100vw - 2rem);padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:12px}\
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}p{margin:0;color:var(--soft)}form{margin:1.5rem 0 0}\
button{width:100%;padding:.9rem;border:0;border-radius:8px;background:var(--act);color:#fff;font:inherit;font-weight:600;cursor:pointer}\
button:focus-visible{outline:3px solid var(--ink);outline-offset:2px}";

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
            (header::CACHE_CONTROL, "no-store"),
            // The address is the right to acknowledge: it goes to nobody else.
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (self.parts().0, headers, Html(self.html())).into_response()
    }
}
