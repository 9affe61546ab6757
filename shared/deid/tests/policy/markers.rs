//! Every string of every resource type, filled with a marker of its own, through redaction.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use wardstream_deid::{Config, Redactor, SecretKey};

use super::definitions::{Type, types};
use super::support::everything;
use super::tables::Policy;

/// What a marker looks like.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// A mail address: an identifier wherever it stands.
    Mail,
    /// A word that nothing tells from a code or from prose.
    Word,
}

struct Filler {
    types: BTreeMap<&'static str, Type>,
    shape: Shape,
    /// Which type each choice takes.
    variant: usize,
    next: u32,
    /// The path of each marker.
    paths: Vec<String>,
}

/// Letters alone, so that a word is no number: `qzbbxk` and so on.
fn letters(number: u32) -> String {
    let digit = |at: u32| char::from(b'b' + u8::try_from(number / 20u32.pow(at) % 20).unwrap());
    format!("qz{}{}{}{}kv", digit(3), digit(2), digit(1), digit(0))
}

impl Filler {
    fn marker(&mut self, path: &str) -> String {
        let word = letters(self.next);
        self.next += 1;
        self.paths.push(path.to_owned());
        word
    }

    fn string(&mut self, path: &str) -> String {
        let word = self.marker(path);
        match self.shape {
            Shape::Mail => format!("{word}@wards.example"),
            Shape::Word => word,
        }
    }

    fn primitive(&mut self, kind: &str, path: &str) -> Value {
        match kind {
            "boolean" => json!(true),
            "decimal" | "integer" | "positiveInt" | "unsignedInt" => json!(7),
            "date" => json!("2019-05-04"),
            "dateTime" | "instant" => json!("2019-05-04T10:20:30Z"),
            "time" => json!("10:20:30"),
            "base64Binary" => json!(STANDARD.encode(self.string(path))),
            "xhtml" => json!(format!(
                "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{}</p></div>",
                self.string(path)
            )),
            "uri" | "url" | "canonical" | "oid" | "uuid" => {
                json!(format!("http://wards.example/{}", self.marker(path)))
            }
            "id" => json!(self.marker(path)),
            // Free text in which what is read counts.
            _ if path.ends_with(".contentType") => json!("text/plain"),
            _ => json!(self.string(path)),
        }
    }

    fn extension(&mut self, path: &str) -> Value {
        let nested = self.string(path);
        json!([
            {"url": format!("http://wards.example/{}", self.marker(path)), "valueString": self.string(path),
             "extension": [{"url": "inner", "valueString": nested}]},
            {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": self.string(path)},
        ])
    }

    fn object(&mut self, name: &str, path: &str, depth: usize) -> Map<String, Value> {
        let mut object = Map::new();
        let elements: Vec<(String, &'static str, bool, bool)> = self.types[name]
            .elements
            .iter()
            .map(|element| {
                let json = element.json();
                let (json, kind) = json[self.variant % json.len()].clone();
                (json, kind, element.many, element.types.len() > 1)
            })
            .collect();
        for (element, kind, many, choice) in elements {
            let path = format!("{path}.{element}");
            let what = self.types[kind].kind;
            // The other types of choices alone are new after the first round.
            let has_choices = what == "backbone" || ["Annotation", "Dosage", "Timing"].contains(&kind);
            let seen = self.variant > 0 && !choice && !has_choices;
            if seen {
                continue;
            }
            let value = match what {
                _ if kind == "Extension" => self.extension(&path),
                _ if kind == "Resource" => json!({
                    "resourceType": "Basic", "id": self.marker(&path),
                    "code": {"text": self.string(&path)}, "subject": {"display": self.string(&path)}
                }),
                "resource" => continue,
                "primitive" => self.primitive(kind, &path),
                _ if depth > 3 => continue,
                _ => Value::Object(self.object(kind, &path, depth + 1)),
            };
            if what == "primitive" && !many && element != "id" && value.is_string() {
                let extension = self.extension(&format!("{path}.extension"));
                object
                    .insert(format!("_{element}"), json!({"id": self.marker(&path), "extension": extension}));
            }
            let many = many && kind != "Extension";
            object.insert(element, if many { json!([value]) } else { value });
        }
        object
    }
}

/// The paths of the markers that survive, and how many there were.
fn survivors(shape: Shape) -> (Vec<String>, usize) {
    let redactor = Redactor::new(Config::new(SecretKey::from_bytes([7u8; 32]).unwrap(), 1, "ward")).unwrap();
    let policy = Policy::read();
    let mut survived = Vec::new();
    let mut filler = Filler { types: types(), shape, variant: 0, next: 0, paths: Vec::new() };
    let names: Vec<&'static str> = filler
        .types
        .iter()
        .filter(|(name, one)| one.kind == "resource" && !one.is_abstract && **name != "Bundle")
        .map(|(name, _)| *name)
        .collect();
    assert!(names.len() > 140);
    let mut all = 0;
    for name in names {
        // The open choice of a Task's input has fifty types; elsewhere a dozen is the most. Types that the policy does not have go whole.
        let released = policy.has(name);
        for variant in 0..if name == "Task" {
            50
        } else if released {
            12
        } else {
            1
        } {
            (filler.variant, filler.next) = (variant, 0);
            filler.paths.clear();
            let mut resource = filler.object(name, name, 0);
            resource.insert("resourceType".into(), json!(name));
            let full_url =
                format!("http://wards.example/fhir/{name}/{}", filler.marker("Bundle.entry.fullUrl"));
            let request = json!({"method": "PUT", "url": format!("{name}/{}", filler.marker("Bundle.entry.request.url")),
                                 "ifNoneExist": filler.string("Bundle.entry.request.ifNoneExist")});
            let patient = json!({"resourceType": "Patient", "id": "p", "gender": "female"});
            let bundle = json!({
                "resourceType": "Bundle", "type": "transaction", "id": filler.marker("Bundle.id"),
                "identifier": {"system": filler.string("Bundle.identifier"), "value": filler.string("Bundle.identifier")},
                "link": [{"relation": "self", "url": filler.string("Bundle.link.url")}],
                "entry": [{"resource": patient}, {"fullUrl": full_url, "resource": resource, "request": request}]
            });
            all += filler.paths.len();
            let redacted = redactor.redact_bundle(&bundle);
            let redacted = redacted.unwrap_or_else(|error| panic!("{name}, variant {variant}: {error}"));
            let mut out = String::new();
            everything(&redacted.bundle, &mut out);
            let lower = out.to_lowercase();
            assert!(!out.contains("2019-05-04"), "{name}, variant {variant}: a date stands as it was");
            for (number, path) in (0..).zip(&filler.paths) {
                if lower.contains(&letters(number)) {
                    survived.push(path.clone());
                }
            }
        }
    }
    (survived, all)
}

#[test]
fn an_identifier_survives_in_no_element_of_any_resource() {
    let (survived, all) = survivors(Shape::Mail);
    assert!(all > 30_000, "{all} markers");
    assert!(survived.is_empty(), "{} of {all} survive: {survived:#?}", survived.len());
}

/// A word that could be a code survives where the policy keeps codes or reads free text, and nowhere else.
#[test]
fn what_the_policy_removes_or_replaces_is_gone_whatever_it_looks_like() {
    let (survived, all) = survivors(Shape::Word);
    let policy = Policy::read();
    let mut wrong = Vec::new();
    let mut kept = 0;
    for path in &survived {
        let steps: Vec<&str> = path.split('.').collect();
        let (resource, steps) = steps.split_first().unwrap();
        let treatment = policy.treatment(resource, steps);
        let allowed = match &treatment {
            Some((treatment, below)) => match treatment.as_str() {
                "keep" | "text" | "country" | "code" | "narrative" | "attachment" | "binary" => true,
                // Units and comparators; what an identifier is for and how long.
                "reference" => below.len() > 2 && below[..2] == ["identifier", "type"],
                "quantity" => matches!(
                    below.first().map(String::as_str),
                    Some("unit" | "code" | "comparator" | "currency")
                ),
                "identifier" | "patient-identifier" => below.first().is_some_and(|step| step == "type"),
                _ => false,
            },
            // A contained resource follows the section of its own type, where the text of a code is read.
            None => false,
        };
        let contained = matches!(treatment, Some((ref treatment, _)) if treatment == "resource");
        kept += usize::from(allowed || contained);
        if !allowed && !contained {
            wrong.push(format!("{path}: {treatment:?}"));
        }
    }
    wrong.dedup();
    assert!(kept > 1000, "codes and prose are still there: {kept} of {all}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
