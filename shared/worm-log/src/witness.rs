//! A witness: it cosigns a log's checkpoints as long as each tree begins with the one it cosigned before.

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::cosignature::CosigningKey;
use crate::error::Error;
use crate::proof::extends;
use crate::prove;
use crate::signing::VerifyingKeys;
use crate::store::Store;

/// Looks at a log's last checkpoint and cosigns it; `None` if it is the one that was cosigned `before`.
///
/// What the witness remembers is `before`, and it is the caller's to keep where who runs the log cannot reach it. Without it the
/// first checkpoint is believed, as C2SP tlog-witness has it.
///
/// # Errors
/// [`Error::Refused`] for a log that was cut back, forked, signed by no known key or renamed; those of the store.
pub async fn observe<S: Store>(
    store: &S,
    keys: &VerifyingKeys,
    key: &CosigningKey,
    before: Option<&Checkpoint>,
    now: jiff::Timestamp,
) -> Result<Option<SignedCheckpoint>, Error> {
    let refused = |size, reason| Err(Error::Refused { size, reason });
    let known = before.map_or(0, |before| before.size);
    let signed = match prove::checkpoint(store, None).await? {
        Some(signed) => signed,
        None if before.is_some() => return refused(0, "its checkpoints are gone"),
        None => return Ok(None),
    };
    let Checkpoint { origin, size, root, .. } = signed.checkpoint();
    if !signed.is_signed_by(keys) {
        return refused(*size, "no known key whose signatures count at its time has signed it");
    }
    if let Some(before) = before {
        if *origin != before.origin {
            return refused(*size, "it is the checkpoint of another log");
        }
        if *size < known {
            return refused(*size, "the log was cut back: a larger tree was cosigned before");
        }
        if *size == known {
            let same = *root == before.root;
            return if same {
                Ok(None)
            } else {
                refused(*size, "the log was forked: another tree of this size was cosigned")
            };
        }
        let path = match prove::prove_consistency(store, known, *size).await {
            // Without the tiles there is no proof, and without a proof no cosignature.
            Err(Error::NotFound { .. } | Error::Proof { .. }) => Vec::new(),
            path => path?,
        };
        if !extends(*size, root, known, &before.root, &path) {
            return refused(
                *size,
                "the log was forked: its tree does not begin with the one that was cosigned",
            );
        }
    }
    key.cosign(&signed, now).map(Some)
}
