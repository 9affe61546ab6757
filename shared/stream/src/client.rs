//! What librdkafka tells a consumer beside records: rebalances, errors, statistics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::broker::Trouble;
use crate::{Observer, ffi};

/// Name of the broker among a service's dependencies.
pub(crate) const KAFKA: &str = "kafka";

/// Why a consumer is of no more use, if it is: another of its name took its place, for instance. librdkafka tells that
/// behind everything else that it has to tell, so it is asked.
pub(crate) fn done_for<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Trouble> {
    let (_, detail) = consumer.client().fatal_error()?;
    Some(Trouble { detail, refused: true })
}

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
    /// As which member it was given what it holds.
    member: Mutex<String>,
}

impl<A> GroupContext<A> {
    pub(crate) fn new(state: A, observer: Observer) -> Self {
        observer.waiting(KAFKA, "joining the consumer group");
        let (state, member) = (Mutex::new(state), Mutex::default());
        Self { state, observer, joined: AtomicBool::new(false), member }
    }

    fn member(&self) -> MutexGuard<'_, String> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, A> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Assignments> GroupContext<A> {
    /// Whether the consumer is still the member that was given what it holds. Ask after everything that was taken from
    /// it, or it can change in between.
    pub(crate) fn is_same_member(&self, consumer: &BaseConsumer<Self>) -> bool {
        ffi::member_id(consumer.client()) == *self.member()
    }

    /// A new member begins with nothing, and others may have had the partitions since. librdkafka 2.12 lets a static
    /// member that the coordinator forgot while it was joining keep them, without a word: it would go on where it was,
    /// and write what others wrote meanwhile once more. So they count as lost, and are read again from the committed
    /// offset.
    fn begin_anew(&self, consumer: &BaseConsumer<Self>) {
        let now = ffi::member_id(consumer.client());
        if now == *self.member() {
            return;
        }
        let mut kept = TopicPartitionList::new();
        for element in consumer.assignment().iter().flat_map(|held| held.elements()) {
            // Without an offset, so that the committed one counts.
            kept.add_partition(element.topic(), element.partition());
        }
        if kept.count() > 0 {
            let anew = consumer.incremental_unassign(&kept).and_then(|()| consumer.incremental_assign(&kept));
            if let Err(error) = anew {
                // Nothing can be committed as this member then, which ends the process in time.
                tracing::error!(target: "kafka", %error, "partitions cannot be read anew");
                return;
            }
            let mut state = self.state();
            state.lost(&kept);
            state.assigned(&kept);
        }
        *self.member() = now;
    }

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
                self.begin_anew(consumer);
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
    use std::time::{Duration, Instant};

    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::statistics::Broker;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};
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

    /// What it was told: how many partitions were assigned, or lost (below zero).
    #[derive(Default)]
    struct Told(Vec<i64>);

    impl Assignments for Told {
        fn assigned(&mut self, partitions: &TopicPartitionList) {
            self.0.push(partitions.count() as i64);
        }
        fn revoked(&mut self, _: &BaseConsumer<GroupContext<Self>>, _: &TopicPartitionList) {}
        fn lost(&mut self, partitions: &TopicPartitionList) {
            self.0.push(-(partitions.count() as i64));
        }
    }

    /// A static member of a group at librdkafka's own broker in this process.
    fn member(cluster: &MockCluster<'_, DefaultProducerContext>) -> BaseConsumer<GroupContext<Told>> {
        cluster.create_topic("in", 2, 1).unwrap();
        let observer = Observer::new("t", Metrics::new().stage("t"), Health::new());
        let consumer: BaseConsumer<_> = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("group.id", "t")
            .set("group.instance.id", "one")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("heartbeat.interval.ms", "50")
            // So long the group waits for the member that it forgot.
            .set("session.timeout.ms", "6000")
            .create_with_context(GroupContext::new(Told::default(), observer))
            .unwrap();
        consumer.subscribe(&["in"]).unwrap();
        until(&consumer, |told| told.contains(&2));
        consumer
    }

    fn until(consumer: &BaseConsumer<GroupContext<Told>>, holds: impl Fn(&[i64]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds(&consumer.context().state().0) {
            assert!(Instant::now() < deadline, "{:?}", consumer.context().state().0);
            let _ = consumer.poll(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_static_member_that_was_forgotten_while_it_joined_begins_anew() {
        let cluster = MockCluster::new(1).unwrap();
        let consumer = member(&cluster);
        assert!(consumer.context().is_same_member(&consumer));
        let first = ffi::member_id(consumer.client());
        cluster.request_errors(RDKafkaApiKey::JoinGroup, &[Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
        cluster.request_errors(RDKafkaApiKey::Heartbeat, &[Code::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS]);
        until(&consumer, |told| told.ends_with(&[-2, 2, 0]));
        assert!(consumer.context().is_same_member(&consumer));
        assert_ne!(ffi::member_id(consumer.client()), first);
    }

    #[test]
    fn a_member_whose_place_was_taken_is_done_for_before_it_is_told() {
        let cluster = MockCluster::new(1).unwrap();
        let consumer = member(&cluster);
        assert!(done_for(&consumer).is_none());
        cluster.request_errors(RDKafkaApiKey::Heartbeat, &[Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID]);
        let deadline = Instant::now() + Duration::from_secs(60);
        let trouble = loop {
            // Nobody polls.
            if let Some(trouble) = done_for(&consumer) {
                break trouble;
            }
            assert!(Instant::now() < deadline, "the heartbeat was answered");
            std::thread::yield_now();
        };
        assert!(trouble.refused && trouble.detail.contains("fenced"), "{trouble:?}");
    }
}
