//! Spans as a collector receives them over OTLP/HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use wardstream_telemetry::{Config, init, trace};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector on a thread of its own: it must answer while this thread waits for the flush.
fn collector() -> (String, mpsc::Receiver<(HeaderMap, ExportTraceServiceRequest)>) {
    let (sender, received) = mpsc::channel();
    let (ready, address) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            let receive = async move |headers: HeaderMap, body: Bytes| {
                let request = ExportTraceServiceRequest::decode(body).unwrap();
                sender.send((headers, request)).unwrap();
                ExportTraceServiceResponse::default().encode_to_vec()
            };
            axum::serve(listener, Router::new().route("/v1/traces", post(receive))).await.unwrap();
        });
    });
    (format!("http://{}", address.recv().unwrap()), received)
}

// One test, because a process has one exporter. It runs within a runtime, as services do, because a blocking HTTP
// client that is built or dropped there panics.
#[tokio::test]
async fn spans_reach_the_collector_with_their_parent_and_nothing_but_coordinates() {
    let (url, received) = collector();
    let config =
        Config { otlp_endpoint: Some(url.parse().unwrap()), trace_sample_ratio: 0.0, ..Config::default() };
    let guard = init("wardstream-ingest", &config).unwrap();
    // A second service of the same process shares the exporter, whatever its own configuration says.
    let second = init("wardstream-redact", &Config::default()).unwrap();

    let mut span = trace::start_span("process hl7.raw", "ingest", Some(PARENT));
    span.record_source("hl7.raw", 3, 41);
    span.record_error("HL7-101");
    let child = trace::start_span("process fhir.received", "validate", Some(&span.traceparent()));
    assert_eq!(child.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    // Ratio 0: a trace that begins here is not exported, and its header says so.
    let unsampled = trace::start_span("process hl7.raw", "ingest", None);
    assert!(unsampled.traceparent().ends_with("-00"));
    drop((child, span, unsampled));
    drop(second);
    drop(guard);

    let (headers, request) = received.recv().unwrap();
    assert_eq!(headers.get("content-type").unwrap(), "application/x-protobuf");
    let resource = request.resource_spans.first().unwrap();
    let service =
        resource.resource.as_ref().unwrap().attributes.iter().find(|kv| kv.key == "service.name").unwrap();
    let Some(Value::StringValue(name)) = &service.value.as_ref().unwrap().value else { panic!("a text") };
    assert_eq!(name, "wardstream-ingest");
    let spans: Vec<_> = resource.scope_spans.iter().flat_map(|scope| &scope.spans).collect();
    assert_eq!(spans.len(), 2);
    let first = spans.iter().find(|span| span.name == "process hl7.raw").unwrap();
    let second = spans.iter().find(|span| span.name == "process fhir.received").unwrap();
    assert_eq!(first.parent_span_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    assert_eq!(second.parent_span_id, first.span_id);
    assert_eq!(first.trace_id, second.trace_id);
    let mut keys: Vec<&str> = first.attributes.iter().map(|kv| kv.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "error.type",
            "messaging.destination.name",
            "messaging.destination.partition.id",
            "messaging.kafka.offset",
            "messaging.system",
            "wardstream.stage",
        ]
    );
}
