//! Legal hold: an object under one is kept whatever its retention says, until the hold is taken away.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{ObjectLockLegalHold, ObjectLockLegalHoldStatus};

use super::S3Store;
use crate::error::Error;

impl S3Store {
    /// Whether an object is under legal hold.
    ///
    /// # Errors
    /// Those of the store; [`Error::NotFound`] if there is no such object.
    pub async fn is_held(&self, key: &str) -> Result<bool, Error> {
        match self.client.get_object_legal_hold().bucket(&self.config.bucket).key(key).send().await {
            Ok(output) => Ok(output.legal_hold().and_then(ObjectLockLegalHold::status)
                == Some(&ObjectLockLegalHoldStatus::On)),
            // An object that never was under hold: AWS by the first code, SeaweedFS by the second.
            Err(error)
                if matches!(
                    error.code(),
                    Some("NoSuchObjectLockConfiguration" | "NoSuchObjectLegalHold")
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(self.classify("GetObjectLegalHold", key, error)),
        }
    }

    /// Puts an object under legal hold, or takes the hold away.
    ///
    /// # Errors
    /// Those of the store. Ask [`Self::is_held`] first: of an object that is not there SeaweedFS says that it had an internal error.
    pub async fn set_hold(&self, key: &str, held: bool) -> Result<(), Error> {
        let status = if held { ObjectLockLegalHoldStatus::On } else { ObjectLockLegalHoldStatus::Off };
        let hold = ObjectLockLegalHold::builder().status(status).build();
        let request = self.client.put_object_legal_hold().bucket(&self.config.bucket).key(key);
        match request.legal_hold(hold).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.classify("PutObjectLegalHold", key, error)),
        }
    }
}
