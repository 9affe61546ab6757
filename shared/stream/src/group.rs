//! A consumer group as its coordinator describes it, asked for in a way that is safe in a process that is to stay.
//!
//! librdkafka's `DescribeConsumerGroups` ends the process when the connection to the coordinator breaks at the wrong
//! moment (`rd_kafka_enq_once_del_source_return: Assertion`, librdkafka 4605 and pull request 5397). Its older call
//! asks every broker for its groups and then describes the one; it fails while any broker is away.

use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::KafkaError;

/// What is known of a group that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// `Stable`, `Empty`, `PreparingRebalance` and so on.
    pub(crate) state: String,
    /// Partitions that a member reads.
    pub(crate) assigned: Vec<(String, i32)>,
}

/// Describes a group of the classic protocol; none when there is no such group. Blocks.
pub(crate) fn describe<C: ClientContext>(
    client: &Client<C>,
    name: &str,
    timeout: Duration,
) -> Result<Option<Group>, KafkaError> {
    let list = client.fetch_group_list(Some(name), timeout)?;
    Ok(list.groups().iter().find(|group| group.name() == name).map(|group| {
        let members = group.members().iter().filter_map(|member| member.assignment());
        Group { state: group.state().to_owned(), assigned: members.flat_map(partitions).collect() }
    }))
}

/// The partitions of a member's assignment (`ConsumerProtocolAssignment` of Kafka's protocol, any version: what later
/// ones add stands behind). What cannot be read holds none.
fn partitions(assignment: &[u8]) -> Vec<(String, i32)> {
    let mut bytes = Bytes(assignment);
    read(&mut bytes).unwrap_or_default()
}

fn read(bytes: &mut Bytes<'_>) -> Option<Vec<(String, i32)>> {
    let mut partitions = Vec::new();
    let _version = bytes.short()?;
    for _ in 0..bytes.int()? {
        let length = usize::try_from(bytes.short()?).ok()?;
        let topic = std::str::from_utf8(bytes.take(length)?).ok()?;
        for _ in 0..bytes.int()? {
            partitions.push((topic.to_owned(), bytes.int()?));
        }
    }
    Some(partitions)
}

struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::partitions;

    /// Version 1, `in` with 0 and 7, `a.b` with none, and no user data.
    const ASSIGNMENT: &[u8] =
        b"\0\x01\0\0\0\x02\0\x02in\0\0\0\x02\0\0\0\0\0\0\0\x07\0\x03a.b\0\0\0\0\xff\xff\xff\xff";

    #[test]
    fn an_assignment_is_read() {
        assert_eq!(partitions(ASSIGNMENT), [("in".to_owned(), 0), ("in".to_owned(), 7)]);
        assert!(partitions(b"").is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(cut in 0..ASSIGNMENT.len(), at in 0..ASSIGNMENT.len(), byte: u8) {
            let mut bytes = ASSIGNMENT.to_vec();
            bytes[at] = byte;
            bytes.truncate(cut);
            prop_assert!(partitions(&bytes).len() <= ASSIGNMENT.len());
        }
    }
}
