//! The HTTP API of the Confluent Schema Registry, as far as Avro clients use it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Error, Registry};

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
const LEVEL: &str = "BACKWARD_TRANSITIVE";
/// Larger than any schema a person maintains.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Serves the given `(subject, schema)` pairs on a listener until `shutdown` is cancelled. Ids are the same at every
/// start.
///
/// # Errors
/// As [`Registry::with_schemas`], before the first request is answered; [`Error::Serve`] later.
pub async fn serve(
    listener: TcpListener,
    schemas: Vec<(String, String)>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let registry = Registry::with_schemas(schemas)?;
    axum::serve(listener, router(registry))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
        .map_err(Error::Serve)
}

/// The API over a registry, to be mounted by a server that has other routes too.
pub fn router(registry: Registry) -> Router {
    Router::new()
        .route("/", get(|| async { Json(json!({})) }))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(lookup))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_schema))
        .route("/schemas/types", get(|| async { Json(json!(["AVRO"])) }))
        .route("/schemas/ids/{id}", get(schema))
        .route("/schemas/ids/{id}/schema", get(schema_text))
        .route("/schemas/ids/{id}/subjects", get(schema_subjects))
        .route("/schemas/ids/{id}/versions", get(schema_versions))
        .route("/compatibility/subjects/{subject}/versions", post(compatibility))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatibility_with))
        .route("/config", get(|| async { Json(json!({ "compatibilityLevel": LEVEL })) }))
        .route("/config/{subject}", get(subject_level))
        .route("/mode", get(|| async { Json(json!({ "mode": "READWRITE" })) }))
        .fallback(|| async { Error::NotFound })
        .method_not_allowed_fallback(|| async { Error::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Shared(Arc::new(RwLock::new(registry))))
}

#[derive(Clone)]
struct Shared(Arc<RwLock<Registry>>);

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Registry> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// JSON with the registry's own content type.
struct Json(Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, CONTENT_TYPE)], self.0.to_string()).into_response()
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({ "error_code": self.code(), "message": self.message() }))).into_response()
    }
}

type Answer = Result<Json, Error>;

#[derive(Deserialize)]
struct Submitted {
    #[serde(default)]
    schema: String,
    #[serde(default, rename = "schemaType")]
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Value>>,
}

impl Submitted {
    /// Clients send various content types, so the body is read as what it is.
    fn read(body: &Bytes) -> Result<String, Error> {
        let submitted: Self =
            serde_json::from_slice(body).map_err(|error| Error::Malformed(error.to_string()))?;
        if let Some(kind) = submitted.schema_type.filter(|kind| kind != "AVRO") {
            return Err(Error::InvalidSchema(format!("Invalid schema type {kind}: only AVRO is supported")));
        }
        if submitted.references.is_some_and(|references| !references.is_empty()) {
            return Err(Error::InvalidSchema("references to other subjects are not supported".to_owned()));
        }
        if submitted.schema.trim().is_empty() {
            return Err(Error::InvalidSchema("Empty schema".to_owned()));
        }
        Ok(submitted.schema)
    }
}

/// A version as a path names it.
enum Wanted {
    Latest,
    Number(u32),
}

impl Wanted {
    fn read(text: &str) -> Result<Self, Error> {
        match text {
            "latest" | "-1" => Ok(Self::Latest),
            text => match text.parse::<i32>().ok().and_then(|number| u32::try_from(number).ok()) {
                Some(number) if number > 0 => Ok(Self::Number(number)),
                _ => Err(Error::InvalidVersion(text.to_owned())),
            },
        }
    }

    fn find(&self, registry: &Registry, subject: &str) -> Result<crate::Registered, Error> {
        match self {
            Self::Latest => registry.latest(subject),
            Self::Number(number) => registry.version(subject, *number),
        }
    }
}

fn id(text: &str) -> Result<u32, Error> {
    text.parse().map_err(|_| Error::NotFound)
}

async fn subjects(State(shared): State<Shared>) -> Json {
    Json(shared.read().subjects().collect())
}

async fn versions(State(shared): State<Shared>, Path(subject): Path<String>) -> Answer {
    Ok(Json(shared.read().versions(&subject)?.into()))
}

async fn version(State(shared): State<Shared>, Path((subject, version)): Path<(String, String)>) -> Answer {
    let wanted = Wanted::read(&version)?;
    let found = wanted.find(&shared.read(), &subject)?;
    Ok(Json(json!({
        "subject": found.subject, "version": found.version, "id": found.id, "schema": found.schema
    })))
}

async fn version_schema(
    State(shared): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
) -> Result<Response, Error> {
    let wanted = Wanted::read(&version)?;
    let found = wanted.find(&shared.read(), &subject)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], found.schema).into_response())
}

async fn register(State(shared): State<Shared>, Path(subject): Path<String>, body: Bytes) -> Answer {
    let schema = Submitted::read(&body)?;
    let mut registry = shared.0.write().unwrap_or_else(PoisonError::into_inner);
    let id = registry.register(&subject, &schema)?;
    tracing::info!(subject, id, "schema registered");
    Ok(Json(json!({ "id": id })))
}

async fn lookup(State(shared): State<Shared>, Path(subject): Path<String>, body: Bytes) -> Answer {
    let schema = Submitted::read(&body)?;
    let found = shared.read().lookup(&subject, &schema)?;
    Ok(Json(json!({
        "subject": found.subject, "version": found.version, "id": found.id, "schema": found.schema
    })))
}

async fn schema(State(shared): State<Shared>, Path(text): Path<String>) -> Answer {
    let id = id(&text)?;
    Ok(Json(json!({ "schema": shared.read().schema(id)? })))
}

async fn schema_text(State(shared): State<Shared>, Path(text): Path<String>) -> Result<Response, Error> {
    let text = shared.read().schema(id(&text)?)?.to_owned();
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

async fn schema_subjects(State(shared): State<Shared>, Path(text): Path<String>) -> Answer {
    let registry = shared.read();
    let mut subjects: Vec<&str> =
        registry.uses(id(&text)?)?.into_iter().map(|(subject, _)| subject).collect();
    subjects.dedup();
    Ok(Json(json!(subjects)))
}

async fn schema_versions(State(shared): State<Shared>, Path(text): Path<String>) -> Answer {
    let registry = shared.read();
    let uses = registry.uses(id(&text)?)?;
    let uses = uses.into_iter().map(|(subject, version)| json!({ "subject": subject, "version": version }));
    Ok(Json(uses.collect()))
}

#[derive(Deserialize)]
struct Verbosity {
    #[serde(default)]
    verbose: Option<String>,
}

impl Verbosity {
    fn answer(&self, outcome: Result<(), crate::Incompatible>) -> Json {
        let mut body = json!({ "is_compatible": outcome.is_ok() });
        if self.verbose.as_deref() == Some("true")
            && let Err(incompatible) = outcome
        {
            body["messages"] = json!([incompatible.to_string()]);
        }
        Json(body)
    }
}

async fn compatibility(
    State(shared): State<Shared>,
    Path(subject): Path<String>,
    Query(verbosity): Query<Verbosity>,
    body: Bytes,
) -> Answer {
    let schema = Submitted::read(&body)?;
    let outcome = shared.read().compatibility(&subject, &schema, None)?;
    Ok(verbosity.answer(outcome))
}

async fn compatibility_with(
    State(shared): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    Query(verbosity): Query<Verbosity>,
    body: Bytes,
) -> Answer {
    let schema = Submitted::read(&body)?;
    let wanted = Wanted::read(&version)?;
    let registry = shared.read();
    let version = wanted.find(&registry, &subject)?.version;
    let outcome = registry.compatibility(&subject, &schema, Some(version))?;
    Ok(verbosity.answer(outcome))
}

#[derive(Deserialize)]
struct LevelQuery {
    #[serde(default, rename = "defaultToGlobal")]
    default_to_global: Option<String>,
}

async fn subject_level(Path(subject): Path<String>, Query(query): Query<LevelQuery>) -> Answer {
    if query.default_to_global.as_deref() == Some("true") {
        return Ok(Json(json!({ "compatibilityLevel": LEVEL })));
    }
    Err(Error::LevelNotFound(subject))
}
