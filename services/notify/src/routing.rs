//! The routing table: from a triage result to recipients, or a reason to tell nobody.
//!
//! The table is data. A route matches by urgency, specialty and facility, each a value or `*`. Of the routes that
//! match, the most specific one decides (specialty counts most, then facility, then urgency), so the order in the
//! file means nothing; routes marked `add = true` that match are added to it. What the model abstains on goes to the
//! `[triage]` queue. A table is only accepted when every event has somewhere to go.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{Address, Error, Triage};

/// Urgencies the shipped model gives.
pub const URGENCIES: [&str; 3] = ["emergent", "urgent", "routine"];

/// Specialties the shipped model gives.
pub const SPECIALTIES: [&str; 16] = [
    "cardiology",
    "pulmonology",
    "gastroenterology",
    "nephrology",
    "endocrinology",
    "hematology-oncology",
    "neurology",
    "psychiatry",
    "orthopedics",
    "surgery",
    "obstetrics-gynecology",
    "pediatrics",
    "infectious-disease",
    "dermatology",
    "urology",
    "general-medicine",
];

const ANY: &str = "*";

/// Someone who is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient {
    /// Name of the person or team in the table.
    pub name: String,
    /// Where they are reached.
    pub address: Address,
}

/// A route that took an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The patterns it matched by, for the "why you got this" line: `emergent × cardiology × *`.
    pub pattern: String,
    /// Who hears by it.
    pub recipients: Vec<Recipient>,
}

/// Who hears, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// At least one; the deciding one first.
    pub routes: Vec<Route>,
    /// True when a person is asked to judge, because the model abstained.
    pub triage: bool,
}

impl Routes {
    /// Everyone on the routes, each address once, in the order of the routes.
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        let mut seen = BTreeSet::new();
        let all = self.routes.iter().flat_map(|route| &route.recipients);
        all.filter(|recipient| seen.insert(recipient.address.clone())).cloned().collect()
    }
}

/// Why nobody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Routine, and nothing to read in it.
    RoutineNoContent,
    /// Routine, of a message type that the policy keeps silent.
    RoutineSilentType,
    /// The policy notifies of other urgencies only.
    UrgencyNotNotified,
}

impl DropReason {
    /// The reason as it stands in the dropped record and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoutineNoContent => "routine-no-content",
            Self::RoutineSilentType => "routine-silent-type",
            Self::UrgencyNotNotified => "urgency-not-notified",
        }
    }
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// These are told.
    Notify(Routes),
    /// Nobody is told.
    Drop(DropReason),
}

/// The table, checked.
#[derive(Debug, Clone)]
pub struct RoutingTable {
    policy: Policy,
    routes: Vec<Compiled>,
    queue: Vec<Recipient>,
    urgencies: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Compiled {
    urgency: String,
    specialty: String,
    facility: String,
    add: bool,
    recipients: Vec<Recipient>,
}

/// The file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    labels: Labels,
    recipients: BTreeMap<String, String>,
    triage: Queue,
    #[serde(default)]
    route: Vec<RouteFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Queue {
    to: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteFile {
    #[serde(default = "any")]
    urgency: String,
    #[serde(default = "any")]
    specialty: String,
    #[serde(default = "any")]
    facility: String,
    #[serde(default)]
    add: bool,
    to: Vec<String>,
}

fn any() -> String {
    ANY.to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Labels {
    urgencies: Vec<String>,
    specialties: Vec<String>,
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            urgencies: URGENCIES.map(str::to_owned).to_vec(),
            specialties: SPECIALTIES.map(str::to_owned).to_vec(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Policy {
    notify: Vec<String>,
    silent_when_routine: Vec<String>,
    abstained_emergent_notifies: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            notify: URGENCIES.map(str::to_owned).to_vec(),
            silent_when_routine: Vec::new(),
            abstained_emergent_notifies: true,
        }
    }
}

impl RoutingTable {
    /// The commented table the product ships with; every address is under `hospital.example`.
    pub const DEFAULT: &'static str = include_str!("routing.toml");

    /// Reads and checks a table.
    ///
    /// # Errors
    /// [`Error::RoutingSyntax`], [`Error::Address`], [`Error::UnknownRecipient`], [`Error::UnknownLabel`],
    /// [`Error::DuplicateRoute`], [`Error::NoRecipients`], [`Error::Uncovered`].
    pub fn parse(toml: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(toml).map_err(|error| Error::RoutingSyntax {
            place: place(toml, error.span()),
            message: error.message().to_owned(),
        })?;
        let mut known = BTreeMap::new();
        for (name, address) in &file.recipients {
            let address = Address::parse(address).ok_or_else(|| Error::Address { name: name.clone() })?;
            known.insert(name.as_str(), address);
        }
        let resolve = |place: String, names: &[String]| -> Result<Vec<Recipient>, Error> {
            if names.is_empty() {
                return Err(Error::NoRecipients { place });
            }
            let one = |name: &String| match known.get(name.as_str()) {
                Some(address) => Ok(Recipient { name: name.clone(), address: address.clone() }),
                None => Err(Error::UnknownRecipient { place: place.clone(), name: name.clone() }),
            };
            names.iter().map(one).collect()
        };
        let queue = resolve("[triage]".to_owned(), &file.triage.to)?;
        let labels = &file.labels;
        for urgency in &file.policy.notify {
            check("policy.notify".to_owned(), "urgency", urgency, &labels.urgencies)?;
        }
        let mut routes: Vec<Compiled> = Vec::with_capacity(file.route.len());
        for (index, route) in file.route.into_iter().enumerate() {
            let place = format!("route {}", index + 1);
            if route.urgency != ANY {
                check(place.clone(), "urgency", &route.urgency, &labels.urgencies)?;
            }
            if route.specialty != ANY {
                check(place.clone(), "specialty", &route.specialty, &labels.specialties)?;
            }
            let same = |other: &Compiled| {
                (&other.urgency, &other.specialty, &other.facility, other.add)
                    == (&route.urgency, &route.specialty, &route.facility, route.add)
            };
            if let Some(first) = routes.iter().position(same) {
                return Err(Error::DuplicateRoute { first: first + 1, second: index + 1 });
            }
            let recipients = resolve(place, &route.to)?;
            let RouteFile { urgency, specialty, facility, add, to: _ } = route;
            routes.push(Compiled { urgency, specialty, facility, add, recipients });
        }
        for urgency in &labels.urgencies {
            let covers = |route: &Compiled| {
                !route.add
                    && route.specialty == ANY
                    && route.facility == ANY
                    && matches(&route.urgency, urgency)
            };
            if !routes.iter().any(covers) {
                return Err(Error::Uncovered { urgency: urgency.clone() });
            }
        }
        Ok(Self { policy: file.policy, routes, queue, urgencies: labels.urgencies.iter().cloned().collect() })
    }

    /// Decides who hears of an event. Total: every event has a decision.
    #[must_use]
    pub fn decide(&self, triage: &Triage) -> Decision {
        let known = self.urgencies.contains(&triage.urgency);
        if triage.urgency == "routine" {
            if !triage.has_content() {
                return Decision::Drop(DropReason::RoutineNoContent);
            }
            if !triage.abstained
                && self.policy.silent_when_routine.iter().any(|t| is_type(t, &triage.message_type))
            {
                return Decision::Drop(DropReason::RoutineSilentType);
            }
        }
        // A label that the table does not know is the model's doubt in another form: a person judges.
        if triage.abstained || !known {
            let mut routes =
                vec![Route { pattern: "triage queue".to_owned(), recipients: self.queue.clone() }];
            if triage.urgency == "emergent" && self.policy.abstained_emergent_notifies {
                routes.extend(self.matching(triage));
            }
            return Decision::Notify(Routes { routes, triage: true });
        }
        if !self.policy.notify.contains(&triage.urgency) {
            return Decision::Drop(DropReason::UrgencyNotNotified);
        }
        Decision::Notify(Routes { routes: self.matching(triage), triage: false })
    }

    /// Everyone the table names, each address once.
    #[must_use]
    pub fn everyone(&self) -> BTreeSet<Recipient> {
        self.routes.iter().flat_map(|route| &route.recipients).chain(&self.queue).cloned().collect()
    }

    fn matching(&self, triage: &Triage) -> Vec<Route> {
        let matching = self.routes.iter().filter(|route| {
            matches(&route.urgency, &triage.urgency)
                && matches(&route.specialty, &triage.specialty)
                && matches(&route.facility, &triage.facility)
        });
        let (added, deciding): (Vec<_>, Vec<_>) = matching.partition(|route| route.add);
        let best = deciding.into_iter().max_by_key(|route| specificity(route));
        best.into_iter().chain(added).map(Compiled::to_route).collect()
    }
}

impl Compiled {
    fn to_route(&self) -> Route {
        let name =
            |pattern: &str, any: &str| if pattern == ANY { any.to_owned() } else { pattern.to_owned() };
        let pattern = format!(
            "{} × {} × {}",
            name(&self.urgency, "any urgency"),
            name(&self.specialty, "any specialty"),
            name(&self.facility, "any facility"),
        );
        Route { pattern, recipients: self.recipients.clone() }
    }
}

/// Two routes that match the same event with the same specificity have the same patterns, which [`RoutingTable::parse`]
/// refuses: the maximum is unique.
fn specificity(route: &Compiled) -> (bool, bool, bool) {
    (route.specialty != ANY, route.facility != ANY, route.urgency != ANY)
}

fn matches(pattern: &str, value: &str) -> bool {
    pattern == ANY || pattern == value
}

/// `ADT` covers every trigger of ADT, `ADT^A08` that one.
fn is_type(pattern: &str, message_type: &str) -> bool {
    match message_type.split_once('^') {
        Some((code, _)) => pattern == code || pattern == message_type,
        None => pattern == message_type,
    }
}

fn check(place: String, kind: &'static str, label: &str, known: &[String]) -> Result<(), Error> {
    if known.iter().any(|one| one == label) {
        return Ok(());
    }
    Err(Error::UnknownLabel { place, kind, label: label.to_owned(), known: known.join(", ") })
}

fn place(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line} column {column}")
}

#[cfg(test)]
mod tests {
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
        for address in ["webhook:pager", "mailto:north@h.example", "mailto:desk@h.example", "sms:+4520123456"]
        {
            assert!(addresses.iter().any(|known| known == address), "{address}");
        }
        assert_eq!(
            names(&table.decide(&triage("emergent", "urology", "SOUTH"))),
            ["desk", "rapid", "cardio"]
        );
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
                 `facility`, `add`, `to`"
                    .to_owned()
            )
        );
        let bad = base.replace("a@h.example", "not an address");
        assert_eq!(error(&format!("{bad}{all}")).0, "NOTIFY-802");
        assert_eq!(error(base).0, "NOTIFY-803");
        let some = "[[route]]\nurgency = \"emergent\"\nto = [\"a\"]\n";
        assert_eq!(
            error(&format!("{base}{some}")),
            (
                "NOTIFY-803",
                "urgency \"urgent\" has no route for specialty \"*\" at facility \"*\"".to_owned()
            )
        );
        assert_eq!(
            error(&format!("{base}[[route]]\nadd = true\nto = [\"a\"]\n")).0,
            "NOTIFY-803",
            "an addition covers nothing"
        );
        assert_eq!(error(&format!("{base}[[route]]\nto = [\"b\"]\n")).0, "NOTIFY-804");
        assert_eq!(error(&format!("{base}{all}{all}")).0, "NOTIFY-805");
        assert_eq!(
            error(&format!("{base}{all}[[route]]\nurgency = \"stat\"\nto = [\"a\"]\n")).0,
            "NOTIFY-806"
        );
        assert_eq!(error(&format!("{base}{all}[policy]\nnotify = [\"stat\"]\n")).0, "NOTIFY-806");
        assert_eq!(error(&format!("{}{all}", base.replace("[\"a\"]", "[]"))).0, "NOTIFY-807");
        assert_eq!(error(&format!("{base}{all}[[route]]\nurgency = \"urgent\"\nto = []\n")).0, "NOTIFY-807");
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
}
