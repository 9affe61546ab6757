//! A topic read as state.

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use rdkafka::util::Timeout;
use stream::{Outgoing, Table};

use crate::bench::Bench;

#[test]
fn a_table_reads_what_is_committed_behind_an_open_transaction() {
    let Some(bench) = Bench::start() else { return };
    bench.topics(1);
    let producer: ThreadedProducer<_> = ClientConfig::new()
        .set("bootstrap.servers", &bench.config.bootstrap_servers)
        .set("transactional.id", "slow")
        .create_with_context(rdkafka::producer::DefaultProducerContext)
        .unwrap();
    producer.init_transactions(Timeout::Never).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<[u8], [u8]>::to("line.dropped").payload(b"open")).unwrap();
    producer.flush(Timeout::Never).unwrap();
    bench.publisher().publish_blocking(&Outgoing::new("line.dropped", None, b"behind".to_vec())).unwrap();

    let table = Table::new("line.dropped", None, &bench.config).unwrap();
    let reader = std::thread::spawn(move || {
        let mut read = Vec::new();
        table.catch_up(|record| read.push(record.value.clone().unwrap())).unwrap();
        read
    });
    producer.commit_transaction(Timeout::Never).unwrap();
    assert_eq!(reader.join().unwrap(), [b"open".to_vec(), b"behind".to_vec()]);
}
