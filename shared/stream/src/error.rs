use rdkafka::error::KafkaError;

/// What ends a service. Everything else is waited for or becomes a record's fate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client could not be made: a property is wrong.
    #[error("kafka client could not be created; check the kafka section of the configuration")]
    Client(#[source] KafkaError),
    /// Kafka refused for good, for instance an authorisation that is missing.
    #[error("kafka refused: {context}")]
    Kafka {
        /// What was being done.
        context: &'static str,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// A topic could not be created or has another shape than its contract.
    #[error("topic {topic}: {detail}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong.
        detail: String,
    },
    /// A thread could not be started or died.
    #[error("{0} thread failed")]
    Thread(&'static str),
    /// The drain took longer than it may. What was not committed is read again by the next instance.
    #[error("drain did not finish in time; {pending} records are left for the next instance")]
    Drain {
        /// Records admitted and not committed.
        pending: usize,
    },
}
