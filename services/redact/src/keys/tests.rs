//! The remote keepers against servers that answer as their documentation says: what is sent, what is made of the answers, what an outage is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deid::{Error, KeyEncryption, VaultEntry, open_vault_entry};
use serde_json::{Value, json};
use settings::Secret;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::{AwsKms, Keeper, KeyService, Transit, aws_kms, transit};
use crate::Deid;

/// What a server saw, and the status it answers with while it is not 200.
#[derive(Clone)]
struct Server {
    seen: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
    status: Arc<AtomicU16>,
}

impl Server {
    fn new() -> Self {
        Self { seen: Arc::default(), status: Arc::new(AtomicU16::new(200)) }
    }

    fn note(&self, what: &str, headers: HeaderMap, body: &Value) -> Result<(), StatusCode> {
        self.seen.lock().unwrap().push((what.to_owned(), headers, body.clone()));
        match StatusCode::from_u16(self.status.load(Ordering::Relaxed)).unwrap() {
            StatusCode::OK => Ok(()),
            status => Err(status),
        }
    }

    fn last(&self) -> (String, HeaderMap, Value) {
        self.seen.lock().unwrap().last().cloned().unwrap()
    }

    fn start(&self, runtime: &Runtime, router: Router<Server>) -> SocketAddr {
        let router = router.with_state(self.clone());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        address
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// `POST /v1/{mount}/encrypt/{key}` of the Transit API: `plaintext` and `associated_data` in Base64; the answer has `data.ciphertext`.
async fn transit_call(
    State(server): State<Server>,
    Path((operation, key)): Path<(String, String)>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Result<axum::Json<Value>, (StatusCode, axum::Json<Value>)> {
    let refuse = |status| (status, axum::Json(json!({"errors": ["refused, token s.secret"]})));
    server.note(&format!("{operation} {key}"), headers, &body).map_err(refuse)?;
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let data = if operation == "encrypt" {
        let sealed = format!("{}/{}", text("associated_data").unwrap(), text("plaintext").unwrap());
        json!({"ciphertext": format!("vault:v1:{sealed}"), "key_version": 1})
    } else {
        let sealed = text("ciphertext").unwrap();
        let sealed = sealed.strip_prefix("vault:v1:").ok_or_else(|| refuse(StatusCode::BAD_REQUEST))?;
        let (context, plaintext) = sealed.split_once('/').ok_or_else(|| refuse(StatusCode::BAD_REQUEST))?;
        if text("associated_data").as_deref() != Some(context) {
            return Err(refuse(StatusCode::BAD_REQUEST));
        }
        json!({ "plaintext": plaintext })
    };
    Ok(axum::Json(json!({ "data": data })))
}

#[test]
fn transit_wraps_under_the_pseudonym_and_reads_its_token_anew() {
    let (runtime, server) = (runtime(), Server::new());
    let address =
        server.start(&runtime, Router::new().route("/v1/pki/transit/{operation}/{key}", post(transit_call)));
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s.first\n").unwrap();
    let config = Transit {
        address: format!("http://{address}/"),
        mount: "pki/transit".into(),
        key: "ward".into(),
        namespace: "hospital".into(),
        token_path: Some(token.clone()),
        ..Transit::default()
    };
    assert!(config.check().is_ok());
    let client = transit::Client::new(&config, Duration::from_secs(5), runtime.handle().clone()).unwrap();

    let (key, wrapped) = client.data_key("psn_v1_a").unwrap();
    let (call, headers, body) = server.last();
    assert_eq!(call, "encrypt ward");
    for (name, value) in
        [("x-vault-token", "s.first"), ("x-vault-request", "true"), ("x-vault-namespace", "hospital")]
    {
        assert_eq!(headers[name], value);
    }
    assert_eq!(body["associated_data"], STANDARD.encode("psn_v1_a"));
    assert_eq!(body["plaintext"], STANDARD.encode(key.expose()));
    assert!(body.get("ciphertext").is_none());
    let (other, _) = client.data_key("psn_v1_a").unwrap();
    assert_ne!(key.expose(), other.expose(), "a data key is random");

    // The agent has renewed it.
    std::fs::write(&token, "s.second").unwrap();
    assert_eq!(client.unwrap("psn_v1_a", &wrapped).unwrap().expose(), key.expose());
    assert_eq!(server.last().1["x-vault-token"], "s.second");
    assert_eq!(client.unwrap("psn_v1_b", &wrapped).unwrap_err().code(), "DEID-301", "another patient's");
    assert_eq!(client.unwrap("psn_v1_a", b"vault:v9:x").unwrap_err().code(), "DEID-301");
}

#[test]
fn transit_that_is_sealed_denies_or_is_gone_is_an_outage_without_secrets_in_its_words() {
    let (runtime, server) = (runtime(), Server::new());
    let address =
        server.start(&runtime, Router::new().route("/v1/transit/{operation}/{key}", post(transit_call)));
    let config = Transit {
        address: format!("http://{address}"),
        token: Secret::new("s.secret"),
        ..Transit::default()
    };
    let open = |config: &Transit| {
        transit::Client::new(config, Duration::from_secs(5), runtime.handle().clone()).unwrap()
    };
    let client = open(&config);
    let (_, wrapped) = client.data_key("psn_v1_a").unwrap();
    for status in [403, 404, 429, 500, 503] {
        server.status.store(status, Ordering::Relaxed);
        for error in
            [client.data_key("psn_v1_a").unwrap_err(), client.unwrap("psn_v1_a", &wrapped).unwrap_err()]
        {
            assert_eq!(error.code(), "DEID-302");
            let text = error.to_string();
            assert!(text.ends_with(&format!("HTTP status {status}")) && !text.contains("s.secret"), "{text}");
        }
    }
    // A key of a type without associated data: for an operator too.
    server.status.store(400, Ordering::Relaxed);
    assert_eq!(client.data_key("psn_v1_a").unwrap_err().code(), "DEID-302");
    let nobody = open(&Transit { address: "http://127.0.0.1:1".into(), ..config.clone() });
    let error = nobody.data_key("psn_v1_a").unwrap_err();
    assert_eq!(error, Error::KeyService { detail: "transit encrypt: no connection".into() });
    let no_token = open(&Transit { token_path: Some("/nowhere".into()), ..config });
    assert_eq!(no_token.data_key("psn_v1_a").unwrap_err().code(), "DEID-302");
}

/// `TrentService` of AWS: JSON 1.1, the operation in `X-Amz-Target`.
async fn kms_call(
    State(server): State<Server>,
    headers: HeaderMap,
    body: String,
) -> Result<axum::Json<Value>, (StatusCode, axum::Json<Value>)> {
    let body: Value = serde_json::from_str(&body).unwrap();
    let operation = headers["x-amz-target"].to_str().unwrap().to_owned();
    let refuse =
        |status, kind: &str| (status, axum::Json(json!({"__type": kind, "message": "arn:aws:kms:secret"})));
    server.note(&operation, headers, &body).map_err(|status| refuse(status, "KMSInvalidStateException"))?;
    let context = body["EncryptionContext"].to_string();
    if operation == "TrentService.GenerateDataKey" {
        let plaintext = STANDARD.encode([7u8; 32]);
        let sealed = STANDARD.encode(format!("{context}|{plaintext}"));
        return Ok(axum::Json(json!({"KeyId": "arn:k", "Plaintext": plaintext, "CiphertextBlob": sealed})));
    }
    let sealed = STANDARD.decode(body["CiphertextBlob"].as_str().unwrap()).unwrap();
    let sealed = String::from_utf8(sealed).unwrap();
    match sealed.rsplit_once('|') {
        Some((bound, plaintext)) if bound == context => Ok(axum::Json(
            json!({"KeyId": "arn:k", "Plaintext": plaintext, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
        )),
        _ => Err(refuse(StatusCode::BAD_REQUEST, "InvalidCiphertextException")),
    }
}

fn kms(runtime: &Runtime, address: &str) -> aws_kms::Client {
    let sdk = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .endpoint_url(address)
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .build();
    let config = AwsKms { key_id: "alias/ward".into(), ..AwsKms::default() };
    aws_kms::Client::with_sdk(&config, runtime.handle().clone(), aws_sdk_kms::Client::from_conf(sdk))
}

#[test]
fn kms_gives_data_keys_bound_to_the_pseudonym() {
    let (runtime, server) = (runtime(), Server::new());
    let address = server.start(&runtime, Router::new().route("/", post(kms_call)));
    let client = kms(&runtime, &format!("http://{address}"));
    let (key, wrapped) = client.data_key("psn_v1_a").unwrap();
    let (operation, headers, body) = server.last();
    assert_eq!(operation, "TrentService.GenerateDataKey");
    assert!(headers["authorization"].to_str().unwrap().starts_with("AWS4-HMAC-SHA256 Credential=id/"));
    let expected = json!({"KeyId": "alias/ward", "KeySpec": "AES_256", "EncryptionContext": {"wardstream:pseudonym": "psn_v1_a"}});
    assert_eq!(body, expected);
    assert_eq!(client.unwrap("psn_v1_a", &wrapped).unwrap().expose(), key.expose());
    let (operation, _, body) = server.last();
    assert_eq!((operation.as_str(), &body["KeyId"]), ("TrentService.Decrypt", &json!("alias/ward")));
    assert_eq!(client.unwrap("psn_v1_b", &wrapped).unwrap_err().code(), "DEID-301");

    server.status.store(400, Ordering::Relaxed);
    let error = client.data_key("psn_v1_a").unwrap_err();
    assert_eq!(error, Error::KeyService { detail: "kms GenerateDataKey: KMSInvalidStateException".into() });
    assert_eq!(client.unwrap("psn_v1_a", &wrapped).unwrap_err().code(), "DEID-302");
    let error = kms(&runtime, "http://127.0.0.1:1").data_key("psn_v1_a").unwrap_err();
    assert_eq!(
        error,
        Error::KeyService { detail: "kms GenerateDataKey: no connection or no credentials".into() }
    );
}

#[test]
fn a_redactor_seals_with_a_remote_key_and_asks_once_a_patient() {
    let (runtime, server) = (runtime(), Server::new());
    let address =
        server.start(&runtime, Router::new().route("/v1/transit/{operation}/{key}", post(transit_call)));
    let deid = Deid {
        key: Secret::new("07".repeat(32)),
        key_service: KeyService {
            service: Keeper::Transit,
            transit: Transit {
                address: format!("http://{address}"),
                token: Secret::new("t"),
                ..Transit::default()
            },
            ..KeyService::default()
        },
        ..Deid::default()
    };
    assert!(deid.key_service.check(&deid).is_ok(), "no key in a file is needed");
    let vault = deid.key_service.open(&deid, runtime.handle()).unwrap();
    let redactor = deid.redactor(Some(vault.clone()), None).unwrap();
    let patient = json!({"resourceType": "Patient", "identifier": [{"system": "urn:oid:1", "value": "4711"}], "birthDate": "1970-01-01"});
    let entries: Vec<VaultEntry> =
        (0..3).flat_map(|_| redactor.redact_bundle(&patient).unwrap().vault).collect();
    assert_eq!(server.seen.lock().unwrap().len(), 1);
    assert_eq!(open_vault_entry(vault.as_ref(), &entries[2]).unwrap()["birthDate"], "1970-01-01");

    // Down: the redactor says so, and not that the record is at fault.
    server.status.store(503, Ordering::Relaxed);
    assert!(redactor.redact_bundle(&patient).is_ok(), "the key of a patient who is known is still held");
    let other = json!({"resourceType": "Patient", "identifier": [{"system": "urn:oid:1", "value": "4712"}]});
    assert_eq!(redactor.redact_bundle(&other).unwrap_err().code(), "DEID-302");
}
