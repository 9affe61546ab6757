//! AWS Key Management Service: `GenerateDataKey` and `Decrypt` with the pseudonym as encryption context.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::error::SdkError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use deid::{DataKey, Error, KeyEncryption};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

/// The name of the encryption context's only pair. Policies can demand it (`kms:EncryptionContextKeys`).
const CONTEXT: &str = "wardstream:pseudonym";

/// Which key in AWS KMS. Credentials and region come from where AWS programs look for them: environment, profile, web identity, container,
/// instance.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AwsKms {
    /// Id, ARN or alias of a symmetric key.
    pub key_id: String,
    /// Region; that of the environment when absent.
    pub region: Option<String>,
    /// Another address than AWS's own, such as that of a VPC endpoint.
    pub endpoint: Option<String>,
}

impl AwsKms {
    pub(super) fn check(&self) -> Result<(), Vec<settings::Error>> {
        if self.key_id.is_empty() {
            return Err(vec![settings::Error::invalid("deid.key_service.aws_kms.key_id", "it is required")]);
        }
        Ok(())
    }
}

/// The service's client.
pub(super) struct Client {
    config: AwsKms,
    timeout: Duration,
    runtime: Handle,
    sdk: OnceCell<aws_sdk_kms::Client>,
}

impl Client {
    pub(super) fn new(config: &AwsKms, timeout: Duration, runtime: Handle) -> Self {
        Self { config: config.clone(), timeout, runtime, sdk: OnceCell::new() }
    }

    /// A client with an SDK that was made elsewhere.
    #[cfg(test)]
    pub(super) fn with_sdk(config: &AwsKms, runtime: Handle, sdk: aws_sdk_kms::Client) -> Self {
        Self { sdk: OnceCell::new_with(Some(sdk)), ..Self::new(config, Duration::from_secs(5), runtime) }
    }

    /// The SDK's client, made at the first call: looking for credentials may need the network.
    async fn sdk(&self) -> &aws_sdk_kms::Client {
        self.sdk
            .get_or_init(|| async {
                let timeouts = TimeoutConfig::builder().operation_timeout(self.timeout).build();
                // The stage tries again itself, in place and with growing waits.
                let retries = aws_config::retry::RetryConfig::disabled();
                let mut loader = aws_config::defaults(BehaviorVersion::latest())
                    .timeout_config(timeouts)
                    .retry_config(retries);
                if let Some(region) = &self.config.region {
                    loader = loader.region(Region::new(region.clone()));
                }
                if let Some(endpoint) = &self.config.endpoint {
                    loader = loader.endpoint_url(endpoint);
                }
                aws_sdk_kms::Client::new(&loader.load().await)
            })
            .await
    }
}

/// The service's code for what happened, or what kept the call from being made. Messages may hold names of accounts: they stay out.
fn detail<E, R>(operation: &str, error: &SdkError<E, R>) -> String
where
    E: aws_sdk_kms::error::ProvideErrorMetadata,
{
    let what = match error {
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(_) => "no connection or no credentials",
        SdkError::ServiceError(context) => context.err().code().unwrap_or("an error without a code"),
        _ => "the call cannot be made or its answer cannot be read",
    };
    format!("kms {operation}: {what}")
}

impl KeyEncryption for Client {
    fn data_key(&self, context: &str) -> Result<(DataKey, Vec<u8>), Error> {
        self.runtime.block_on(async {
            let call = self.sdk().await.generate_data_key().key_id(&self.config.key_id);
            let call = call.key_spec(DataKeySpec::Aes256).encryption_context(CONTEXT, context);
            let answer = call.send().await;
            let answer =
                answer.map_err(|error| Error::KeyService { detail: detail("GenerateDataKey", &error) })?;
            let key = answer.plaintext.and_then(|blob| <[u8; 32]>::try_from(blob.into_inner()).ok());
            let wrapped = answer.ciphertext_blob.map(Blob::into_inner);
            key.map(DataKey::from_bytes).zip(wrapped).ok_or_else(|| Error::KeyService {
                detail: "kms GenerateDataKey: no key in the answer".into(),
            })
        })
    }

    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<DataKey, Error> {
        const OPENED: Error = Error::Vault { verb: "opened" };
        self.runtime.block_on(async {
            let call = self.sdk().await.decrypt().key_id(&self.config.key_id);
            let call = call.ciphertext_blob(Blob::new(wrapped)).encryption_context(CONTEXT, context);
            match call.send().await {
                Ok(answer) => {
                    let key = answer.plaintext.and_then(|blob| <[u8; 32]>::try_from(blob.into_inner()).ok());
                    key.map(DataKey::from_bytes).ok_or(OPENED)
                }
                Err(error) => {
                    let refused = error.as_service_error().is_some_and(|error| {
                        error.is_invalid_ciphertext_exception() || error.is_incorrect_key_exception()
                    });
                    Err(if refused {
                        OPENED
                    } else {
                        Error::KeyService { detail: detail("Decrypt", &error) }
                    })
                }
            }
        })
    }
}
