//! The registry as its clients see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use apache_avro::types::Value;
use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::avro_common::get_supplied_schema;
use schema_registry_converter::schema_registry_common::SubjectNameStrategy;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wardstream_schema_registry::serve;

const CASE: &str = r#"{"type":"record","name":"Case","fields":[{"name":"id","type":"string"}]}"#;
const CASE_2: &str = r#"{"type":"record","name":"Case","fields":[{"name":"id","type":"string"},
    {"name":"note","type":["null","string"],"default":null}]}"#;
const BROKEN: &str = r#"{"type":"record","name":"Case","fields":[{"name":"id","type":"int"}]}"#;

struct Running {
    url: String,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), wardstream_schema_registry::Error>>,
}

async fn running(schemas: &[(&str, &str)]) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let schemas =
        schemas.iter().map(|(subject, schema)| ((*subject).to_owned(), (*schema).to_owned())).collect();
    let task = tokio::spawn(serve(listener, schemas, shutdown.clone()));
    Running { url, shutdown, task }
}

impl Running {
    async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(
            response.headers().get("content-type").unwrap(),
            "application/vnd.schemaregistry.v1+json",
            "{path}"
        );
        (status, response.text().await.unwrap())
    }

    async fn post(&self, path: &str, body: String) -> (u16, String) {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/vnd.schemaregistry.v1+json")
            .body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.text().await.unwrap())
    }
}

fn submit(schema: &str) -> String {
    serde_json::json!({ "schema": schema }).to_string()
}

#[tokio::test]
async fn what_a_client_encodes_another_decodes() {
    let running = running(&[("triage.classified-value", CASE)]).await;
    let settings = SrSettings::new(running.url.clone());
    let encoder = AvroEncoder::new(settings.clone());
    let strategy = SubjectNameStrategy::TopicNameStrategy("triage.classified".into(), false);
    let bytes = encoder.encode(vec![("id", Value::String("e-1".into()))], strategy).await.unwrap();
    // Magic byte and the id in four bytes: the wire format that every Confluent client reads.
    assert_eq!(bytes.get(..5), Some(&[0, 0, 0, 0, 1][..]));
    let decoded = AvroDecoder::new(settings).decode(Some(&bytes)).await.unwrap();
    assert_eq!(decoded.value, Value::Record(vec![("id".into(), Value::String("e-1".into()))]));
}

#[tokio::test]
async fn a_client_registers_the_schema_it_brings() {
    let running = running(&[]).await;
    let settings = SrSettings::new(running.url.clone());
    let schema = apache_avro::Schema::parse_str(CASE).unwrap();
    let strategy = SubjectNameStrategy::TopicNameStrategyWithSchema(
        "new.topic".into(),
        false,
        get_supplied_schema(&schema),
    );
    let encoder = AvroEncoder::new(settings);
    let bytes = encoder.encode(vec![("id", Value::String("e-2".into()))], strategy).await.unwrap();
    assert_eq!(bytes.first(), Some(&0));
    assert_eq!(running.get("/subjects").await, (200, r#"["new.topic-value"]"#.into()));
}

#[tokio::test]
async fn reading() {
    let running = running(&[("b-value", CASE), ("a-value", CASE), ("a-value", CASE_2)]).await;
    let compact = CASE.replace('"', "\\\"");
    for (path, body) in [
        ("/", "{}".to_owned()),
        ("/subjects", r#"["a-value","b-value"]"#.to_owned()),
        ("/subjects/a-value/versions", "[1,2]".to_owned()),
        (
            "/subjects/b-value/versions/1",
            format!(r#"{{"subject":"b-value","version":1,"id":1,"schema":"{compact}"}}"#),
        ),
        (
            "/subjects/b-value/versions/latest",
            format!(r#"{{"subject":"b-value","version":1,"id":1,"schema":"{compact}"}}"#),
        ),
        ("/subjects/b-value/versions/1/schema", CASE.to_owned()),
        ("/schemas/ids/1?deleted=true", format!(r#"{{"schema":"{compact}"}}"#)),
        ("/schemas/ids/1/schema", CASE.to_owned()),
        ("/schemas/ids/1/subjects", r#"["a-value","b-value"]"#.to_owned()),
        (
            "/schemas/ids/1/versions",
            r#"[{"subject":"a-value","version":1},{"subject":"b-value","version":1}]"#.to_owned(),
        ),
        ("/schemas/types", r#"["AVRO"]"#.to_owned()),
        ("/config", r#"{"compatibilityLevel":"BACKWARD_TRANSITIVE"}"#.to_owned()),
        (
            "/config/a-value?defaultToGlobal=true",
            r#"{"compatibilityLevel":"BACKWARD_TRANSITIVE"}"#.to_owned(),
        ),
        ("/mode", r#"{"mode":"READWRITE"}"#.to_owned()),
    ] {
        assert_eq!(running.get(path).await, (200, body), "{path}");
    }
}

#[tokio::test]
async fn what_is_absent_is_answered_as_confluent_does() {
    let running = running(&[("a-value", CASE)]).await;
    for (path, status, body) in [
        ("/subjects/z/versions", 404, r#"{"error_code":40401,"message":"Subject 'z' not found."}"#),
        ("/subjects/z/versions/latest", 404, r#"{"error_code":40401,"message":"Subject 'z' not found."}"#),
        ("/subjects/a-value/versions/7", 404, r#"{"error_code":40402,"message":"Version 7 not found."}"#),
        ("/schemas/ids/99", 404, r#"{"error_code":40403,"message":"Schema 99 not found"}"#),
        (
            "/subjects/a-value/versions/0",
            422,
            r#"{"error_code":42202,"message":"The specified version '0' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""}"#,
        ),
        (
            "/config/a-value",
            404,
            r#"{"error_code":40408,"message":"Subject 'a-value' does not have subject-level compatibility configured"}"#,
        ),
        ("/nowhere", 404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#),
        (
            "/compatibility/subjects/a/versions",
            405,
            r#"{"error_code":405,"message":"HTTP 405 Method Not Allowed"}"#,
        ),
    ] {
        assert_eq!(running.get(path).await, (status, body.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn registering() {
    let running = running(&[("a-value", CASE)]).await;
    assert_eq!(running.post("/subjects/a-value/versions", submit(CASE)).await, (200, r#"{"id":1}"#.into()));
    assert_eq!(running.post("/subjects/a-value/versions", submit(CASE_2)).await, (200, r#"{"id":2}"#.into()));
    let (status, body) = running.post("/subjects/a-value/versions", submit(BROKEN)).await;
    assert_eq!(status, 409);
    assert_eq!(
        body,
        r#"{"error_code":409,"message":"Schema being registered is incompatible with an earlier schema for subject \"a-value\", details: [version 1: field `id`: string cannot be read as int]"}"#
    );
    assert_eq!(running.get("/subjects/a-value/versions").await.1, "[1,2]");

    let (status, body) = running.post("/subjects/a-value", submit(CASE_2)).await;
    assert_eq!(status, 200);
    assert!(body.starts_with(r#"{"subject":"a-value","version":2,"id":2,"schema":"#), "{body}");
    assert_eq!(
        running.post("/subjects/a-value", submit(BROKEN)).await,
        (404, r#"{"error_code":40403,"message":"Schema not found"}"#.into())
    );
}

#[tokio::test]
async fn what_is_no_schema_is_refused() {
    let running = running(&[]).await;
    for (body, code) in [
        (submit("{}"), 42201),
        (submit(""), 42201),
        ("{}".to_owned(), 42201),
        (r#"{"schema":"\"string\"","schemaType":"PROTOBUF"}"#.to_owned(), 42201),
        (
            r#"{"schema":"\"string\"","references":[{"name":"a","subject":"a","version":1}]}"#.to_owned(),
            42201,
        ),
        ("not json".to_owned(), 400),
        ("[1]".to_owned(), 400),
    ] {
        let (status, answer) = running.post("/subjects/a/versions", body.clone()).await;
        assert_eq!(u32::from(status), if code > 999 { code / 100 } else { code }, "{body}");
        assert!(answer.starts_with(&format!(r#"{{"error_code":{code},"message":""#)), "{body}: {answer}");
    }
    assert_eq!(running.post("/subjects/a/versions", "x".repeat(1024 * 1024 + 1)).await.0, 413);
    assert_eq!(running.get("/subjects").await.1, "[]");
}

#[tokio::test]
async fn compatibility_is_asked_without_registering() {
    let running = running(&[("a-value", CASE)]).await;
    let path = "/compatibility/subjects/a-value/versions";
    assert_eq!(running.post(path, submit(CASE_2)).await, (200, r#"{"is_compatible":true}"#.into()));
    assert_eq!(running.post(path, submit(BROKEN)).await, (200, r#"{"is_compatible":false}"#.into()));
    assert_eq!(
        running.post(&format!("{path}/latest?verbose=true"), submit(BROKEN)).await,
        (
            200,
            r#"{"is_compatible":false,"messages":["version 1: field `id`: string cannot be read as int"]}"#
                .into()
        )
    );
    assert_eq!(running.post(&format!("{path}/9"), submit(CASE)).await.0, 404);
    assert_eq!(
        running.post("/compatibility/subjects/new/versions", submit(CASE)).await,
        (200, r#"{"is_compatible":true}"#.into())
    );
    assert_eq!(running.get("/subjects/a-value/versions").await.1, "[1]");
}

#[tokio::test]
async fn a_broken_preload_ends_before_anything_is_served() {
    let running = running(&[("a-value", "{}")]).await;
    let error = running.task.await.unwrap().unwrap_err();
    assert_eq!(error.code(), 42201);
    assert!(error.to_string().contains("subject 'a-value'"), "{error}");
}

#[tokio::test]
async fn shutdown_ends_it() {
    let running = running(&[("a-value", CASE)]).await;
    running.get("/subjects").await;
    running.shutdown.cancel();
    assert!(running.task.await.unwrap().is_ok());
}
