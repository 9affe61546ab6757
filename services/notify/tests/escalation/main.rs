//! Escalation and acknowledgement on Apache Kafka and a mail server, with `wardstream-notify` as processes of its own.
//!
//! Says in one line that it was skipped where the environment names no Kafka.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skipped"
)]

mod bench;

use contracts::NotificationAcknowledged;

use crate::bench::{Bench, Event};

/// Nobody has so long.
const NEVER: &str = "1h";

#[test]
fn who_does_not_acknowledge_is_passed_over_and_who_does_ends_it() {
    let routing = format!(
        r#"
        [[route]]
        specialty = "cardiology"
        to = ["ward"]
        tier = [{{ after = "200ms", to = ["first", "duty"] }}, {{ after = "300ms", to = ["second"] }}]
        [[route]]
        specialty = "neurology"
        to = ["ward"]
        tier = [{{ after = "{NEVER}", to = ["first"] }}]
        [[route]]
        specialty = "urology"
        to = ["away"]
        tier = [{{ after = "200ms", to = ["second"] }}]
        "#
    );
    let Some(mut bench) = Bench::start(&routing) else { return };
    let mut instance = bench.instance();

    // Acknowledged by whoever was told first: nobody else is told, and it is closed.
    let answered = bench.publish(Event { specialty: "neurology", urgency: "emergent" });
    let mail = bench.mail_of(&answered, "ward");
    assert!(mail.subject.starts_with("[Emergent] "), "{}", mail.subject);
    let link = bench::link(&mail);
    assert!(!link.contains(&answered), "{link}");
    let (status, page) = bench.get(&link);
    assert!(
        status == 200 && page.contains("method=\"post\"") && !page.contains(&answered),
        "{status} {page}"
    );
    assert!(bench.acknowledgements().is_empty(), "a scanner that follows the link acknowledges nothing");
    let (status, page) = bench.post(&link);
    assert!(status == 200 && !page.contains("<form"), "{status} {page}");
    let acknowledged: Vec<NotificationAcknowledged> = bench.acknowledgements();
    assert_eq!((acknowledged.len(), acknowledged[0].step), (1, 0));
    assert_eq!(acknowledged[0].event_id, answered);
    bench.wait("the acknowledged event to be closed", |bench| bench.is_closed(&answered));
    assert_eq!(bench.post(&link).0, 200, "a second press is no error");

    // A link that was changed, and a path without one.
    let forged = link.replace("/a/", "/a/A");
    assert_eq!((bench.get(&forged).0, bench.post(&forged).0), (404, 404));
    assert_eq!(bench.get(link.rsplit_once("/a/").unwrap().0).0, 404);

    // Not acknowledged: every tier is told, in order and once, and then it is unanswered until somebody is late.
    let silent = bench.publish(Event { specialty: "cardiology", urgency: "emergent" });
    let first = bench.mail_of(&silent, "first");
    assert!(first.subject.starts_with("[Emergent, not acknowledged] "), "{}", first.subject);
    assert_eq!(first.to, ["first@hospital.example", "duty@hospital.example"]);
    let last = bench.mail_of(&silent, "second");
    bench.wait("the event to be unanswered", |bench| {
        bench.metric("wardstream_unanswered_total") == Some(1.0)
            && bench.metric("wardstream_escalations_open{step=\"unanswered\"}") == Some(1.0)
    });
    assert_eq!(bench.metric("wardstream_escalations_total{step=\"2\",outcome=\"told\"}"), Some(1.0));
    assert_eq!(bench.post(&bench::link(&last)).0, 200);
    bench.wait("the late acknowledgement", |bench| bench.is_closed(&silent));
    assert_eq!(bench.metric("wardstream_acknowledge_seconds_count"), Some(2.0));

    // What does not escalate has no link.
    let routine = bench.publish(Event { specialty: "cardiology", urgency: "urgent" });
    assert!(!bench.mail_of(&routine, "ward").text.unwrap().contains("Acknowledge"));

    // A channel that is away holds its event up, and keeps nobody further up from hearing.
    let held_up = bench.publish(Event { specialty: "urology", urgency: "emergent" });
    bench.mail_of(&held_up, "second");

    let told = |event: &str| bench.mails_of(event).len();
    assert_eq!([told(&answered), told(&silent), told(&routine), told(&held_up)], [1, 3, 1, 1]);
    assert_eq!(bench.mail.duplicates(), 0);
    bench.recorded_once(&[&answered, &silent, &routine, &held_up]);
    instance.kill();
}

/// An instance that is frozen beyond its session still has its partitions and an old standing in memory when it goes on.
#[test]
fn an_instance_that_lost_its_partitions_unawares_tells_nobody_again() {
    let routing = r#"
        [[route]]
        specialty = "cardiology"
        to = ["ward"]
        tier = [{ after = "15s", to = ["first"] }, { after = "500ms", to = ["second"] }]
    "#;
    let Some(mut bench) = Bench::start(routing) else { return };
    let mut frozen = bench.instance();
    let event = bench.publish(Event { specialty: "cardiology", urgency: "emergent" });
    let mail = bench.mail_of(&event, "ward");
    bench.wait("the event to be open", |bench| bench.is_open(&event));
    frozen.freeze();
    assert_eq!(bench.mails_of(&event).len(), 1, "frozen before the first tier is due");

    let mut other = bench.instance_beside();
    bench.mail_of(&event, "second");
    frozen.thaw();
    // The link leads to the one that was frozen, which answers for all that.
    assert_eq!(bench.post(&bench::link(&mail)).0, 200);
    bench.wait("the event to be closed", |bench| bench.is_closed(&event));
    let next = bench.publish(Event { specialty: "cardiology", urgency: "urgent" });
    bench.mail_of(&next, "ward");
    bench.wait("the event to stay closed", |bench| bench.is_closed(&event));
    assert_eq!((bench.mails_of(&event).len(), bench.mail.duplicates()), (3, 0));
    frozen.kill();
    other.kill();
}

/// Held for the digest, by an instance that is killed meanwhile, and sent by the next one: each event once.
#[test]
fn what_is_held_goes_out_in_a_digest_whoever_held_it() {
    let routing = format!(
        r#"
        [[route]]
        urgency = "routine"
        add = true
        to = ["duty"]
        [hold]
        time_zone = "UTC"
        [hold.recipients.duty]
        digest = {}
        "#,
        bench::times_from_now(20, 5, 30)
    );
    let Some(mut bench) = Bench::start(&routing) else { return };
    let mut one = bench.instance();
    let events = ["cardiology", "neurology", "urology"]
        .map(|specialty| bench.publish(Event { specialty, urgency: "routine" }));
    for event in &events {
        assert_eq!(bench.mail_of(event, "ward").to, ["ward@hospital.example"], "the others are told at once");
    }
    let urgent = bench.publish(Event { specialty: "cardiology", urgency: "urgent" });
    bench.mail_of(&urgent, "ward");
    bench.wait("the events to be held", |bench| bench.held() == events.len());
    one.kill();

    let mut two = bench.instance();
    let listed = |bench: &Bench| bench.listed_in_digests("duty");
    bench.wait("the digest", |bench| events.iter().all(|event| listed(bench).contains(event)));
    let mut told = listed(&bench);
    told.sort();
    let mut expected = events.to_vec();
    expected.sort();
    assert_eq!(told, expected, "each once");
    bench.wait("the state of the digest", |bench| bench.digests_are_settled());
    two.kill();
    assert_eq!(bench.mail.duplicates(), 0);

    // The next one has nothing to send again.
    let mut three = bench.instance();
    let last = bench.publish(Event { specialty: "urology", urgency: "routine" });
    bench.wait("the next digest", |bench| listed(bench).contains(&last));
    assert_eq!(listed(&bench).len(), events.len() + 1);
    three.kill();
}

#[test]
fn another_instance_takes_over_from_one_that_is_killed() {
    let routing = r#"
        [[route]]
        specialty = "cardiology"
        to = ["ward"]
        tier = [{ after = "15s", to = ["first"] }, { after = "500ms", to = ["second"] }]
    "#;
    let Some(mut bench) = Bench::start(routing) else { return };
    let mut one = bench.instance();
    let event = bench.publish(Event { specialty: "cardiology", urgency: "emergent" });
    bench.mail_of(&event, "ward");
    bench.wait("the event to be open", |bench| bench.is_open(&event));
    one.kill();
    assert_eq!(bench.mails_of(&event).len(), 1, "killed before the first tier is due");

    let mut two = bench.instance();
    bench.mail_of(&event, "first");
    let last = bench.mail_of(&event, "second");
    assert_eq!(bench.post(&bench::link(&last)).0, 200);
    bench.wait("the event to be closed", |bench| bench.is_closed(&event));
    two.kill();
    assert_eq!((bench.mails_of(&event).len(), bench.mail.duplicates()), (3, 0));

    // One that comes later finds nothing to do: what is closed stays closed.
    let mut three = bench.instance();
    let next = bench.publish(Event { specialty: "cardiology", urgency: "urgent" });
    bench.mail_of(&next, "ward");
    assert_eq!(bench.mails_of(&event).len(), 3);
    three.kill();
}
