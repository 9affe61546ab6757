//! The models with their weights: `deploy/local/models/fetch.sh` puts them where these tests look, `make test` runs it first.
#![expect(clippy::print_stdout, reason = "a skipped test must say so")]

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::{Value, json};
use wardstream_inference::{
    Budget, Document, DocumentType, Encoder, EncoderOptions, Models, Precision, Specialty, Urgency, cosine,
};

fn folder() -> PathBuf {
    std::env::var_os("WARDSTREAM_MODELS")
        .map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/models")),
            PathBuf::from,
        )
        .join("all-MiniLM-L6-v2")
}

static MODELS: LazyLock<Option<Models>> = LazyLock::new(|| {
    if !folder().join("model.safetensors").exists() {
        return None;
    }
    #[expect(clippy::expect_used, reason = "weights that are there must load")]
    Some(Models::load(&folder()).expect("the models load"))
});

fn models(test: &str) -> Option<&'static Models> {
    let models = MODELS.as_ref();
    if models.is_none() {
        println!("skipped {test}: no weights; run deploy/local/models/fetch.sh or set WARDSTREAM_MODELS");
    }
    models
}

fn single_precision() -> Encoder {
    let options = EncoderOptions { precision: Precision::F32, ..EncoderOptions::default() };
    let Ok(encoder) = Encoder::load_with(&folder(), options) else { panic!("the weights load") };
    encoder
}

fn laboratory(value: &str, unit: &str) -> Document {
    let value: Value = serde_json::from_str(value).unwrap_or_default();
    Document::from_bundle(&json!({"resourceType": "Bundle", "entry": [
        {"resource": {"resourceType": "MessageHeader", "eventCoding": {"code": "R01"}}},
        {"resource": {"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3", "display": "Potassium"}]},
            "valueQuantity": {"value": value, "unit": unit}, "referenceRange": [{"text": "3.5-5.1"}]}},
        {"resource": {"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "2951-2", "display": "Sodium"}]},
            "valueQuantity": {"value": 139, "unit": "mmol/L"}, "referenceRange": [{"text": "135-145"}]}},
    ]}))
}

#[test]
fn embeddings_are_those_of_the_published_encoder() {
    if models("embeddings").is_none() {
        return;
    }
    let texts = [
        "The patient has chest pain.",
        "Patient complains of pain in the chest.",
        "The invoice was paid late.",
    ];
    let Ok(embeddings) = single_precision().embed(&texts) else { panic!("the encoder runs") };
    let [a, b, c] = &embeddings[..] else { panic!("one embedding a text") };
    assert!((cosine(a, a) - 1.0).abs() < 1e-4);
    assert!(cosine(a, b) > 0.8 && cosine(a, c) < 0.2, "{} {}", cosine(a, b), cosine(a, c));
    for (found, expected) in a.iter().zip(EXPECTED) {
        assert!((found - expected).abs() < 2e-4, "{found} is not {expected}");
    }
}

#[test]
fn padding_and_batches_do_not_change_an_embedding() {
    let Some(models) = models("batches") else { return };
    let long = "Reviewed on the ward with the team after the scan. ".repeat(12);
    let alone = models.encoder().embed(&["short of breath"]).unwrap_or_default();
    let together = models.encoder().embed(&[long.as_str(), "short of breath", "", "ok"]).unwrap_or_default();
    let (Some(one), Some(other)) = (alone.first(), together.get(1)) else { panic!("embeddings") };
    assert!(cosine(one, other) > 0.9999);
    assert_eq!(together.len(), 4);
}

#[test]
fn a_critical_value_outranks_every_model() {
    let Some(models) = models("critical values") else { return };
    let Ok(result) = models.classify(&laboratory("7.1", "mmol/L")) else { panic!("it classifies") };
    assert_eq!((result.urgency.label, result.urgency.p), (Urgency::Emergent, 1.0));
    assert_eq!(
        result.reasons.first().map(String::as_str),
        Some("critical: potassium 7.1 mmol/L (limit 6.5)")
    );
    assert_eq!(
        (result.doc_type.label, result.specialty.label),
        (DocumentType::LabResult, Specialty::Nephrology)
    );
    assert!(!result.abstained);
    let Ok(normal) = models.classify(&laboratory("4.1", "mmol/L")) else { panic!("it classifies") };
    assert_eq!(normal.urgency.label, Urgency::Routine);
    // A calm note beside it changes nothing.
    let mut calm = laboratory("7.1", "mmol/L");
    let note = "Annual check, feels well, stable, routine follow-up in 12 months.\n";
    calm.narrative.insert_str(0, note);
    calm.prose = note.len();
    assert_eq!(models.classify(&calm).map(|c| c.urgency.label).ok(), Some(Urgency::Emergent));
}

#[test]
fn plain_texts_get_plain_labels() {
    let Some(models) = models("labels") else { return };
    for (text, urgency, specialty) in [
        (
            "61 year old man with crushing chest pain and ST elevation in the anterior leads, BP 84/50.",
            Urgency::Emergent,
            Specialty::Cardiology,
        ),
        (
            "Annual diabetes review. HbA1c 47, feet normal. Continue metformin, see in 12 months.",
            Urgency::Routine,
            Specialty::Endocrinology,
        ),
        (
            "Acute testicular torsion, sudden severe scrotal pain for two hours. Theatre now.",
            Urgency::Emergent,
            Specialty::Urology,
        ),
        (
            "Mild acne, topical treatment continued, stable. Review in 6 months.",
            Urgency::Routine,
            Specialty::Dermatology,
        ),
    ] {
        let Ok(result) = models.classify(&Document::from_text(text)) else { panic!("it classifies") };
        assert_eq!(
            (result.urgency.label, result.specialty.label),
            (urgency, specialty),
            "{:?}",
            result.reasons
        );
    }
}

#[test]
fn a_denied_emergency_is_none() {
    let Some(models) = models("negation") else { return };
    let affirmed = models
        .classify(&Document::from_text("Seen in clinic. She has crushing chest pain, syncope and dyspnea."));
    let denied = models.classify(&Document::from_text(
        "Seen in clinic, doing well. No chest pain, no syncope, denies dyspnea. See in 12 months.",
    ));
    let (Ok(affirmed), Ok(denied)) = (affirmed, denied) else { panic!("they classify") };
    assert_ne!(affirmed.urgency.label, Urgency::Routine);
    assert_eq!(denied.urgency.label, Urgency::Routine);
    assert!(affirmed.abstained || affirmed.urgency.label == Urgency::Emergent, "{affirmed:?}");
    let why = "red flag: crushing chest pain, chest pain, syncope, dyspnea (chest pain that may be cardiac; NICE CG95, 1.2.1)";
    assert!(affirmed.reasons.iter().any(|reason| reason == why), "{:?}", affirmed.reasons);
    assert!(!denied.reasons.iter().any(|reason| reason.starts_with("red flag")), "{:?}", denied.reasons);
}

#[test]
fn a_red_flag_needs_no_text_that_can_be_judged() {
    let Some(models) = models("short red flags") else { return };
    let Ok(result) = models.classify(&Document::from_text("Thunderclap headache")) else {
        panic!("it classifies")
    };
    assert_eq!((result.urgency.label, result.abstained), (Urgency::Urgent, true), "{result:?}");
}

#[test]
fn it_abstains_on_what_is_no_clinical_text() {
    let Some(models) = models("abstaining") else { return };
    let Ok(result) = models.classify(&Document::from_text("lorem ipsum dolor sit amet consectetur elit"))
    else {
        panic!("it classifies")
    };
    assert!(result.abstained, "{result:?}");
    assert!(result.reasons.iter().any(|reason| reason.starts_with("abstained:")));
}

#[test]
fn a_result_that_may_be_critical_is_shown_to_a_person() {
    let Some(models) = models("doubtful results") else { return };
    let document = Document::from_bundle(&json!({"entry": [{"resource": {"resourceType": "Observation",
        "status": "final", "code": {"text": "Glucose"}, "valueQuantity": {"value": 20}}}]}));
    let Ok(result) = models.classify(&document) else { panic!("it classifies") };
    assert!(result.abstained && result.reasons.iter().any(|r| r.contains("without a unit")), "{result:?}");
}

#[test]
fn an_explanation_shows_layers_thresholds_and_the_sentence_that_decided() {
    let Some(models) = models("explanations") else { return };
    let text = "Seen in clinic with her daughter. She now has crushing chest pain and is grey and sweaty, BP 80/50. \
        She lives alone.";
    let Ok(why) = models.explain(&Document::from_text(text)) else { panic!("it explains") };
    assert_eq!(why.classification.urgency.label, Urgency::Emergent);
    let first = why.evidence.first().map(|e| e.text.as_str()).unwrap_or_default();
    assert!(first.contains("crushing chest pain"), "{:?}", why.evidence);
    let shown = why.to_string();
    for part in [
        "1. Critical values",
        "2. Codes",
        "3. Text",
        "is called emergent from",
        "Human queue",
        "without \"She now",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let Ok(critical) = models.explain(&laboratory("7.1", "mmol/L")) else { panic!("it explains") };
    assert!(critical.text.is_none() && critical.to_string().contains("potassium 7.1 mmol/L (limit 6.5)"));
}

#[test]
fn a_lower_operating_point_calls_more_emergent() {
    if models("operating point").is_none() {
        return;
    }
    let Ok(wary) = Models::load(&folder()).map(|models| models.emergent_from(0.0001)) else {
        panic!("it loads")
    };
    let calm = Document::from_text("Annual diabetes review. HbA1c 47, feet normal. See in 12 months.");
    assert_eq!(wary.classify(&calm).map(|c| c.urgency.label).ok(), Some(Urgency::Emergent));
}

#[test]
fn outputs_have_the_agreed_shape() {
    let Some(models) = models("shapes") else { return };
    let document = laboratory("7.1", "mmol/L");
    let result =
        models.classify(&document).ok().and_then(|c| serde_json::to_value(c).ok()).unwrap_or_default();
    assert_eq!(result["urgency"], json!({"label": "emergent", "p": 1.0}));
    assert!(result["specialty"]["second"].is_string() && result["doc_type"]["p"].is_number());
    let summary = models
        .summarize(&document, Budget::default())
        .ok()
        .and_then(|s| serde_json::to_value(s).ok())
        .unwrap_or_default();
    assert_eq!(summary["sentences"][0]["text"], "Potassium 7.1 mmol/L (3.5-5.1), critical high");
    assert_eq!(summary["sentences"][0]["sources"], json!([[0, 45]]));
}

#[test]
fn summaries_are_spans_of_the_narrative_and_conclusions_lead() {
    let Some(models) = models("summaries") else { return };
    let text = "CHIEF COMPLAINT: Short of breath für Tage.\nFAMILY HISTORY: Mother had asthma.\n\
        HISTORY: He walked in. He sat down. He reports cough for 3 days. The cough is dry. There is no fever. He slept badly. \
        He ate soup. His dog is well. He came by bus. The bus was late. The cough is dry and worse at night.\n\
        IMPRESSION: Bilateral pulmonary emboli with right heart strain.\nPLAN: Start heparin. Admit to high dependency.";
    let document = Document::from_text(text);
    let budget = Budget { sentences: 4, characters: 300 };
    let Ok(summary) = models.summarize(&document, budget) else { panic!("it summarises") };
    let characters: Vec<char> = document.narrative.chars().collect();
    assert!(!summary.sentences.is_empty() && summary.sentences.len() <= 4);
    for sentence in &summary.sentences {
        for [start, end] in &sentence.sources {
            let source: String = characters.get(*start..*end).unwrap_or_default().iter().collect();
            assert_eq!(source.split_whitespace().collect::<Vec<_>>().join(" "), sentence.text);
        }
    }
    assert_eq!(
        summary.sentences.first().map(|s| s.text.as_str()),
        Some("Bilateral pulmonary emboli with right heart strain.")
    );
    assert!(!summary.sentences.iter().any(|s| s.text.contains("asthma")));
}

#[test]
fn several_threads_share_the_models() {
    let Some(models) = models("threads") else { return };
    let judge =
        || models.classify(&Document::from_text("Known stable angina, no change, routine review.")).ok();
    let results: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..4).map(|_| scope.spawn(judge)).collect();
        handles.into_iter().map(|handle| handle.join().ok().flatten()).collect()
    });
    assert!(results.iter().all(|r| r.is_some() && r == &results[0]));
}

/// First values of the embedding of "The patient has chest pain.", computed from the same weights in double precision
/// by a program that shares no code with candle.
const EXPECTED: [f32; 8] =
    [0.073_275, 0.119_002, -0.055_967, 0.048_377, -0.038_466, -0.037_355, -0.048_314, 0.062_334];

#[test]
fn eight_bits_keep_the_direction() {
    if models("eight bits").is_none() {
        return;
    }
    let Ok(int8) = Encoder::load(&folder()) else { panic!("the weights load") };
    let single = single_precision();
    let texts = [
        "61 year old man with crushing chest pain and ST elevation in the anterior leads, BP 84/50.",
        "ok",
        "",
        "Annual diabetes review. HbA1c 47, feet normal. Continue metformin, see in 12 months.",
    ];
    let (Ok(found), Ok(expected)) = (int8.embed(&texts), single.embed(&texts)) else { panic!("both run") };
    for (found, expected) in found.iter().zip(&expected) {
        let likeness = cosine(found, expected);
        assert!(likeness > 0.98, "{likeness}");
        // Were the integers not used at all, nothing would differ.
        assert_ne!(found, expected);
    }
}
