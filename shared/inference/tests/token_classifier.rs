//! The token classifier with its weights: `deploy/local/models/fetch.sh` puts them where these tests look, `make test` runs it
//! first.
#![expect(clippy::print_stdout, reason = "a skipped test must say so")]

use std::path::PathBuf;

use wardstream_inference::{EncoderOptions, Precision, TokenClassifier};

fn classifier(test: &str, precision: Precision) -> Option<TokenClassifier> {
    let folder = std::env::var_os("WARDSTREAM_MODELS")
        .map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/models")),
            PathBuf::from,
        )
        .join("rampart");
    if !folder.join("onnx/model_q4.onnx").exists() {
        println!("skipped {test}: no weights; run deploy/local/models/fetch.sh or set WARDSTREAM_MODELS");
        return None;
    }
    let options = EncoderOptions { precision, ..EncoderOptions::default() };
    #[expect(clippy::expect_used, reason = "weights that are there must load")]
    Some(TokenClassifier::load(&folder, options).expect("the classifier loads"))
}

/// Entity and text of each span.
fn found<'t>(classifier: &TokenClassifier, text: &'t str) -> Vec<(String, &'t str)> {
    let Ok(spans) = classifier.spans(&[text], 0.5) else { panic!("the classifier runs") };
    spans[0]
        .iter()
        .map(|span| (classifier.entities()[span.entity].clone(), &text[span.range.clone()]))
        .collect()
}

#[test]
fn outputs_are_those_of_the_published_graph() {
    let Some(classifier) = classifier("outputs", Precision::F32) else { return };
    let Ok(logits) = classifier.logits("Seen with Dr. Okonkwo at 42 Larkspur Crescent.") else {
        panic!("the classifier runs")
    };
    assert_eq!(logits.len(), 15);
    // Of onnxruntime 1.32.0, the first eight of each.
    for (range, expected) in [
        (14..16, [1.19328, 5.93609, 1.97347, 11.47205, 0.67213, -2.46119, -1.22918, -2.63813]),
        (25..27, [3.05977, -1.02517, -1.33897, -1.14573, -2.2028, -2.51904, -1.72782, -0.58668]),
    ] {
        let Some(row) = logits.iter().find(|token| token.range == range) else {
            panic!("no token {range:?}")
        };
        assert_eq!(row.logits.len(), 35);
        for (found, expected) in row.logits.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
        }
    }
}

#[test]
fn finds_what_the_published_model_finds() {
    let Some(classifier) = classifier("spans", Precision::Int8) else { return };
    let text = "Mr Casimir Mbeki of 42 Larkspur Crescent, Duluth, MN was seen today; call (218) 555-0143.";
    let expected = [
        ("GIVEN_NAME", "Casimir"),
        ("SURNAME", "Mbeki"),
        ("BUILDING_NUMBER", "42"),
        ("STREET_NAME", "Larkspur Crescent"),
        ("CITY", "Duluth"),
        ("STATE", "MN"),
        ("PHONE", "(218) 555-0143"),
    ]
    .map(|(entity, text)| (entity.to_owned(), text));
    assert_eq!(found(&classifier, text), expected);
    assert!(found(&classifier, "Metoprolol 25 mg daily for hypertension, no chest pain.").is_empty());
    assert!(found(&classifier, "").is_empty() && found(&classifier, " \n").is_empty());
}

#[test]
fn a_long_text_is_read_to_its_end_and_a_text_does_not_depend_on_others() {
    let Some(classifier) = classifier("windows", Precision::Int8) else { return };
    let filler = "No fever, no cough, appetite good, sleeping well on the ward. ".repeat(60);
    let long = format!("{filler}Her daughter Ilse Grünewald will visit. {filler}");
    let last = format!("{filler}{filler}Signed, Casimir Mbeki");
    let Ok(spans) = classifier.spans(&[long.as_str(), "", last.as_str()], 0.5) else {
        panic!("the classifier runs")
    };
    let texts = |index: usize, text: &str| -> Vec<String> {
        spans[index].iter().map(|span| text[span.range.clone()].to_owned()).collect()
    };
    assert_eq!(texts(0, &long), ["Ilse", "Grünewald"]);
    assert!(spans[1].is_empty());
    assert_eq!(texts(2, &last), ["Casimir", "Mbeki"]);
    assert_eq!(classifier.spans(&[last.as_str()], 0.5).unwrap_or_default(), spans[2..]);
}
