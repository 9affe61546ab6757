//! A record that ends the whole process is found and given up; everything else goes on.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use contracts::dead_letter_topic;
use contracts::headers::{ERROR_CODE, SOURCE_OFFSET};
use stream::Config;

use crate::bench::{Bench, Work, copy, wait};

/// Tells a copy of this test binary that it is to be the member that dies, and where its broker and registry are.
const CHILD: &str = "WARDSTREAM_TEST_CHILD";
const POISON: &[u8] = b"poison";

#[test]
fn a_record_that_kills_its_process_is_dead_lettered() {
    if let Ok(address) = std::env::var(CHILD) {
        die_of_poison(&address);
    }
    let Some(bench) = Bench::start() else { return };
    bench.topics(1);
    bench.feed(0, 20, 5);
    let publisher = bench.publisher();
    publisher
        .publish_blocking(&stream::Outgoing::new("in", Some(b"key-1".to_vec()), POISON.to_vec()))
        .unwrap();
    bench.feed(20, 40, 5);

    let mut child = spawn(&bench);
    let mut deaths = 0;
    wait("the poison to be given up", || {
        if child.try_wait().unwrap().is_some() {
            deaths += 1;
            child = spawn(&bench);
        }
        !bench.read(&dead_letter_topic("t")).is_empty() && bench.read("out").len() == 40
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(deaths, 2 * MAX_ATTEMPTS, "so many to find it, and as many to be sure");
    let letters = bench.read(&dead_letter_topic("t"));
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].header(ERROR_CODE), letters[0].header(SOURCE_OFFSET)),
        (Some("STREAM-904"), Some("20"))
    );
    crate::bench::check_each_once_in_order(&bench.read("out"), 40);
}

const MAX_ATTEMPTS: u32 = 2;

fn spawn(bench: &Bench) -> Child {
    let registry = bench.registry_url();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "deaths::a_record_that_kills_its_process_is_dead_lettered", "--nocapture"])
        .env(CHILD, format!("{} {registry}", bench.kafka.bootstrap_servers()))
        // Its end is this process's: the pipe closes.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The child: a member that dies of the poison.
fn die_of_poison(address: &str) -> ! {
    let (servers, registry) = address.split_once(' ').unwrap();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let mut config = Config { bootstrap_servers: servers.to_owned(), ..Config::default() };
    config.tuning.max_attempts = MAX_ATTEMPTS;
    // A member that died is missed soon.
    config.tuning.session_timeout = settings::Duration::from_secs(6);
    config.tuning.transaction_timeout = settings::Duration::from_secs(3);
    let work: Arc<Work> = Arc::new(|record, _| {
        if record.value.as_deref() == Some(POISON) {
            std::process::abort();
        }
        Ok(copy(record))
    });
    Bench::run_alone(&config, registry, work);
    std::process::exit(0);
}
