//! A witness cosigns what grows, and refuses what was cut back or forked.

use std::fs;

use crate::support::{fill, sequence, signing_key};
use wardstream_worm_log::{
    Checkpoint, CosigningKey, Error, LocalStore, SignedCheckpoint, VerifyingKeys, WitnessKey, observe,
};

struct Witness {
    key: CosigningKey,
    keys: VerifyingKeys,
    before: Option<Checkpoint>,
}

impl Witness {
    async fn look(&mut self, store: &LocalStore) -> Result<Option<SignedCheckpoint>, Error> {
        let now = jiff::Timestamp::now();
        let cosigned = observe(store, &self.keys, &self.key, self.before.as_ref(), now).await?;
        if let Some(cosigned) = &cosigned {
            assert!(WitnessKey::parse(&self.key.verifying_key()).unwrap().has_cosigned(cosigned));
            self.before = Some(cosigned.checkpoint().clone());
        }
        Ok(cosigned)
    }

    async fn refuses(&mut self, store: &LocalStore, why: &str) {
        let before = self.before.clone();
        let error = self.look(store).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(self.before, before);
    }
}

#[tokio::test]
async fn a_log_that_grows_is_cosigned_and_a_fork_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    fill(&store, 1, 5, 20).await;
    let (key, keys) = signing_key();
    let cosigning = CosigningKey::parse(&CosigningKey::generate("elsewhere.example/w1").unwrap()).unwrap();
    let mut witness = Witness { key: cosigning, keys, before: None };
    assert!(witness.look(&store).await.unwrap().is_none(), "there is no checkpoint yet");
    drop(sequence(&store, &key, 1, [0, 20]).await);
    assert_eq!(witness.look(&store).await.unwrap().unwrap().checkpoint().size, 2);
    assert!(witness.look(&store).await.unwrap().is_none(), "nothing new");
    drop(sequence(&store, &key, 1, [40]).await);
    assert_eq!(witness.look(&store).await.unwrap().unwrap().checkpoint().size, 3);

    let last = folder.path().join(Checkpoint::key(3));
    let note = fs::read(&last).unwrap();
    fs::remove_file(&last).unwrap();
    witness.refuses(&store, "cut back").await;
    let mut text = SignedCheckpoint::from_bytes(&note).unwrap().checkpoint().clone();
    text.root = [7; 32];
    fs::write(&last, text.clone().sign(&key, &witness.keys).unwrap().to_bytes()).unwrap();
    witness.refuses(&store, "another tree of this size").await;
    fs::remove_file(&last).unwrap();
    text.size = 4;
    fs::write(folder.path().join(Checkpoint::key(4)), text.sign(&key, &witness.keys).unwrap().to_bytes())
        .unwrap();
    witness.refuses(&store, "does not begin with").await;
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    witness.refuses(&store, "are gone").await;

    // Made anew from the start by who holds the key, with another order of leaves.
    drop(sequence(&store, &key, 1, [80, 60, 40, 20]).await);
    witness.refuses(&store, "does not begin with").await;
    let (other, others) = signing_key();
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    drop(sequence(&store, &other, 1, [0, 20, 40, 60]).await);
    witness.refuses(&store, "no known key").await;
    witness.keys = others;
    assert_eq!(
        witness.look(&store).await.unwrap().unwrap().checkpoint().size,
        4,
        "the same tree by a new key"
    );
}
