//! The routing table: from a triage result to recipients, or a reason to tell nobody.
//!
//! The table is data. A route matches by urgency, specialty and facility, each a value or `*`. Of the routes that
//! match, the most specific one decides (specialty counts most, then facility, then urgency), so the order in the
//! file means nothing; routes marked `add = true` that match are added to it. What the model abstains on goes to the
//! `[triage]` queue. A table is only accepted when every event has somewhere to go.
//!
//! Who hears next when nobody acknowledges are the tiers of the deciding route, else of a route that is added to it, else
//! those of `[escalation]`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::hold::{Hold, HoldFile};
use crate::{Address, Error, Ladder, Tier, Triage};

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
    escalation: Escalation,
    hold: Option<Hold>,
}

#[derive(Debug, Clone)]
struct Escalation {
    urgencies: Vec<String>,
    repeat: u32,
    /// Of routes that have none of their own.
    tiers: Vec<Tier>,
}

#[derive(Debug, Clone)]
struct Compiled {
    urgency: String,
    specialty: String,
    facility: String,
    add: bool,
    recipients: Vec<Recipient>,
    tiers: Vec<Tier>,
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
    escalation: EscalationFile,
    #[serde(default)]
    hold: HoldFile,
    #[serde(default)]
    route: Vec<RouteFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EscalationFile {
    /// `emergent` when not set.
    urgencies: Option<Vec<String>>,
    repeat: u32,
    tier: Vec<TierFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierFile {
    after: settings::Duration,
    to: Vec<String>,
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
    #[serde(default)]
    tier: Vec<TierFile>,
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
    /// [`Error::DuplicateRoute`], [`Error::NoRecipients`], [`Error::Uncovered`], [`Error::Tier`].
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
        let repeat = file.escalation.repeat;
        let ladder = |place: &str, tiers: &[TierFile]| -> Result<Vec<Tier>, Error> {
            let refuse = |reason: String| Error::Tier { place: place.to_owned(), reason };
            let repeats = usize::try_from(repeat).unwrap_or(usize::MAX);
            if !tiers.is_empty() && tiers.len().saturating_add(repeats) > Ladder::MAX_STEPS {
                return Err(refuse(format!("has more than {} steps", Ladder::MAX_STEPS)));
            }
            let one = |(index, tier): (usize, &TierFile)| {
                let after_ms = i64::try_from(tier.after.as_millis()).unwrap_or(i64::MAX);
                if after_ms == 0 {
                    return Err(refuse(format!("tier {}: `after` must not be 0", index + 1)));
                }
                let recipients = resolve(format!("tier {} of {place}", index + 1), &tier.to)?;
                Ok(Tier { after_ms, recipients })
            };
            tiers.iter().enumerate().map(one).collect()
        };
        let queue = resolve("[triage]".to_owned(), &file.triage.to)?;
        let labels = &file.labels;
        for urgency in &file.policy.notify {
            check("policy.notify".to_owned(), "urgency", urgency, &labels.urgencies)?;
        }
        for urgency in file.escalation.urgencies.iter().flatten() {
            check("escalation.urgencies".to_owned(), "urgency", urgency, &labels.urgencies)?;
        }
        let escalation = Escalation {
            urgencies: file.escalation.urgencies.clone().unwrap_or_else(|| vec!["emergent".to_owned()]),
            repeat,
            tiers: ladder("[escalation]", &file.escalation.tier)?,
        };
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
            let tiers = ladder(&place, &route.tier)?;
            let recipients = resolve(place, &route.to)?;
            let RouteFile { urgency, specialty, facility, add, .. } = route;
            routes.push(Compiled { urgency, specialty, facility, add, recipients, tiers });
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
        let urgencies = labels.urgencies.iter().cloned().collect();
        let escalating: &[String] = if escalates(&escalation, &routes) { &escalation.urgencies } else { &[] };
        let is_recipient = |name: &str| known.contains_key(name);
        let hold = Hold::parse(&file.hold, &labels.urgencies, escalating, is_recipient)?;
        Ok(Self { policy: file.policy, routes, queue, urgencies, escalation, hold })
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
                routes.extend(self.matching(triage).into_iter().map(Compiled::to_route));
            }
            return Decision::Notify(Routes { routes, triage: true });
        }
        if !self.policy.notify.contains(&triage.urgency) {
            return Decision::Drop(DropReason::UrgencyNotNotified);
        }
        let routes = self.matching(triage).into_iter().map(Compiled::to_route).collect();
        Decision::Notify(Routes { routes, triage: false })
    }

    /// Who hears next when nobody acknowledges an event that somebody was told of; none if its urgency does not escalate
    /// or nobody is named.
    #[must_use]
    pub fn ladder(&self, triage: &Triage) -> Option<Ladder> {
        if !self.escalation.urgencies.contains(&triage.urgency) {
            return None;
        }
        let own = self.matching(triage).into_iter().map(|route| &route.tiers).find(|tiers| !tiers.is_empty());
        Ladder::new(own.unwrap_or(&self.escalation.tiers).clone(), self.escalation.repeat)
    }

    /// Whether any event can escalate.
    #[must_use]
    pub fn escalates(&self) -> bool {
        escalates(&self.escalation, &self.routes)
    }

    /// Takes those off the routes of an event that came at a time who are told later, and gives them with that time
    /// (milliseconds since the epoch). What a person has to judge is never held.
    pub(crate) fn hold(&self, triage: &Triage, routes: &mut Routes, at_ms: i64) -> Vec<(Recipient, i64)> {
        let Some(hold) = self.hold.as_ref().filter(|_| !routes.triage) else { return Vec::new() };
        let until = |recipient: &Recipient| hold.until(&recipient.name, &triage.urgency, at_ms);
        let held: Vec<(Recipient, i64)> = routes
            .recipients()
            .into_iter()
            .filter_map(|recipient| until(&recipient).map(|due| (recipient, due)))
            .collect();
        let is_held = |recipient: &Recipient| held.iter().any(|(held, _)| held.address == recipient.address);
        for route in &mut routes.routes {
            route.recipients.retain(|recipient| !is_held(recipient));
        }
        routes.routes.retain(|route| !route.recipients.is_empty());
        held
    }

    /// When what is due at a time goes out to a recipient who was told last at another one, milliseconds since the epoch.
    pub(crate) fn release(&self, recipient: &str, told_at: Option<i64>, due_at: i64) -> i64 {
        self.hold.as_ref().map_or(due_at, |hold| hold.release(recipient, told_at, due_at))
    }

    /// Whether anybody is told later than at once.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.hold.is_some()
    }

    /// Everyone the table names, each address once.
    #[must_use]
    pub fn everyone(&self) -> BTreeSet<Recipient> {
        let tiers = self.routes.iter().flat_map(|route| &route.tiers).chain(&self.escalation.tiers);
        let routes = self.routes.iter().flat_map(|route| &route.recipients);
        routes.chain(tiers.flat_map(|tier| &tier.recipients)).chain(&self.queue).cloned().collect()
    }

    /// The deciding route first.
    fn matching(&self, triage: &Triage) -> Vec<&Compiled> {
        let matching = self.routes.iter().filter(|route| {
            matches(&route.urgency, &triage.urgency)
                && matches(&route.specialty, &triage.specialty)
                && matches(&route.facility, &triage.facility)
        });
        let (added, deciding): (Vec<_>, Vec<_>) = matching.partition(|route| route.add);
        let best = deciding.into_iter().max_by_key(|route| specificity(route));
        best.into_iter().chain(added).collect()
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

fn escalates(escalation: &Escalation, routes: &[Compiled]) -> bool {
    let tiers = routes.iter().any(|route| !route.tiers.is_empty());
    !escalation.urgencies.is_empty() && (tiers || !escalation.tiers.is_empty())
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
#[path = "routing_tests.rs"]
mod tests;
