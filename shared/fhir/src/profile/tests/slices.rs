//! Slicing by each kind of discriminator, and its rules.

use serde_json::{Value, json};

use super::{against, errors, found, named, profile, validator};

/// Name, fewest, most, and further members of the elements below it by their path.
type SliceOf<'s> = (&'s str, u32, &'s str, Vec<(&'s str, Value)>);

/// A profile whose `element` is sliced into `slices`.
fn sliced(type_name: &str, element: &str, slicing: &Value, slices: &[SliceOf<'_>]) -> Value {
    let path = format!("{type_name}.{element}");
    let mut elements = vec![json!({"id": path, "path": path, "min": 0, "max": "*", "slicing": slicing})];
    for (name, min, max, below) in slices {
        let mut root =
            json!({"id": format!("{path}:{name}"), "path": path, "sliceName": name, "min": min, "max": max});
        let mut children = Vec::new();
        for (place, members) in below {
            if place.is_empty() {
                root.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
                continue;
            }
            let mut child = json!({"id": format!("{path}:{name}.{place}"), "path": format!("{path}.{place}"), "min": 0, "max": "*"});
            child.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            children.push(child);
        }
        elements.push(root);
        elements.extend(children);
    }
    profile(type_name, &elements)
}

fn by(kind: &str, path: &str, rules: &str, ordered: bool) -> Value {
    json!({"discriminator": [{"type": kind, "path": path}], "rules": rules, "ordered": ordered})
}

fn check(definitions: &[Value], type_name: &str, cases: &[(Value, &[&str])]) {
    let validator = validator(definitions);
    for (members, expected) in cases {
        let mut resource = members.clone();
        resource["resourceType"] = json!(type_name);
        let outcome = against(&validator, &resource);
        assert_eq!(errors(&outcome), *expected, "{resource} {:?}", found(&outcome));
    }
}

fn ids(systems: &[&str]) -> Value {
    let one = |system: &&str| json!({"system": format!("http://a.b/{system}"), "value": "1"});
    json!({"identifier": systems.iter().map(one).collect::<Vec<_>>()})
}

fn identifiers(rules: &str, ordered: bool) -> Value {
    let system = |name: &str| {
        vec![("system", json!({"min": 1, "max": "1", "fixedUri": format!("http://a.b/{name}")}))]
    };
    sliced(
        "Patient",
        "identifier",
        &by("value", "system", rules, ordered),
        &[("mrn", 1, "1", system("mrn")), ("ssn", 0, "1", system("ssn"))],
    )
}

#[test]
fn by_value() {
    check(
        &[identifiers("open", false)],
        "Patient",
        &[
            (ids(&["mrn"]), &[]),
            (ids(&["other", "ssn", "mrn"]), &[]),
            (ids(&["ssn"]), &["Patient.identifier"]),
            (ids(&["mrn", "mrn"]), &["Patient.identifier"]),
        ],
    );
}

#[test]
fn closed_open_at_end_and_ordered() {
    check(
        &[identifiers("closed", false)],
        "Patient",
        &[(ids(&["mrn", "other"]), &["Patient.identifier[1]"])],
    );
    check(
        &[identifiers("openAtEnd", false)],
        "Patient",
        &[(ids(&["mrn", "other"]), &[]), (ids(&["other", "mrn"]), &["Patient.identifier[1]"])],
    );
    check(
        &[identifiers("open", true)],
        "Patient",
        &[(ids(&["mrn", "ssn"]), &[]), (ids(&["ssn", "mrn"]), &["Patient.identifier[1]"])],
    );
}

#[test]
fn by_pattern_of_the_value_itself_and_of_what_is_in_it() {
    let concept = |code: &str| json!({"coding": [{"system": "http://a.b/s", "code": code}]});
    let pattern = |code: &str| vec![("", json!({"patternCodeableConcept": concept(code)}))];
    let observation = |codes: &[&str]| json!({"status": "final", "code": {"text": "x"}, "category": codes.iter().map(|code| concept(code)).collect::<Vec<_>>()});
    let whole = sliced(
        "Observation",
        "category",
        &by("pattern", "$this", "open", false),
        &[("a", 1, "1", pattern("a")), ("b", 0, "1", pattern("b"))],
    );
    let below = sliced(
        "Observation",
        "category",
        &json!({"discriminator": [{"type": "value", "path": "coding.code"}, {"type": "value", "path": "coding.system"}], "rules": "open"}),
        &[(
            "a",
            1,
            "1",
            vec![
                ("coding", json!({"min": 1})),
                ("coding.system", json!({"min": 1, "fixedUri": "http://a.b/s"})),
                ("coding.code", json!({"min": 1, "fixedCode": "a"})),
            ],
        )],
    );
    for definition in [whole, below] {
        check(
            &[definition],
            "Observation",
            &[
                (observation(&["a"]), &[]),
                (observation(&["b", "a"]), &[]),
                (observation(&["b"]), &["Observation.category"]),
                (observation(&["a", "a"]), &["Observation.category"]),
            ],
        );
    }
}

#[test]
fn by_required_binding() {
    let set = |name: &str, code: &str| {
        json!({"resourceType": "ValueSet", "url": format!("http://a.b/{name}"), "compose": {"include": [
            {"system": "http://a.b/s", "concept": [{"code": code}]}]}})
    };
    let bound = |name: &str| {
        vec![(
            "type",
            json!({"min": 1, "binding": {"strength": "required", "valueSet": format!("http://a.b/{name}")}}),
        )]
    };
    let definition = sliced(
        "Patient",
        "identifier",
        &by("value", "type", "open", false),
        &[("x", 1, "1", bound("x")), ("y", 0, "1", bound("y"))],
    );
    let patient = |codes: &[&str]| {
        let one = |code: &&str| json!({"value": "1", "type": {"coding": [{"system": "http://a.b/s", "code": code}]}});
        json!({"identifier": codes.iter().map(one).collect::<Vec<_>>()})
    };
    check(
        &[definition, set("x", "1"), set("y", "2")],
        "Patient",
        &[
            (patient(&["1", "2"]), &[]),
            (patient(&["2"]), &["Patient.identifier"]),
            (patient(&["1", "2", "2"]), &["Patient.identifier"]),
        ],
    );
}

#[test]
fn by_type_of_a_choice_and_of_a_reference() {
    let choice = [
        json!({"id": "Observation.value[x]", "path": "Observation.value[x]", "min": 0, "max": "1",
            "slicing": by("type", "$this", "closed", false)}),
        json!({"id": "Observation.value[x]:valueQuantity", "path": "Observation.value[x]", "sliceName": "valueQuantity",
            "min": 1, "max": "1", "type": [{"code": "Quantity"}]}),
        json!({"id": "Observation.value[x]:valueQuantity.code", "path": "Observation.value[x].code", "min": 1, "max": "1"}),
    ];
    let observation =
        |name: &str, value: Value| json!({"status": "final", "code": {"text": "x"}, name: value});
    check(
        &[profile("Observation", &choice)],
        "Observation",
        &[
            (
                observation(
                    "valueQuantity",
                    json!({"value": 1, "system": "http://unitsofmeasure.org", "code": "kg"}),
                ),
                &[],
            ),
            (observation("valueQuantity", json!({"value": 1})), &["Observation.value.code"]),
            (observation("valueString", json!("x")), &["Observation.value", "Observation.value"]),
        ],
    );
    let kind = |name: &str| {
        vec![(
            "entity",
            json!({"type": [{"code": "Reference", "targetProfile": [format!("http://hl7.org/fhir/StructureDefinition/{name}")]}]}),
        )]
    };
    let target = sliced(
        "List",
        "entry",
        &json!({"discriminator": [{"type": "type", "path": "item.resolve()"}], "rules": "closed"}),
        &[("patient", 1, "1", kind("Patient").into_iter().map(|(_, rule)| ("item", rule)).collect())],
    );
    let list = |reference: &str| {
        json!({"status": "current", "mode": "working", "entry": [{"item": {"reference": reference}}], "contained": [
            {"resourceType": "Patient", "id": "p", "active": true}, {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}],
            "subject": {"reference": "#p"}, "source": {"reference": "#p"}, "extension": [
                {"url": "http://a.b/c", "valueReference": {"reference": "#b"}}]})
    };
    check(&[target], "List", &[(list("#p"), &[]), (list("#b"), &["List.entry", "List.entry[0]"])]);
}

#[test]
fn by_profile() {
    let kept = "http://example.org/StructureDefinition/kept";
    let target = named(
        kept,
        "Patient",
        &[json!({"id": "Patient.active", "path": "Patient.active", "min": 1, "max": "1"})],
    );
    let definition = sliced(
        "Bundle",
        "entry",
        &by("profile", "resource", "open", false),
        &[("kept", 1, "1", vec![("resource", json!({"type": [{"code": "Patient", "profile": [kept]}]}))])],
    );
    let bundle = |patient: Value| json!({"type": "collection", "entry": [{"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": patient}]});
    check(
        &[definition, target],
        "Bundle",
        &[
            (bundle(json!({"resourceType": "Patient", "active": true})), &[]),
            (bundle(json!({"resourceType": "Patient", "gender": "male"})), &["Bundle.entry"]),
        ],
    );
}

#[test]
fn by_existence() {
    let definition = sliced(
        "Patient",
        "name",
        &by("exists", "period", "open", false),
        &[
            ("dated", 0, "1", vec![("period", json!({"min": 1, "max": "1"}))]),
            (
                "undated",
                1,
                "*",
                vec![("period", json!({"min": 0, "max": "0"})), ("family", json!({"min": 1}))],
            ),
        ],
    );
    let dated = json!({"text": "x", "period": {"start": "2020"}});
    check(
        &[definition],
        "Patient",
        &[
            (json!({"name": [dated, {"family": "x"}]}), &[]),
            (json!({"name": [dated, {"text": "x"}]}), &["Patient.name[1].family"]),
            (json!({"name": [dated]}), &["Patient.name"]),
            (json!({"name": [dated, dated, {"family": "x"}]}), &["Patient.name"]),
        ],
    );
}

#[test]
fn slices_of_slices() {
    let system = |id: &str, value: &str| json!({"id": format!("Patient.identifier:{id}.system"), "path": "Patient.identifier.system", "min": 1, "max": "1", "fixedUri": value});
    let slice = |id: &str, min: u32| json!({"id": format!("Patient.identifier:{id}"), "path": "Patient.identifier", "sliceName": id, "min": min, "max": "*"});
    let mut outer = slice("a", 1);
    outer["slicing"] = by("value", "use", "open", false);
    let usual = json!({"id": "Patient.identifier:a/usual.use", "path": "Patient.identifier.use", "min": 1, "max": "1", "fixedCode": "usual"});
    let root = json!({"id": "Patient.identifier", "path": "Patient.identifier", "min": 0, "max": "*",
        "slicing": by("value", "system", "open", false)});
    let definition =
        profile("Patient", &[root, outer, system("a", "http://a.b/a"), slice("a/usual", 1), usual]);
    let identifier =
        |usage: &str| json!({"identifier": [{"system": "http://a.b/a", "value": "1", "use": usage}]});
    check(
        &[definition],
        "Patient",
        &[(identifier("usual"), &[]), (identifier("old"), &["Patient.identifier"])],
    );
}
