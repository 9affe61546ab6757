//! One Rust validator on one resource: `wardstream-fhir-peers CONTENDER SECONDS FILE` prints the validations a second of
//! processor time (wall clock differs from run to run on a machine with other work) and whether the resource is valid. Each
//! starts from the text and ends with its list of findings, with invariants on; the project's own goes on to the text of
//! the OperationOutcome.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ProcessTime;
use futures_executor::block_on;
use serde_json::Value;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, seconds, path] = arguments.as_slice() else {
        panic!("usage: wardstream-fhir-peers CONTENDER SECONDS FILE");
    };
    let seconds = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let text = std::fs::read(path).expect("the resource");
    match name.as_str() {
        "wardstream" => {
            let validator = wardstream_fhir::Validator::r4();
            measure(seconds, &text, |text| {
                let outcome = validator.validate(text);
                black_box(outcome.to_operation_outcome().to_string());
                outcome.is_valid()
            });
        }
        "helios" => helios(seconds, &text),
        "rh" => {
            let validator = rh_validator::FhirValidator::new(rh_validator::FhirVersion::R4, None);
            let validator = validator.expect("rh-validator");
            measure(seconds, &text, |text| validator.validate(&json(text)).is_ok_and(|result| result.valid));
        }
        other => panic!("no contender is called {other}"),
    }
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("JSON")
}

/// With the code systems and value sets of FHIR that it has with it, and its FHIRPath engine for the invariants.
fn helios(seconds: Duration, text: &[u8]) {
    use helios_fhir::FhirVersion::R4;
    use helios_fhir_validator::fhirpath_effects::FhirPathConstraintEvaluator;
    use helios_fhir_validator::{
        EffectHandlers, Severity, SyncOutcome, ValidationOptions, Validator, core_terminology, effects, packs,
    };

    let validator = Validator::new(packs::core_registry(R4));
    let terminology = core_terminology(R4);
    let constraints = FhirPathConstraintEvaluator::new();
    let options = ValidationOptions::default();
    let handlers = EffectHandlers { constraints: Some(&constraints), ..EffectHandlers::default() };
    measure(seconds, text, |text| {
        let resource = json(text);
        let SyncOutcome { mut errors, deferred } = validator.validate_sync(&resource, &options);
        errors.extend(terminology.required_binding_errors(&deferred));
        block_on(effects::execute(&resource, R4, &deferred, &handlers, &mut errors));
        !errors.iter().any(|error| error.severity == Severity::Error)
    });
}

fn measure(seconds: Duration, text: &[u8], validate: impl Fn(&[u8]) -> bool) {
    let valid = validate(text);
    let (start, mut count) = (ProcessTime::now(), 0u32);
    while count == 0 || start.elapsed() < seconds {
        // Asking for the processor time takes a tenth of what a validation does.
        for _ in 0..16 {
            assert_eq!(validate(black_box(text)), valid);
        }
        count += 16;
    }
    println!("{:.1}", f64::from(count) / start.elapsed().as_secs_f64());
    println!("{valid}");
}
