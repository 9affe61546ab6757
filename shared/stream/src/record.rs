use std::sync::Arc;

use rdkafka::Message;
use rdkafka::message::Headers;

/// A record as it was read.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Topic it was read from.
    pub topic: Arc<str>,
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Broker or producer timestamp, milliseconds since the epoch; 0 when the record has none.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Incoming {
    pub(crate) fn copy<M: Message>(message: &M, topic: Arc<str>) -> Self {
        Self {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().map_or_else(Vec::new, |headers| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                    .collect()
            }),
        }
    }

    /// The last header of this name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| std::str::from_utf8(value.as_deref()?).ok())
    }

    /// Bytes that the record holds in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        let bytes = |field: &Option<Vec<u8>>| field.as_ref().map_or(0, Vec::len);
        bytes(&self.key)
            + bytes(&self.value)
            + self.headers.iter().map(|(name, value)| name.len() + bytes(value)).sum::<usize>()
    }
}

/// A record to be written. The runtime adds the lineage headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Topic to write to.
    pub topic: String,
    /// Key: records of one key keep their order.
    pub key: Option<Vec<u8>>,
    /// Value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Further headers; never an identifier.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Outgoing {
    /// A record with a value and no further headers.
    #[must_use]
    pub fn new(topic: impl Into<String>, key: Option<Vec<u8>>, value: Vec<u8>) -> Self {
        Self { topic: topic.into(), key, value: Some(value), headers: Vec::new() }
    }

    pub(crate) fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }
}
