use proptest::prelude::*;

use super::*;

fn triage(urgency: &str, specialty: &str, facility: &str) -> Triage {
    Triage {
        urgency: urgency.into(),
        specialty: specialty.into(),
        facility: facility.into(),
        message_type: "ORU^R01".into(),
        sentences: vec!["Potassium 6.9 mmol/L, critical.".into()],
        ..Triage::default()
    }
}

fn names(decision: &Decision) -> Vec<String> {
    match decision {
        Decision::Notify(routes) => routes.recipients().into_iter().map(|r| r.name).collect(),
        Decision::Drop(reason) => vec![format!("drop {reason}")],
    }
}

const TABLE: &str = r#"
    [recipients]
    rapid = "rapid@h.example"
    cardio = "cardio@h.example"
    cardio-north = "cardio-north@h.example"
    north = "north@h.example"
    desk = "desk@h.example"
    nurse = "nurse@h.example"
    [triage]
    to = ["nurse"]
    [policy]
    notify = ["emergent", "routine"]
    silent_when_routine = ["SIU", "ADT^A08"]
    [[route]]
    to = ["desk"]
    [[route]]
    specialty = "cardiology"
    to = ["cardio", "desk"]
    [[route]]
    specialty = "cardiology"
    facility = "NORTH"
    to = ["cardio-north"]
    [[route]]
    facility = "NORTH"
    urgency = "emergent"
    to = ["north"]
    [[route]]
    urgency = "emergent"
    add = true
    to = ["rapid", "cardio"]
"#;

#[test]
fn most_specific_route_decides_and_additions_join() {
    let table = RoutingTable::parse(TABLE).unwrap();
    let who = |u, s, f| names(&table.decide(&triage(u, s, f)));
    assert_eq!(who("routine", "urology", "SOUTH"), ["desk"]);
    assert_eq!(who("routine", "cardiology", "SOUTH"), ["cardio", "desk"]);
    assert_eq!(who("routine", "cardiology", "NORTH"), ["cardio-north"]);
    assert_eq!(who("emergent", "urology", "NORTH"), ["north", "rapid", "cardio"]);
    assert_eq!(who("emergent", "cardiology", "SOUTH"), ["cardio", "desk", "rapid"]);
    assert_eq!(who("routine", "astrology", "SOUTH"), ["desk"]);
}

#[test]
fn policy_drops_with_a_reason() {
    let table = RoutingTable::parse(TABLE).unwrap();
    assert_eq!(
        table.decide(&triage("urgent", "urology", "")),
        Decision::Drop(DropReason::UrgencyNotNotified)
    );
    let mut event = triage("routine", "urology", "");
    event.message_type = "ADT^A08".into();
    assert_eq!(table.decide(&event), Decision::Drop(DropReason::RoutineSilentType));
    event.message_type = "SIU^S12".into();
    assert_eq!(table.decide(&event), Decision::Drop(DropReason::RoutineSilentType));
    event.message_type = "ADT^A01".into();
    assert_eq!(names(&table.decide(&event)), ["desk"]);
    event.sentences = vec!["  ".into()];
    assert_eq!(table.decide(&event), Decision::Drop(DropReason::RoutineNoContent));
    event.urgency = "emergent".into();
    assert_eq!(
        names(&table.decide(&event)),
        ["desk", "rapid", "cardio"],
        "emergent is told even without a summary"
    );
}

#[test]
fn recipients_are_reached_by_the_channel_of_their_address() {
    let table = TABLE
        .replace("rapid@h.example", "webhook:pager")
        .replace("\"north@h.example\"", "\"mailto:north@h.example\"")
        .replace("nurse@h.example", "sms:+4520123456");
    let table = RoutingTable::parse(&table).unwrap();
    let addresses: Vec<String> = table.everyone().iter().map(|r| r.address.to_string()).collect();
    for address in ["webhook:pager", "mailto:north@h.example", "mailto:desk@h.example", "sms:+4520123456"] {
        assert!(addresses.iter().any(|known| known == address), "{address}");
    }
    assert_eq!(names(&table.decide(&triage("emergent", "urology", "SOUTH"))), ["desk", "rapid", "cardio"]);
}

#[test]
fn doubt_goes_to_a_person() {
    let table = RoutingTable::parse(TABLE).unwrap();
    let mut event = triage("urgent", "cardiology", "");
    event.abstained = true;
    assert_eq!(names(&table.decide(&event)), ["nurse"]);
    event.urgency = "emergent".into();
    assert_eq!(names(&table.decide(&event)), ["nurse", "cardio", "desk", "rapid"]);
    event.abstained = false;
    event.urgency = "stat!".into();
    let Decision::Notify(routes) = table.decide(&event) else { panic!("dropped") };
    assert!(routes.triage);
    assert_eq!(routes.routes[0].pattern, "triage queue");
}

#[test]
fn shipped_table_covers_every_label() {
    let table = RoutingTable::parse(RoutingTable::DEFAULT).unwrap();
    for urgency in URGENCIES {
        for specialty in SPECIALTIES {
            assert!(matches!(table.decide(&triage(urgency, specialty, "X")), Decision::Notify(_)));
        }
    }
    assert!(
        table
            .everyone()
            .iter()
            .all(|r| r.address.mail().is_some_and(|address| address.domain() == "hospital.example"))
    );
}

#[test]
fn refuses_tables_that_would_lose_events() {
    let error = |toml: &str| {
        let error = RoutingTable::parse(toml).unwrap_err();
        (error.code().as_str(), error.to_string())
    };
    let base = "[recipients]\na = \"a@h.example\"\n[triage]\nto = [\"a\"]\n";
    let all = "[[route]]\nto = [\"a\"]\n";
    RoutingTable::parse(&format!("{base}{all}")).unwrap();
    assert_eq!(error("recipients = 3").0, "NOTIFY-801");
    assert_eq!(
        error(&format!("{base}{all}[[route]]\nspecialities = \"x\"\nto = []")),
        (
            "NOTIFY-801",
            "routing table, line 8 column 1: unknown field `specialities`, expected one of `urgency`, `specialty`, \
             `facility`, `add`, `to`, `tier`"
                .to_owned()
        )
    );
    let bad = base.replace("a@h.example", "not an address");
    assert_eq!(error(&format!("{bad}{all}")).0, "NOTIFY-802");
    assert_eq!(error(base).0, "NOTIFY-803");
    let some = "[[route]]\nurgency = \"emergent\"\nto = [\"a\"]\n";
    assert_eq!(
        error(&format!("{base}{some}")),
        ("NOTIFY-803", "urgency \"urgent\" has no route for specialty \"*\" at facility \"*\"".to_owned())
    );
    assert_eq!(
        error(&format!("{base}[[route]]\nadd = true\nto = [\"a\"]\n")).0,
        "NOTIFY-803",
        "an addition covers nothing"
    );
    assert_eq!(error(&format!("{base}[[route]]\nto = [\"b\"]\n")).0, "NOTIFY-804");
    assert_eq!(error(&format!("{base}{all}{all}")).0, "NOTIFY-805");
    assert_eq!(error(&format!("{base}{all}[[route]]\nurgency = \"stat\"\nto = [\"a\"]\n")).0, "NOTIFY-806");
    assert_eq!(error(&format!("{base}{all}[policy]\nnotify = [\"stat\"]\n")).0, "NOTIFY-806");
    assert_eq!(error(&format!("{}{all}", base.replace("[\"a\"]", "[]"))).0, "NOTIFY-807");
    assert_eq!(error(&format!("{base}{all}[[route]]\nurgency = \"urgent\"\nto = []\n")).0, "NOTIFY-807");
}

const LADDERS: &str = r#"
    [escalation]
    urgencies = ["emergent", "urgent"]
    repeat = 1
    [[escalation.tier]]
    after = "10m"
    to = ["head"]
    [recipients]
    desk = "desk@h.example"
    cardio = "cardio@h.example"
    cardio-2 = "sms:+4520123456"
    rapid = "webhook:rapid"
    head = "head@h.example"
    [triage]
    to = ["desk"]
    [[route]]
    to = ["desk"]
    [[route]]
    specialty = "cardiology"
    to = ["cardio"]
    tier = [{ after = "1m30s", to = ["cardio-2"] }, { after = "5m", to = ["head", "desk"] }]
    [[route]]
    specialty = "neurology"
    urgency = "emergent"
    add = true
    to = ["rapid"]
    tier = [{ after = "2m", to = ["rapid"] }]
"#;

#[test]
fn the_deciding_route_names_the_tiers_then_an_added_one_then_the_table() {
    let table = RoutingTable::parse(LADDERS).unwrap();
    let tiers = |urgency, specialty| {
        let ladder = table.ladder(&triage(urgency, specialty, ""))?;
        let tier = |step| {
            let tier = ladder.tier(step)?;
            let names: Vec<&str> = tier.recipients.iter().map(|r| r.name.as_str()).collect();
            Some(format!("{}s {}", tier.after_ms / 1_000, names.join("+")))
        };
        Some((1..).map_while(tier).collect::<Vec<_>>())
    };
    let steps = |steps: &[&str]| Some(steps.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>());
    assert_eq!(tiers("urgent", "cardiology"), steps(&["90s cardio-2", "300s head+desk", "300s head+desk"]));
    assert_eq!(tiers("emergent", "neurology"), steps(&["120s rapid", "120s rapid"]));
    assert_eq!(tiers("urgent", "neurology"), steps(&["600s head", "600s head"]));
    assert_eq!(tiers("routine", "cardiology"), None);
    assert!(table.escalates());
    assert!(table.everyone().iter().any(|recipient| recipient.name == "cardio-2"));
    let without = RoutingTable::parse(TABLE).unwrap();
    assert!(!without.escalates());
    assert_eq!(without.ladder(&triage("emergent", "cardiology", "")), None);
}

#[test]
fn refuses_tiers_that_cannot_work() {
    let error = |old: &str, new: &str| {
        assert!(LADDERS.contains(old));
        let error = RoutingTable::parse(&LADDERS.replace(old, new)).unwrap_err();
        (error.code().as_str(), error.to_string())
    };
    assert_eq!(
        error("after = \"5m\"", "after = \"0s\""),
        ("NOTIFY-813", "route 2: tier 2: `after` must not be 0".to_owned())
    );
    assert_eq!(error("repeat = 1", "repeat = 200").0, "NOTIFY-813");
    assert_eq!(
        error("to = [\"head\"]", "to = []"),
        ("NOTIFY-807", "tier 1 of [escalation] has no recipients".to_owned())
    );
    assert_eq!(error("to = [\"rapid\"] }", "to = [\"nobody\"] }").0, "NOTIFY-804");
    assert_eq!(error("[\"emergent\", \"urgent\"]", "[\"stat\"]").0, "NOTIFY-806");
    assert_eq!(error("\"10m\"", "\"soon\"").0, "NOTIFY-801");
}

#[test]
fn who_is_held_leaves_the_routes_and_the_others_are_told_at_once() {
    let text = format!(
        "{TABLE}\n[hold]\ntime_zone = \"UTC\"\n[hold.recipients.cardio]\ndigest = [\"07:00\"]\n[hold.recipients.desk]\n\
         quiet = {{ from = \"20:00\", to = \"06:00\" }}\n"
    );
    let table = RoutingTable::parse(&text).unwrap();
    let day = 24 * 3_600_000;
    let split = |event: &Triage, at_ms| {
        let Decision::Notify(mut routes) = table.decide(event) else { panic!("dropped") };
        let held = table.hold(event, &mut routes, at_ms);
        let told: Vec<String> = routes.recipients().into_iter().map(|to| to.name).collect();
        (told, held.into_iter().map(|(to, due)| (to.name, due / 3_600_000)).collect::<Vec<_>>())
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut event = triage("routine", "cardiology", "");
    assert_eq!(split(&event, day / 2), (names(&["desk"]), vec![("cardio".to_owned(), 31)]), "noon");
    let night = (names(&[]), vec![("cardio".to_owned(), 31), ("desk".to_owned(), 30)]);
    assert_eq!(split(&event, day - 1), night);
    event.abstained = true;
    assert_eq!(split(&event, day - 1), (names(&["nurse"]), vec![]), "a person has to judge it");
    event.abstained = false;
    event.urgency = "emergent".into();
    assert_eq!(split(&event, day - 1), (names(&["cardio", "desk", "rapid"]), vec![]));
    assert!(table.holds() && !RoutingTable::parse(TABLE).unwrap().holds());
    let error =
        RoutingTable::parse(&text.replace("hold.recipients.desk", "hold.recipients.nobody")).unwrap_err();
    assert_eq!(error.code().as_str(), "NOTIFY-804");
    assert_eq!(
        RoutingTable::parse(&text.replace("20:00", "06:00")).unwrap_err().code().as_str(),
        "NOTIFY-815"
    );
}

#[test]
fn a_hospital_may_have_its_own_labels() {
    let table = RoutingTable::parse(
        "[labels]\nurgencies = [\"red\", \"green\"]\nspecialties = [\"burns\"]\n[policy]\nnotify = [\"red\"]\n\
         [recipients]\na = \"a@h.example\"\nb = \"b@h.example\"\n[triage]\nto = [\"a\"]\n\
         [[route]]\nto = [\"a\"]\n[[route]]\nspecialty = \"burns\"\nto = [\"b\"]\n",
    )
    .unwrap();
    assert_eq!(names(&table.decide(&triage("red", "burns", ""))), ["b"]);
    assert_eq!(names(&table.decide(&triage("green", "burns", ""))), ["drop urgency-not-notified"]);
    assert_eq!(names(&table.decide(&triage("emergent", "burns", ""))), ["a", "b"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_event_has_a_decision_and_emergent_is_never_dropped(
        urgency in prop_oneof![Just("emergent".to_owned()), Just("routine".to_owned()), "\\PC{0,12}"],
        specialty in "\\PC{0,12}", facility in "\\PC{0,12}", message_type in "\\PC{0,12}",
        abstained: bool, sentences in prop::collection::vec("\\PC{0,8}", 0..3),
    ) {
        let table = RoutingTable::parse(TABLE).unwrap();
        let event = Triage { urgency, specialty, facility, message_type, abstained, sentences, ..Triage::default() };
        match table.decide(&event) {
            Decision::Notify(routes) => prop_assert!(!routes.recipients().is_empty()),
            Decision::Drop(_) => prop_assert!(event.urgency == "routine" || event.urgency == "urgent"),
        }
    }

    #[test]
    fn no_table_panics(text in "\\PC{0,200}") {
        let _ = RoutingTable::parse(&text);
    }
}
