use std::time::Duration;

use rdkafka::error::KafkaError;

use crate::machine::Failure;

/// What ends a service. Everything else is waited for or becomes a record's fate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client could not be made: a property is wrong.
    #[error("kafka client could not be created; check the kafka section of the configuration")]
    Client(#[source] KafkaError),
    /// Kafka refused for good, for instance because an authorisation is missing.
    #[error("kafka refused: {context}: {detail}")]
    Refused {
        /// What was being done.
        context: &'static str,
        /// Why, in Kafka's words.
        detail: String,
    },
    /// No transaction could be committed for [`commit_timeout`](crate::Tuning::commit_timeout). What was not
    /// committed is read again by the next instance.
    #[error("nothing could be committed for {} s", .0.as_secs())]
    Stuck(Duration),
    /// A call to Kafka failed.
    #[error("kafka: {context}")]
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
    /// A record took longer than the drain may. What was not committed is read again by the next instance.
    #[error("drain did not finish in time; what is not committed is left to the next instance")]
    Drain,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(context, trouble) => Self::Refused { context, detail: trouble.detail },
            Failure::Stuck(bound) => Self::Stuck(bound),
        }
    }
}
