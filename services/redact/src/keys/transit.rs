//! The Transit secrets engine of HashiCorp Vault and OpenBao: `POST /v1/{mount}/encrypt/{key}` and `/decrypt/{key}`.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deid::{DataKey, Error, KeyEncryption};
use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::Secret;
use tokio::runtime::Handle;

/// Where the Transit engine is.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Transit {
    /// Address of the server, `https://vault.example.org:8200`.
    pub address: String,
    /// Path at which the engine is mounted.
    pub mount: String,
    /// Name of the key; its type must be one with associated data (aes256-gcm96, chacha20-poly1305).
    pub key: String,
    /// Namespace (Vault Enterprise, OpenBao); empty means none.
    pub namespace: String,
    /// Token; better `token_path`.
    pub token: Secret,
    /// File with the token, as an agent renews it; read at each call.
    pub token_path: Option<PathBuf>,
    /// File with the certificates (PEM) of who signed the server's; the system's when absent.
    pub ca_path: Option<PathBuf>,
}

impl Default for Transit {
    fn default() -> Self {
        Self {
            address: String::new(),
            mount: "transit".to_owned(),
            key: "wardstream-identity-vault".to_owned(),
            namespace: String::new(),
            token: Secret::default(),
            token_path: None,
            ca_path: None,
        }
    }
}

impl Transit {
    pub(super) fn check(&self) -> Result<(), Vec<settings::Error>> {
        let mut faults = Vec::new();
        let mut need = |holds: bool, key: &str, reason: &str| {
            if !holds {
                faults.push(settings::Error::invalid(format!("deid.key_service.transit.{key}"), reason));
            }
        };
        let address = reqwest::Url::parse(&self.address);
        let is_web = address.is_ok_and(|address| matches!(address.scheme(), "https" | "http"));
        need(is_web, "address", "it is no https:// address");
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        need(is_name(&self.key), "key", "it is no name of a key");
        need(self.mount.split('/').all(is_name), "mount", "it is no path of an engine");
        need(
            !self.token.is_empty() || self.token_path.is_some(),
            "token_path",
            "neither it nor token is set",
        );
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// The engine's client.
pub(super) struct Client {
    http: reqwest::Client,
    config: Transit,
    runtime: Handle,
}

#[derive(Serialize)]
struct Request<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<&'r str>,
    /// Binds the wrapped key to its pseudonym.
    associated_data: &'r str,
}

#[derive(Deserialize)]
struct Response {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    ciphertext: Option<String>,
    plaintext: Option<String>,
}

/// Why a call failed.
enum Failure {
    /// The input is refused, and will be refused again.
    Input,
    /// Everything else passes: an outage, a sealed server, a token or policy that an operator has to see to.
    Passing(String),
}

impl Client {
    pub(super) fn new(config: &Transit, timeout: Duration, runtime: Handle) -> Result<Self, settings::Error> {
        let invalid = |key: &str, reason: String| {
            settings::Error::invalid(format!("deid.key_service.transit.{key}"), reason)
        };
        let mut http =
            reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &config.ca_path {
            let pem = std::fs::read(path).map_err(|error| invalid("ca_path", error.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|_| invalid("ca_path", "it holds no certificates in PEM".to_owned()))?;
            http = http.tls_certs_only(certificates);
        }
        let http = http.build().map_err(|error| invalid("address", error.to_string()))?;
        Ok(Self { http, config: config.clone(), runtime })
    }

    fn call(&self, operation: &str, request: &Request<'_>) -> Result<Data, Failure> {
        let passing = |what: &str| Failure::Passing(format!("transit {operation}: {what}"));
        let config = &self.config;
        let token = match &config.token_path {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|_| passing("the token's file cannot be read"))?;
                Secret::new(text.trim())
            }
            None => config.token.clone(),
        };
        let address = config.address.trim_end_matches('/');
        let url = format!("{address}/v1/{}/{operation}/{}", config.mount, config.key);
        let mut call =
            self.http.post(url).header("X-Vault-Request", "true").header("X-Vault-Token", token.expose());
        if !config.namespace.is_empty() {
            call = call.header("X-Vault-Namespace", &config.namespace);
        }
        let call = call.json(request);
        self.runtime.block_on(async {
            let response = call.send().await.map_err(|error| passing(reason(&error)))?;
            match response.status() {
                StatusCode::OK => {
                    let response: Response = response
                        .json()
                        .await
                        .map_err(|_| passing("the answer is not that of a Transit engine"))?;
                    Ok(response.data)
                }
                StatusCode::BAD_REQUEST => Err(Failure::Input),
                status => Err(passing(&format!("HTTP status {}", status.as_u16()))),
            }
        })
    }
}

/// Never the error's own text, which may hold an address with credentials.
fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

impl KeyEncryption for Client {
    fn data_key(&self, context: &str) -> Result<(DataKey, Vec<u8>), Error> {
        let key = DataKey::from_bytes(rand::random());
        let (plaintext, context) = (STANDARD.encode(key.expose()), STANDARD.encode(context));
        let request = Request { plaintext: Some(&plaintext), ciphertext: None, associated_data: &context };
        let wrapped = self.call("encrypt", &request).and_then(|data| {
            data.ciphertext
                .ok_or_else(|| Failure::Passing("transit encrypt: no ciphertext in the answer".into()))
        });
        match wrapped {
            Ok(wrapped) => Ok((key, wrapped.into_bytes())),
            // A key of a type that takes no associated data, or none of that name: for an operator, not a fault of the record.
            Err(Failure::Input) => {
                Err(Error::KeyService { detail: "transit encrypt: HTTP status 400".into() })
            }
            Err(Failure::Passing(detail)) => Err(Error::KeyService { detail }),
        }
    }

    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<DataKey, Error> {
        const OPENED: Error = Error::Vault { verb: "opened" };
        let ciphertext = std::str::from_utf8(wrapped).map_err(|_| OPENED)?;
        let context = STANDARD.encode(context);
        let request = Request { plaintext: None, ciphertext: Some(ciphertext), associated_data: &context };
        match self.call("decrypt", &request) {
            Ok(data) => {
                let bytes = data.plaintext.and_then(|text| STANDARD.decode(text).ok());
                let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                bytes.map(DataKey::from_bytes).ok_or(OPENED)
            }
            Err(Failure::Input) => Err(OPENED),
            Err(Failure::Passing(detail)) => Err(Error::KeyService { detail }),
        }
    }
}
