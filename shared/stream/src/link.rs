//! The real broker behind [`Broker`]: the consumer of the group, and the producer of its transactions.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{Broker, Committed, End, Key, Position, Trouble};
use crate::client::{Assignments, GroupContext};
use crate::lineage::Guard;
use crate::outcome::Output;
use crate::session::Session;
use crate::{Config, Delivery};

/// How long a question to the group's coordinator may take.
const CALL: Duration = Duration::from_secs(10);

/// What a producer of this stage needs to be made, and the one there is.
pub(crate) struct Sessions {
    stage: &'static str,
    config: Config,
    transactional_id: String,
    session: Option<Session>,
}

impl Sessions {
    pub(crate) fn new(stage: &'static str, config: &Config) -> Self {
        // An instance with a stable name fences its own predecessor; one without has a name of its own, and its
        // predecessor is fenced by the group's generation (KIP-447).
        let transactional_id = config.transactional_id(stage, &uuid::Uuid::new_v4().to_string());
        Self { stage, config: config.clone(), transactional_id, session: None }
    }
}

/// Consumer and producer together.
pub(crate) struct Link<'a, A: Assignments> {
    pub(crate) consumer: &'a BaseConsumer<GroupContext<A>>,
    pub(crate) sessions: &'a mut Sessions,
}

impl<A: Assignments> Broker for Link<'_, A> {
    fn open(&mut self) -> Result<(), Trouble> {
        let Sessions { stage, config, transactional_id, session } = &mut *self.sessions;
        if session.is_none() {
            *session = Some(Session::open(config, stage, transactional_id)?);
        }
        Ok(())
    }

    fn commit(&mut self, outputs: &[Output<'_>], positions: &[Position]) -> End {
        let Some(session) = &self.sessions.session else {
            return End::Aborted(Trouble { detail: "there is no producer".to_owned(), refused: false });
        };
        let mut offsets = TopicPartitionList::new();
        for Position { key: (topic, partition), next_offset, metadata } in positions {
            let mut element = offsets.add_partition(topic, *partition);
            element.set_metadata(metadata);
            // An offset below zero would be refused; ours never is.
            let _ = element.set_offset(Offset::Offset(*next_offset));
        }
        let group = self.consumer.group_metadata();
        // What was worked on belongs to the member that this consumer was then.
        if !self.consumer.context().is_same_member(self.consumer) {
            let detail = "this instance became another member of its group".to_owned();
            return End::Aborted(Trouble { detail, refused: false });
        }
        match self.sessions.config.delivery {
            Delivery::Transactional => match group {
                Some(group) => session.commit(outputs, &offsets, &Arc::new(group)),
                None => End::Aborted(Trouble { detail: "not in the group yet".to_owned(), refused: false }),
            },
            Delivery::LineageGuarded => match session.write(outputs) {
                Ok(()) => match self.consumer.commit(&offsets, CommitMode::Sync) {
                    Ok(()) => End::Committed,
                    Err(error) => End::Aborted(error.into()),
                },
                Err(trouble) => End::Unknown(trouble),
            },
        }
    }

    fn abandon(&mut self) {
        self.sessions.session = None;
    }

    fn committed(&mut self, keys: &[Key]) -> Result<Vec<Committed>, Trouble> {
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in keys {
            asked.add_partition(topic, *partition);
        }
        let told = self.consumer.committed_offsets(asked, CALL)?;
        let one = |(topic, partition): &Key| {
            told.find_partition(topic, *partition).map_or_else(Committed::default, |element| {
                let next_offset = match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                };
                let (guard, deaths) = Guard::from_metadata(element.metadata());
                Committed { next_offset, guard, deaths }
            })
        };
        Ok(keys.iter().map(one).collect())
    }
}
