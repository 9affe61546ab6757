//! Validations a second on one core, from the text to the findings, with invariants on.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wardstream_fhir::Validator;

/// The resources that peers are measured with, and two that are usual and invalid.
const PATIENT: &str = include_str!("patient.json");
const BUNDLE: &str = include_str!("bundle.json");

fn validate(criterion: &mut Criterion) {
    let validator = Validator::r4();
    let mut group = criterion.benchmark_group("validate");
    group.throughput(Throughput::Elements(1));
    for (name, text) in [("Patient", PATIENT), ("two-entry Bundle", BUNDLE)] {
        assert!(validator.validate(text.as_bytes()).is_valid(), "{name}");
        group.bench_function(name, |b| b.iter(|| validator.validate(black_box(text.as_bytes())).is_valid()));
    }
    let wrong = PATIENT.replace("\"female\"", "\"F\"").replace("1974-12-25", "25.12.1974");
    assert!(!validator.validate(wrong.as_bytes()).is_valid());
    group.bench_function("Patient with two defects, to an OperationOutcome", |b| {
        b.iter(|| validator.validate(black_box(wrong.as_bytes())).to_operation_outcome())
    });
    group.finish();
}

criterion_group!(benches, validate);
criterion_main!(benches);
