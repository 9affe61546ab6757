//! What librdkafka tells a consumer beside records: rebalances, errors, statistics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::Observer;

/// Name of the broker among a service's dependencies.
pub(crate) const KAFKA: &str = "kafka";

/// What a consumer does when partitions come and go. Called on the polling thread.
pub(crate) trait Assignments: Send + Sized + 'static {
    /// New partitions; fetching begins after this returns.
    fn assigned(&mut self, partitions: &TopicPartitionList);
    /// Partitions go to another member: what is finished can still be committed.
    fn revoked(&mut self, consumer: &BaseConsumer<GroupContext<Self>>, partitions: &TopicPartitionList);
    /// Partitions went to another member already: nothing can be committed.
    fn lost(&mut self, partitions: &TopicPartitionList);
    /// Whether records of everything that was assigned can be taken on.
    fn is_settled(&self) -> bool {
        true
    }
    /// Records of a partition that were read and have no fate yet: they count as lag.
    fn unfinished(&self, _topic: &str, _partition: i32) -> usize {
        0
    }
}

/// The context of a group member. The owner thread and the callbacks, which run on the same thread inside `poll`,
/// take turns with the state.
pub(crate) struct GroupContext<A> {
    state: Mutex<A>,
    observer: Observer,
    /// Whether the group gave this member its share, which may be no partition at all. Until then a broker that
    /// answers does not make the stage ready: what is published meanwhile waits for a group to form.
    joined: AtomicBool,
}

impl<A> GroupContext<A> {
    pub(crate) fn new(state: A, observer: Observer) -> Self {
        observer.waiting(KAFKA, "joining the consumer group");
        Self { state: Mutex::new(state), observer, joined: AtomicBool::new(false) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, A> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Assignments> GroupContext<A> {
    /// Notes that the broker answered.
    pub(crate) fn reachable(&self) {
        if self.joined.load(Ordering::Relaxed) && self.state().is_settled() {
            self.observer.ready(KAFKA);
        }
    }
}

impl<A: Assignments> ClientContext for GroupContext<A> {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "consumer reports");
        if matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::Resolve
            )
        ) {
            self.observer.waiting(KAFKA, &error.to_string());
        }
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.state == "UP" && broker.nodeid >= 0) {
            self.reachable();
        }
        for (topic, statistics) in &statistics.topics {
            for (partition, statistics) in &statistics.partitions {
                if *partition < 0 || statistics.fetch_state == "none" {
                    continue;
                }
                // At the end of the log the application offset is below it by the control records of
                // transactions, which nobody can read (librdkafka 3917).
                let end = statistics.ls_offset;
                let at_end = statistics.eof_offset >= end;
                let next = statistics.app_offset.max(statistics.committed_offset);
                if end >= 0 && next >= 0 {
                    let unread = if at_end && statistics.fetchq_cnt == 0 { 0 } else { (end - next).max(0) };
                    let unfinished = self.state().unfinished(topic, *partition);
                    let lag = unread.saturating_add(i64::try_from(unfinished).unwrap_or(i64::MAX));
                    self.observer.metrics().set_lag(topic, *partition, lag);
                }
            }
        }
    }
}

impl<A: Assignments> ConsumerContext for GroupContext<A> {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                self.joined.store(true, Ordering::Relaxed);
                self.state().assigned(partitions);
                self.reachable();
            }
            Rebalance::Revoke(partitions) if consumer.assignment_lost() => {
                self.joined.store(false, Ordering::Relaxed);
                self.observer.waiting(KAFKA, "joining the consumer group again");
                self.state().lost(partitions);
            }
            Rebalance::Revoke(partitions) => self.state().revoked(consumer, partitions),
            Rebalance::Error(error) => tracing::warn!(target: "kafka", %error, "rebalance failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::statistics::Broker;
    use telemetry::{Health, Metrics};

    use super::*;

    struct Nothing;

    impl Assignments for Nothing {
        fn assigned(&mut self, _: &TopicPartitionList) {}
        fn revoked(&mut self, _: &BaseConsumer<GroupContext<Self>>, _: &TopicPartitionList) {}
        fn lost(&mut self, _: &TopicPartitionList) {}
    }

    #[test]
    fn a_broker_that_answers_makes_no_member_ready_before_it_joined() {
        let health = Health::new();
        let observer = Observer::new("t", Metrics::new().stage("t"), health.clone());
        let context = GroupContext::new(Nothing, observer);
        let consumer: BaseConsumer<_> =
            ClientConfig::new().set("group.id", "t").create_with_context(context).unwrap();
        let context = consumer.context();
        let up = Statistics {
            brokers: [("1".to_owned(), Broker { state: "UP".to_owned(), nodeid: 1, ..Broker::default() })]
                .into(),
            ..Statistics::default()
        };
        context.stats(up.clone());
        assert!(!health.report().ready);
        // With more members than partitions a share is empty.
        context.pre_rebalance(&consumer, &Rebalance::Assign(&TopicPartitionList::new()));
        assert!(health.report().ready);
        context.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "");
        assert!(!health.report().ready);
        context.stats(up);
        assert!(health.report().ready);
    }
}
