//! Keepers of the key-encryption key of the identity vault.
//!
//! | keeper | where the key-encryption key is |
//! | --- | --- |
//! | `file` | in a file of this machine, read at the start |
//! | `transit` | in the Transit engine of HashiCorp Vault or OpenBao; it never leaves it |
//! | `aws-kms` | in AWS KMS; it never leaves it |

mod aws_kms;
mod cache;
#[cfg(test)]
mod tests;
mod transit;

use std::sync::Arc;

use deid::{FileKeyEncryption, KeyEncryption};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{Duration, Error};
use tokio::runtime::Handle;

use crate::Deid;
pub use aws_kms::AwsKms;
use cache::Cached;
pub use transit::Transit;

/// What keeps the key-encryption key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyService {
    /// Who keeps it.
    pub service: Keeper,
    /// How long one call of a remote keeper may take.
    pub timeout: Duration,
    /// How many patients' data keys are held in memory, so that not every message is a call.
    pub cached_keys: usize,
    /// How long a data key is held at most.
    pub cache_age: Duration,
    /// Transit engine of HashiCorp Vault or OpenBao.
    pub transit: Transit,
    /// AWS KMS.
    pub aws_kms: AwsKms,
}

/// A keeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keeper {
    /// `deid.vault_key`.
    #[default]
    File,
    /// The Transit engine of HashiCorp Vault or OpenBao.
    Transit,
    /// AWS KMS.
    AwsKms,
}

impl Default for KeyService {
    fn default() -> Self {
        Self {
            service: Keeper::default(),
            timeout: Duration::from_secs(5),
            cached_keys: 10_000,
            cache_age: Duration::from_secs(15 * 60),
            transit: Transit::default(),
            aws_kms: AwsKms::default(),
        }
    }
}

impl KeyService {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The faults of the keeper that is chosen.
    pub(crate) fn check(&self, deid: &Deid) -> Result<(), Vec<Error>> {
        match self.service {
            Keeper::File => deid.vault_keys().map(drop).map_err(|error| vec![error]),
            Keeper::Transit => self.transit.check(),
            Keeper::AwsKms => self.aws_kms.check(),
        }
    }

    /// The keeper. `runtime` runs the calls of a remote one.
    ///
    /// # Errors
    /// When a key is missing or a client cannot be made.
    pub fn open(&self, deid: &Deid, runtime: &Handle) -> Result<Arc<dyn KeyEncryption>, Error> {
        let timeout = self.timeout.get();
        Ok(match self.service {
            Keeper::File => {
                let (key, former) = deid.vault_keys()?;
                self.cached(FileKeyEncryption::new(key, rand::random).with_former(former))
            }
            Keeper::Transit => self.cached(transit::Client::new(&self.transit, timeout, runtime.clone())?),
            Keeper::AwsKms => self.cached(aws_kms::Client::new(&self.aws_kms, timeout, runtime.clone())),
        })
    }

    fn cached(&self, keeper: impl KeyEncryption + 'static) -> Arc<dyn KeyEncryption> {
        Arc::new(Cached::new(keeper, self.cached_keys, self.cache_age.get()))
    }
}
