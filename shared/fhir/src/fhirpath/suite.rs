//! The engine against HL7's own cases (`tests-fhir-r4.xml`), found by the environment variable `WARDSTREAM_CORPUS`.
//!
//! A case's input is one of the specification's examples, looked for beside the cases as JSON. Without it only those
//! cases run whose expression reads nothing of the input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::ast::Expr;
use super::item::{Item, System};
use super::types::system_name;
use super::*;
use crate::definitions::Definitions;
use crate::json::{Tape, read};

/// Functions that are no part of this engine: those of FHIRPath 3 that are for trial use, and what is about sorting.
const OUT_OF_SCOPE: [&str; 5] = ["lowBoundary", "highBoundary", "precision", "comparable", "sort"];

/// Cases whose expected result this engine does not give, and why.
const KNOWN: [(&str, &str); 11] = [
    ("testSimpleFail", STATIC),
    ("testSimpleWithWrongContext", STATIC),
    ("testPolymorphismB", STATIC),
    ("testPolymorphismAsB", STATIC),
    ("testDollarOrderNotAllowed", STATIC),
    ("testIif6", STATIC),
    ("testPolymorphicsB", STATIC),
    ("testQuantity9", UNITS),
    ("testQuantity10", UNITS),
    ("testQuantity11", UNITS),
    ("testNEquality24", UNITS),
];
const STATIC: &str = "types are not checked before evaluation: what an element cannot have is empty";
const UNITS: &str = "units are compared, not converted beyond powers of ten and not multiplied";

struct Case {
    name: String,
    expression: String,
    input: Option<String>,
    outputs: Vec<(String, String)>,
    is_predicate: bool,
    invalid: Option<String>,
}

fn cases(folder: &Path) -> Option<Vec<Case>> {
    let text = std::fs::read_to_string(folder.join("tests-fhir-r4.xml")).ok()?;
    let document = roxmltree::Document::parse(&text).unwrap();
    let tests = document.descendants().filter(|node| node.has_tag_name("test"));
    Some(
        tests
            .filter_map(|test| {
                let expression = test.children().find(|node| node.has_tag_name("expression"))?;
                let outputs = test.children().filter(|node| node.has_tag_name("output"));
                Some(Case {
                    name: test.attribute("name").unwrap_or("").to_owned(),
                    expression: expression.text().unwrap_or("").to_owned(),
                    input: test.attribute("inputfile").map(|name| name.replace(".xml", ".json")),
                    outputs: outputs
                        .map(|node| {
                            let kind = node.attribute("type").unwrap_or("").to_owned();
                            (kind, node.text().unwrap_or("").to_owned())
                        })
                        .collect(),
                    is_predicate: test.attribute("predicate") == Some("true"),
                    invalid: expression.attribute("invalid").map(str::to_owned),
                })
            })
            .collect(),
    )
}

struct NoHost;

impl<'t> Host<'t> for NoHost {
    fn resolve(&self, _: &str) -> Option<Node<'t>> {
        None
    }

    fn member_of(&self, _: &str, _: Node<'t>) -> Option<bool> {
        None
    }

    fn conforms(&self, profile: &str, node: Node<'t>) -> Option<bool> {
        let name = profile.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
        Some(node.kind.is_a(Definitions::r4(), name))
    }
}

/// Whether the expression reads the input it is called on.
fn reads_input(expr: &Expr) -> bool {
    match expr {
        Expr::Member(_) | Expr::Root(_) | Expr::This | Expr::Variable(_) => true,
        Expr::Empty | Expr::Literal(_) | Expr::Index | Expr::Total => false,
        Expr::Indexer(inner) | Expr::Negate(inner) | Expr::Is(inner, _) | Expr::As(inner, _) => {
            reads_input(inner)
        }
        Expr::Binary(_, left, right) => reads_input(left) || reads_input(right),
        // What follows the first term reads that term; names in arguments may read the input.
        Expr::Path(first, steps) => reads_input(first) || steps.iter().any(step_reads_input),
        // A function at the beginning is called on the input, but these read nothing of it.
        Expr::Call(call) => {
            !matches!(call.function, ast::Function::Iif | ast::Function::Now | ast::Function::Today)
                || call.arguments.iter().any(reads_input)
        }
    }
}

fn step_reads_input(step: &Expr) -> bool {
    match step {
        Expr::Call(call) => call.arguments.iter().any(|argument| match argument {
            Expr::This => false,
            other => reads_input(other),
        }),
        Expr::Indexer(inner) => reads_input(inner),
        _ => false,
    }
}

fn shown(item: &Item<'_>) -> (String, String) {
    let kind = match item {
        Item::Node(node) => node.kind.name().to_owned(),
        Item::System(value) => {
            let name = system_name(value);
            name.chars().take(1).map(|first| first.to_ascii_lowercase()).chain(name.chars().skip(1)).collect()
        }
    };
    let text = match item.system() {
        Some(System::Temporal(temporal)) => {
            let prefix = if temporal.kind == temporal::TemporalKind::Time { "@T" } else { "@" };
            format!("{prefix}{temporal}")
        }
        Some(System::Boolean(value)) => value.to_string(),
        Some(System::Integer(value)) => value.to_string(),
        Some(System::Decimal(value)) => value.to_string(),
        Some(System::String(value)) => value.into_owned(),
        Some(System::Quantity(value)) => format!("{} '{}'", value.value, value.unit),
        _ => String::new(),
    };
    (kind, text)
}

/// None if the case passes, else what is wrong.
fn run(case: &Case, resource: &str) -> Option<String> {
    let definitions = Definitions::r4();
    let expression = match Expression::parse(&case.expression) {
        Ok(expression) => expression,
        Err(error) => return case.invalid.is_none().then(|| error.to_string()),
    };
    let tape: Tape<'_> = read(resource.as_bytes()).unwrap();
    let node = Node::resource(definitions, tape.root().unwrap()).unwrap();
    let budget = Budget::new(1_000_000);
    let evaluator = Evaluator {
        definitions,
        resource: Some(node),
        root: Some(node),
        now: Temporal::parse("2026-11-23T12:00:00.000+01:00"),
        host: &NoHost,
        budget: &budget,
    };
    let result = evaluator.evaluate(&expression, node);
    let items = match (result, &case.invalid) {
        (Err(_), Some(_)) => return None,
        (Ok(_), Some(how)) => return Some(format!("is invalid ({how}) but evaluates")),
        (Err(stop), None) => return Some(format!("{stop:?}")),
        (Ok(items), None) => items,
    };
    let found: Vec<(String, String)> = if case.is_predicate {
        vec![("boolean".to_owned(), (!items.is_empty()).to_string())]
    } else {
        items.iter().map(shown).collect()
    };
    let fits = found.len() == case.outputs.len()
        && found.iter().zip(&case.outputs).all(|((kind, text), (expected_kind, expected))| {
            (expected_kind.is_empty() || kind == expected_kind || kind.eq_ignore_ascii_case(expected_kind))
                && text.trim_start_matches("@T").trim_start_matches('@')
                    == expected.trim_start_matches("@T").trim_start_matches('@')
        });
    (!fits).then(|| format!("gives {found:?}, expected {:?}", case.outputs))
}

#[test]
fn hl7_cases() {
    let folder =
        std::env::var_os("WARDSTREAM_CORPUS").map(|root| PathBuf::from(root).join("reference/fhirpath"));
    let Some((folder, cases)) = folder.and_then(|folder| cases(&folder).map(|cases| (folder, cases))) else {
        println!("skipped: WARDSTREAM_CORPUS does not lead to reference/fhirpath/tests-fhir-r4.xml");
        return;
    };
    let known = |name: &str| KNOWN.iter().find(|(known, _)| *known == name);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in &cases {
        let out = OUT_OF_SCOPE.iter().any(|function| case.expression.contains(&format!("{function}(")));
        let resource = match &case.input {
            Some(name) => std::fs::read_to_string(folder.join(name)).ok(),
            None => Some(r#"{"resourceType":"Patient"}"#.to_owned()),
        };
        let closed = Expression::parse(&case.expression).is_ok_and(|parsed| !reads_input(&parsed.0));
        let verdict = if out {
            "out of scope"
        } else if let Some(resource) = resource.or(closed.then(|| r#"{"resourceType":"Patient"}"#.to_owned()))
        {
            match run(case, &resource) {
                None => "passed",
                Some(reason) => match known(&case.name) {
                    Some((_, why)) => why,
                    None => {
                        failures.push(format!("{}: {}: {reason}", case.name, case.expression));
                        "failed"
                    }
                },
            }
        } else {
            "skipped: its example resource is not beside the cases"
        };
        *counts.entry(verdict).or_default() += 1;
    }
    println!("{} cases: {counts:?}", cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
