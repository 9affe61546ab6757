//! What a stage makes of its inputs now, beside what it made of them when they came.
//!
//! Of what was made then only the shape is kept, a few bytes a field: a path and a hash of what lies there. So values are
//! compared and never shown, but for labels, which are words of ours, and probabilities.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash as _, Hasher as _};

use serde_json::Value;

/// Fields whose words are counted: none of them can hold an identifier.
const LABELS: [&str; 7] = [
    "urgency.label",
    "specialty.label",
    "specialty.second",
    "document_type.label",
    "abstained",
    "model_id",
    "model_version",
];
/// Fields that hold a resource as JSON.
const RESOURCES: [&str; 2] = ["bundle", "outcome"];
/// Probabilities that differ by less are the same: processors round sums in different orders.
pub const TOLERANCE: f64 = 1e-3;
/// The reason of `ingest` for what it has seen already.
const RETRANSMISSION: &str = "retransmission";

/// Where an input lies: topic, partition, offset.
pub type Input<'i> = (&'i str, i32, i64);

/// What a stage made of an input.
#[derive(Clone, Copy, Debug)]
pub enum Made<'m> {
    /// A record, decoded.
    Output(&'m Value),
    /// A dead letter with this code.
    DeadLetter(&'m str),
    /// A parked record with this code.
    Parked(&'m str),
    /// Nothing, for this reason.
    Dropped(&'m str),
}

/// How what is made now differs from what was made then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Then and now, where it is not an output both times.
    pub fates: Option<(String, String)>,
    /// Paths of the fields that differ, without the places in lists.
    pub fields: Vec<String>,
    /// Labels that differ: path, then, now.
    pub labels: Vec<(String, String, String)>,
}

/// What one comparison of an input says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same as then.
    Same,
    /// Not the same.
    Differs(Difference),
    /// What was made of it then is not among what was read.
    Unknown,
    /// It was dropped as a retransmission of a message that is not among the inputs.
    Retransmission,
}

/// In how many events a field differs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changed {
    /// Events.
    pub events: u64,
    /// The largest difference, of a probability.
    pub largest: Option<f64>,
}

/// Counts of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Inputs with the same result.
    pub same: u64,
    /// Inputs with another result.
    pub different: u64,
    /// Inputs of which it is not known what was made.
    pub unknown: u64,
    /// Retransmissions whose first time lies before the inputs.
    pub retransmissions: u64,
    /// Fields that differ.
    pub fields: BTreeMap<String, Changed>,
    /// Labels that differ: path, then, now.
    pub labels: BTreeMap<(String, String, String), u64>,
    /// Fates that differ: then, now.
    pub fates: BTreeMap<(String, String), u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaf {
    /// What lies there, hashed; of a list what lies in all of it.
    Hash(u64),
    /// A number of ours.
    Number(f64),
    /// A label's number in [`Comparison::names`].
    Word(u32),
}

#[derive(Debug)]
enum Then {
    Output(Box<[(u32, Leaf)]>),
    Ended(u32),
}

/// What was made then, and how what is made now compares.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Topics, paths, labels and fates.
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    then: HashMap<(u32, i32, i64), Then>,
    counts: Counts,
}

impl Comparison {
    /// Remembers what was made of an input. Of two the first counts: the second is a duplicate.
    pub fn remember(&mut self, (topic, partition, offset): Input<'_>, made: Made<'_>) {
        let then = match made {
            Made::Output(value) => Then::Output(self.leaves(value)),
            other => Then::Ended(self.number(&fate(other))),
        };
        let topic = self.number(topic);
        self.then.entry((topic, partition, offset)).or_insert(then);
    }

    /// Of how many inputs it is known what was made.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.then.len()
    }

    /// Compares what is made now of an input, and counts it.
    pub fn judge(&mut self, (topic, partition, offset): Input<'_>, made: Made<'_>) -> Verdict {
        let topic = self.number(topic);
        let Some(then) = self.then.remove(&(topic, partition, offset)) else {
            self.counts.unknown += 1;
            return Verdict::Unknown;
        };
        let mut difference = Difference::default();
        match (then, made) {
            (Then::Output(then), Made::Output(now)) => {
                let now = self.leaves(now);
                self.differ(&then, &now, &mut difference);
            }
            (then, made) => {
                let then = match then {
                    Then::Output(_) => "output".to_owned(),
                    Then::Ended(fate) => self.name(fate),
                };
                if then == fate(Made::Dropped(RETRANSMISSION)) && matches!(made, Made::Output(_)) {
                    self.counts.retransmissions += 1;
                    return Verdict::Retransmission;
                }
                let now = fate(made);
                difference.fates = (then != now).then_some((then, now));
            }
        }
        if difference == Difference::default() {
            self.counts.same += 1;
            return Verdict::Same;
        }
        self.counts.different += 1;
        if let Some(fates) = &difference.fates {
            *self.counts.fates.entry(fates.clone()).or_default() += 1;
        }
        for label in &difference.labels {
            *self.counts.labels.entry(label.clone()).or_default() += 1;
        }
        Verdict::Differs(difference)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Both in the order of their paths' numbers.
    fn differ(&mut self, then: &[(u32, Leaf)], now: &[(u32, Leaf)], difference: &mut Difference) {
        let (then, now): (BTreeMap<u32, Leaf>, BTreeMap<u32, Leaf>) =
            (then.iter().copied().collect(), now.iter().copied().collect());
        let paths: std::collections::BTreeSet<u32> = then.keys().chain(now.keys()).copied().collect();
        for path in paths {
            let (then, now) = (then.get(&path).copied(), now.get(&path).copied());
            let apart = match (then, now) {
                (Some(Leaf::Number(then)), Some(Leaf::Number(now))) => Some((then - now).abs()),
                _ => None,
            };
            if then == now || apart.is_some_and(|apart| apart < TOLERANCE) {
                continue;
            }
            let name = self.name(path);
            let changed = self.counts.fields.entry(name.clone()).or_default();
            changed.events += 1;
            changed.largest = match (changed.largest, apart) {
                (Some(largest), Some(apart)) => Some(largest.max(apart)),
                (largest, apart) => largest.or(apart),
            };
            let word = |leaf: Option<Leaf>| match leaf {
                Some(Leaf::Word(word)) => Some(self.name(word)),
                None => Some("-".to_owned()),
                Some(_) => None,
            };
            if LABELS.contains(&name.as_str())
                && let (Some(then), Some(now)) = (word(then), word(now))
            {
                difference.labels.push((name.clone(), then, now));
            }
            difference.fields.push(name);
        }
        difference.fields.sort_unstable();
    }

    fn leaves(&mut self, value: &Value) -> Box<[(u32, Leaf)]> {
        let mut found = Found::default();
        found.ours("", value);
        let labels = found.labels.into_iter().map(|(path, label)| (path, Err(label)));
        let hashes = found.hashes.into_iter().map(|(path, hasher)| (path, Ok(Leaf::Hash(hasher.finish()))));
        let numbers = found.numbers.into_iter().map(|(path, number)| (path, Ok(Leaf::Number(number))));
        labels
            .chain(hashes)
            .chain(numbers)
            .map(|(path, leaf)| {
                let leaf = leaf.unwrap_or_else(|label| Leaf::Word(self.number(&label)));
                (self.number(&path), leaf)
            })
            .collect()
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        // Paths, labels, codes and topics: some thousands at most.
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn name(&self, number: u32) -> String {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.names.get(at).cloned().unwrap_or_default()
    }
}

fn fate(made: Made<'_>) -> String {
    match made {
        Made::Output(_) => "output".to_owned(),
        Made::DeadLetter(code) => format!("dead letter {code}"),
        Made::Parked(code) => format!("parked {code}"),
        Made::Dropped(reason) => format!("dropped: {reason}"),
    }
}

/// The fields of a record.
#[derive(Default)]
struct Found {
    labels: BTreeMap<String, String>,
    numbers: BTreeMap<String, f64>,
    hashes: BTreeMap<String, DefaultHasher>,
}

impl Found {
    /// Fields of the line's own records. A field without a value is as if it were not there: an older schema does not have it.
    fn ours(&mut self, path: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(members) => {
                for (name, value) in members {
                    self.ours(&joined(path, name), value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.theirs(path, item)),
            Value::Number(number) if number.is_f64() => {
                self.numbers.insert(path.to_owned(), number.as_f64().unwrap_or_default());
            }
            Value::String(text) if RESOURCES.contains(&path) => match serde_json::from_str(text) {
                Ok(resource) => self.theirs(path, &resource),
                Err(_) => self.hash(path, value),
            },
            value if LABELS.contains(&path) => {
                let label = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                self.labels.insert(path.to_owned(), label);
            }
            value => self.hash(path, value),
        }
    }

    /// Elements of a resource: of each type apart, every digit counts.
    fn theirs(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                let kind = members.get("resourceType").and_then(Value::as_str).filter(|kind| is_type(kind));
                let path = kind.filter(|kind| *kind != "Bundle").unwrap_or(path);
                for (name, value) in members {
                    self.theirs(&joined(path, name), value);
                }
            }
            Value::Array(items) => {
                // Two items of one element each are not one item of two.
                items.iter().for_each(|item| {
                    self.theirs(path, item);
                    self.hash(path, &Value::Null);
                });
            }
            value => self.hash(path, value),
        }
    }

    fn hash(&mut self, path: &str, value: &Value) {
        let hasher = self.hashes.entry(path.to_owned()).or_default();
        match value {
            Value::String(text) => text.hash(hasher),
            value => value.to_string().hash(hasher),
        }
    }
}

/// Not whatever text stands there.
fn is_type(kind: &str) -> bool {
    kind.len() < 40 && kind.bytes().all(|b| b.is_ascii_alphabetic())
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn classified(label: &str, p: f64) -> Value {
        json!({"event_id": "e", "urgency": {"label": label, "p": p}, "pseudonym": null, "reasons": ["a", "b"]})
    }

    fn bundle(entries: &Value) -> Value {
        json!({"event_id": "e", "bundle": json!({"resourceType": "Bundle", "entry": entries}).to_string()})
    }

    fn compared(then: &Value, now: &Value) -> (Verdict, Comparison) {
        let mut comparison = Comparison::default();
        comparison.remember(("t", 0, 1), Made::Output(then));
        let verdict = comparison.judge(("t", 0, 1), Made::Output(now));
        (verdict, comparison)
    }

    fn fields(then: &Value, now: &Value) -> Vec<String> {
        match compared(then, now).0 {
            Verdict::Differs(difference) => difference.fields,
            _ => Vec::new(),
        }
    }

    #[test]
    fn labels_are_named_and_probabilities_measured() {
        let (verdict, comparison) = compared(&classified("routine", 0.75), &classified("urgent", 0.5));
        let label = ("urgency.label".to_owned(), "routine".to_owned(), "urgent".to_owned());
        let expected = Difference {
            fates: None,
            fields: vec!["urgency.label".to_owned(), "urgency.p".to_owned()],
            labels: vec![label.clone()],
        };
        assert_eq!(verdict, Verdict::Differs(expected));
        let counts = comparison.counts();
        assert_eq!((counts.different, counts.same, counts.labels[&label]), (1, 0, 1));
        assert_eq!(counts.fields["urgency.p"], Changed { events: 1, largest: Some(0.25) });
        assert_eq!(compared(&classified("urgent", 0.5), &classified("urgent", 0.5004)).0, Verdict::Same);
    }

    #[test]
    fn an_element_is_named_by_its_type_and_no_value_is_kept() {
        let patient =
            |name: &str| json!([{"resource": {"resourceType": "Patient", "name": [{"family": name}]}}]);
        let (verdict, comparison) = compared(&bundle(&patient("Carter")), &bundle(&patient("Osei")));
        let Verdict::Differs(difference) = verdict else { panic!("{verdict:?}") };
        assert_eq!(difference.fields, ["Patient.name.family"]);
        let kept = format!("{comparison:?}{difference:?}");
        assert!(!kept.contains("Carter") && !kept.contains("Osei"), "{kept}");
        // A resource can say anything of its type.
        let odd = |value: u8| json!([{"resource": {"resourceType": "Mr. Carter, 4 Elm", "a": value}}]);
        assert_eq!(fields(&bundle(&odd(1)), &bundle(&odd(2))), ["bundle.entry.resource.a"]);
    }

    #[test]
    fn a_list_differs_by_order_and_by_how_it_is_parted() {
        let names = |names: Value| bundle(&json!([{"resource": {"resourceType": "Patient", "name": names}}]));
        let one = names(json!([{"given": ["a", "b"]}]));
        assert_eq!(fields(&one, &names(json!([{"given": ["b", "a"]}]))), ["Patient.name.given"]);
        assert!(!fields(&one, &names(json!([{"given": ["a"]}, {"given": ["b"]}]))).is_empty());
        let decimal = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            names(json!([{"value": value}]))
        };
        assert_eq!(fields(&decimal("0.0001"), &decimal("0.0002")), ["Patient.name.value"]);
    }

    #[test]
    fn what_a_later_schema_adds_without_a_value_is_no_difference() {
        let mut later = classified("routine", 0.75);
        later["more"] = Value::Null;
        assert_eq!(compared(&classified("routine", 0.75), &later).0, Verdict::Same);
        later["more"] = json!("x");
        assert_eq!(fields(&classified("routine", 0.75), &later), ["more"]);
    }

    #[test]
    fn fates_are_compared_by_their_codes() {
        let output = classified("routine", 0.75);
        let mut comparison = Comparison::default();
        let then = [
            Made::Output(&output),
            Made::DeadLetter("FHIR-306"),
            Made::DeadLetter("FHIR-306"),
            Made::Dropped("retransmission"),
            Made::Dropped("retransmission"),
            Made::Parked("N-1"),
        ];
        for (offset, made) in then.into_iter().enumerate() {
            comparison.remember(("t", 0, offset as i64), made);
        }
        assert_eq!(comparison.remembered(), 6);
        let now = [
            (Made::DeadLetter("FHIR-306"), Some(("output", "dead letter FHIR-306"))),
            (Made::DeadLetter("FHIR-306"), None),
            (Made::DeadLetter("FHIR-307"), Some(("dead letter FHIR-306", "dead letter FHIR-307"))),
            (Made::Dropped("retransmission"), None),
        ];
        for (offset, (made, fates)) in now.into_iter().enumerate() {
            let fates = fates.map(|(then, now)| (then.to_owned(), now.to_owned()));
            let expected = match fates {
                Some(fates) => Verdict::Differs(Difference { fates: Some(fates), ..Difference::default() }),
                None => Verdict::Same,
            };
            assert_eq!(comparison.judge(("t", 0, offset as i64), made), expected, "{offset}");
        }
        assert_eq!(comparison.judge(("t", 0, 4), Made::Output(&output)), Verdict::Retransmission);
        assert_eq!(comparison.judge(("t", 0, 9), Made::Output(&output)), Verdict::Unknown);
        let counts = comparison.counts();
        assert_eq!((counts.same, counts.different, counts.unknown, counts.retransmissions), (2, 2, 1, 1));
        assert_eq!(counts.fates.len(), 2);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 1..3)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        /// A record is the same as itself; and one whose leaf was changed is not.
        #[test]
        fn a_changed_leaf_is_found(resource in json(), pick in any::<prop::sample::Index>()) {
            let same = bundle(&resource);
            prop_assert_eq!(compared(&same, &same).0, Verdict::Same);
            let mut changed = resource;
            let mut leaves = Vec::new();
            collect(&mut changed, &mut leaves);
            *leaves.swap_remove(pick.index(leaves.len())) = json!("changed by the test");
            prop_assert!(matches!(compared(&same, &bundle(&changed)).0, Verdict::Differs(_)));
        }
    }

    fn collect<'v>(value: &'v mut Value, leaves: &mut Vec<&'v mut Value>) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| collect(item, leaves)),
            Value::Object(members) => members.values_mut().for_each(|value| collect(value, leaves)),
            leaf => leaves.push(leaf),
        }
    }
}
