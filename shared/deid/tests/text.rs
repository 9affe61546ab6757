//! Free text: every kind with look-alikes, and the properties that hold for any text.

mod exercise;

use exercise::{REDACTOR, redact};
use proptest::prelude::*;
use serde_json::{Value, json};
use wardstream_deid::{Gazetteer, Kind};

/// Identifiers between guillemets, with their kind.
const FOUND: &[(Kind, &str)] = &[
    (Kind::Name, "Seen by Dr. «Kowalczyk» today."),
    (Kind::Name, "Patient Name: «DOE, JANE Q»"),
    (Kind::Name, "Electronically signed by: «Ngozi Eze», MD"),
    (Kind::Name, "cc: «Maria Delgado», M.D."),
    (Kind::Name, "name: «john smith»"),
    (Kind::Location, "Lives at «742 Evergreen Terrace, Springfield, IL 62704» alone"),
    (Kind::Location, "mail to «P.O. Box 4411» please"),
    (Kind::Location, "zip code «98365» noted"),
    (Kind::Location, "She moved from «Boise, Idaho» last year"),
    (Kind::Location, "now in room «412B», stable"),
    (Kind::Organization, "transferred from «Lakeview Memorial Hospital» overnight"),
    (Kind::Organization, "He works at «Acme Tools» as a clerk"),
    (Kind::Date, "on «03/04/2015» she fell"),
    (Kind::Date, "on «3-4-15» she fell"),
    (Kind::Date, "since «2015-03-04T10:11:12Z» stable"),
    (Kind::Date, "admitted «20150304» and"),
    (Kind::Date, "on «March 4th, 2015» she fell"),
    (Kind::Date, "on «4 Mar 2015» she fell"),
    (Kind::Date, "on «Tuesday, March 4» she fell"),
    (Kind::Date, "since «July» and"),
    (Kind::Date, "on «8/15» she fell"),
    (Kind::Date, "in «08/2015» she fell"),
    (Kind::Date, "the «thirty-first of July» was hot"),
    (Kind::Date, "seen «June third, nineteen ninety-eight» there"),
    (Kind::Date, "fell over «Thanksgiving» weekend"),
    (Kind::Age, "a «93»-year-old man"),
    (Kind::Age, "died at age «97» of"),
    (Kind::Phone, "call «(415) 555-0173» now"),
    (Kind::Phone, "call «415.555.0173 x12» now"),
    (Kind::Phone, "pager «48213» please"),
    (Kind::Phone, "reach at «+44 20 7946 0958» daily"),
    (Kind::Fax, "fax «415-555-0199» instead"),
    (Kind::Email, "write «a.b-c@mail.example.org» please"),
    (Kind::Ssn, "has «219-09-9999» on file"),
    (Kind::Ssn, "SSN: «219099999»"),
    (Kind::MedicalRecord, "MRN «88301477» reviewed"),
    (Kind::MedicalRecord, "medical record number is «A-77441» here"),
    (Kind::HealthPlan, "Medicare ID «1EG4-TE5-MK73» active"),
    (Kind::HealthPlan, "member # «XJW77281» active"),
    (Kind::Account, "account number «0045128831» due"),
    (Kind::Account, "card «4111 1111 1111 1111» used"),
    (Kind::License, "driver's license «D1234567» shown"),
    (Kind::License, "NPI «1234567893» listed"),
    (Kind::Vehicle, "VIN «1HGCM82633A004352» parked"),
    (Kind::Vehicle, "license plate «7ABC123» seen"),
    (Kind::Device, "serial number «PJN-402211H» interrogated"),
    (Kind::Device, "UDI «(01)00643169001763(17)220712(21)21A11F» scanned"),
    (Kind::Url, "see «https://example.org/a?b=c» for"),
    (Kind::Url, "see «www.example.org/x» for"),
    (Kind::IpAddress, "from «192.168.10.24» today"),
    (Kind::IpAddress, "from «2001:db8::8a2e:370:7334» today"),
    (Kind::Biometric, "fingerprint ID «FP-00412933» stored"),
    (Kind::Photo, "see «wound_left_03.jpg» attached"),
    (Kind::Other, "accession «S15-20114» received"),
    (Kind::Other, "id «550e8400-e29b-41d4-a716-446655440000» given"),
    (Kind::Other, "username «jroe77» active"),
    (Kind::Name, "the note says that «Tenvir» fell"),
    (Kind::Name, "PATIENT NAME: «CATHERINE C. LONG-HALE»"),
    (Kind::Name, "as told by dr. «okonkwo» on the ward"),
    (Kind::Name, "seen by «J.J. Mabhena» today"),
    (Kind::Name, "signed\n«Sterre de Grunt»\n"),
    (Kind::Location, "lives in «New Jessicaport» now"),
    (Kind::Location, "address «Flat 3, Cross Rest, Wardborough, S63 4QA» on file"),
    (Kind::Location, "zip=«55098-1234» given"),
    (Kind::Organization, "paid by «Moreno, Hale and Okafor» monthly"),
    (Kind::Date, "on «03JAN1989» she fell"),
    (Kind::Date, "seen «Sat 3/16» there"),
    (Kind::Age, "His mother is «93»."),
    (Kind::Phone, "call «07378 146609» now"),
    (Kind::Ssn, "SSN «219\u{200b}-09-99\u{2060}99» on file"),
    (Kind::MedicalRecord, "MRN\\.br\\«88301477» noted"),
];

/// Clinical text that must stay as it is.
const KEPT: &[&str] = &[
    "BP 120/80, HR 72, T 98.6, SpO2 95% on 2 L, RR 16.",
    "Na 140, K 4.1, glucose 93 mg/dL, WBC 11.2, platelets 150,000, INR 2-3.",
    "GCS 15, pain 3/10, strength 5/5, murmur 2/6, ejection fraction 55-60%.",
    "Herniation at L4-5 and C5-6, T12 fracture, 22-gauge needle, size 7-0 suture.",
    "Metoprolol 12.5 mg b.i.d., Lasix 40 mg daily, Tylenol 650 mg q.6h. p.r.n.",
    "Parkinson's disease, Crohn's, Hodgkin lymphoma, Graves disease, Bell's palsy, Down syndrome.",
    "Foley catheter, Babinski sign, McMurray test, Glasgow Coma Scale, Apgar 8 and 9.",
    "New York Heart Association class II; Wells score 3; Gleason 3+4.",
    "She is 45 years old and had this 5 years ago in 2015.",
    "The iris, the temple and the sole were normal. Brown sputum, white count 12.",
    "Follow up in 2 weeks; may take 2 tablets. Will march on. Mark the site.",
    "Discussed with Cardiology and Radiology. Referred to Physical Therapy.",
    "Seen in the emergency department and the pain clinic; uses a walker.",
    "Cranial nerves II-XII intact. S1, S2 regular. CT of the chest with 5-mm cuts.",
    "Section 1.2.3 of the guideline, version 10.4.2.1, ratio 1:2, 10 x 12 cm.",
    "Allergies: Penicillin, Sulfa. Patient: Denies pain. Name of drug unknown.",
    "Staph aureus, E. coli, Haemophilus influenzae; vitamin B12 and vitamin D.",
    "pH 7.32, pCO2 44, HCO3 22. Lot of pain. Serial troponins negative.",
    "MRN pending. Room air. Bed rest. Call if worse. Account for losses.",
    "The plates were fixed with 3.5 screws; plate 7-hole used.",
    "PARKINSON DISEASE AND FOLEY CATHETER, NO ACUTE DISTRESS.",
    "gram positive cocci in clusters, no fever or chills.",
    "He drinks Dr. Pepper; Roux-en-Y in 2015; Swan-Ganz catheter removed.",
    "Takes Eliquis, Keytruda and Jardiance; had Lou Gehrig's disease; Gleason 3+4.",
    "The code is from http://loinc.org and http://hl7.org/fhir/sid/icd-10.",
];

#[test]
fn finds_every_kind() {
    let mut seen = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for (kind, marked) in FOUND {
        let before = marked.split('«').next().unwrap();
        let identifier = marked.split(['«', '»']).nth(1).unwrap();
        let text = marked.replace(['«', '»'], "");
        let (start, end) = (before.chars().count(), before.chars().count() + identifier.chars().count());
        let spans = redact(&text).spans;
        if !spans.iter().any(|span| span.kind == *kind && span.start <= start && span.end >= end)
            || spans.len() != 1
        {
            wrong.push(*marked);
        }
        seen.insert(*kind);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen.len(), Kind::ALL.len(), "every kind has an example");
}

#[test]
fn keeps_clinical_text() {
    let changed: Vec<String> =
        KEPT.iter().map(|text| redact(text).text).filter(|text| text.contains('[')).collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn the_same_identifier_has_the_same_number() {
    let redacted = redact("Dr. Kowalczyk called Mr. Okonjo; Dr. KOWALCZYK left. MRN 1234567.");
    assert_eq!(redacted.text, "Dr. [NAME-1] called Mr. [NAME-2]; Dr. [NAME-1] left. MRN [MRN-1].");
}

#[test]
fn identities_are_found_in_odd_spellings() {
    let identities = Gazetteer::from_identities([
        (Kind::Name, "Wilhelmina Ostrowska-Bey"),
        (Kind::Name, "José Álvarez"),
        (Kind::MedicalRecord, "0088301477"),
        (Kind::Phone, "(415) 555-0173"),
        (Kind::Date, "1961-07-09"),
        (Kind::Location, "4410 Wisteria Lane"),
    ]);
    for text in [
        "wilhelmina came",
        "OSTROWSKA came",
        "Bey, W. came",
        "Jose Alvarez came",
        "Jose\u{301} came",
        "Ostro\u{ad}wska came",
        "Wilhel\u{200b}mina came",
        "Wilhelmína came",
        "number 883 014 77 came",
        "at 415 5550173 came",
        "at 5550173 came",
        "dob 07091961 came",
        "dob 9jul1961 came",
        "at 4410 WISTERIA LANE came",
    ] {
        let redacted = REDACTOR.redact_text(text, &identities);
        assert!(!redacted.spans.is_empty(), "{text}");
        assert!(redacted.text.ends_with("came"), "{text}");
    }
}

#[test]
fn an_identifier_written_like_a_tag_is_found() {
    for text in
        ["record [MRN-88301477] pulled", "on [DATE 2015-03-02] she fell", "has [SSN-219099999] on file"]
    {
        let redacted = redact(text).text;
        assert!(!redacted.contains(['5', '8', '9']), "{redacted}");
    }
    assert_eq!(redact("seen by [NAME-12] today").text, "seen by [NAME-12] today");
}

#[test]
fn work_grows_with_the_text_not_with_its_square() {
    let note = "On 3/4 in room 12, March 5: \n".repeat(40_000);
    let redacted = redact(&note);
    assert!(redacted.spans.len() >= 80_000, "{}", redacted.spans.len());
}

fn pieces() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "Dr. ",
        "Smith",
        ", ",
        "John ",
        "MRN ",
        "12345",
        "-",
        "/",
        ".",
        "03/04/2015",
        "\n",
        "Lane ",
        "street ",
        "@",
        "x.org",
        "[NAME-1]",
        "[",
        "]",
        "Mrs. ",
        "é",
        "ß",
        "’s",
        "Long ",
        "May ",
        "5 ",
        "June",
        ":",
        "Patient",
        "signed by ",
        "Hospital ",
        "St. ",
        "IL ",
        "62704",
        "(",
        ")",
        "+1 ",
        "415-555-0173",
        "yo ",
        "93 ",
        "van ",
        "J. ",
        "M.D.",
        "serial ",
        "A1",
        "\u{301}",
        "🙂",
        "at ",
        "works ",
        "1961",
        "https://",
        "T",
        "\u{200b}",
        "\u{a0}",
        "\\.br\\",
        "\\T\\",
        "DR. OKAFOR ",
        "SEEN BY ",
        "john smith ",
        "|",
        "Room 12 ",
        "flat 3, ",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.concat())
}

/// JSON with the names of elements in unlikely places, always with a person in it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("Dr. Qwertyson")),
        Just(json!("Patient/1")),
        Just(json!("2020-01-02")),
        Just(json!("http://loinc.org")),
    ];
    let names = prop::sample::select(vec![
        "id",
        "identifier",
        "name",
        "code",
        "coding",
        "system",
        "value",
        "display",
        "text",
        "div",
        "subject",
        "reference",
        "note",
        "extension",
        "url",
        "valueString",
        "valueCode",
        "valueQuantity",
        "component",
        "status",
        "contained",
        "birthDate",
        "_birthDate",
        "address",
        "line",
        "city",
        "postalCode",
        "contentType",
        "data",
        "content",
        "attachment",
        "period",
        "start",
        "meta",
        "tag",
        "unit",
        "section",
        "language",
        "type",
    ]);
    let tree = leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..6).prop_map(|map| Value::Object(
                map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    });
    let types = prop::sample::select(vec![
        "Patient",
        "Observation",
        "DocumentReference",
        "Composition",
        "Coverage",
        "Binary",
        "Location",
        "Organization",
        "Bundle",
        "Nonsense",
    ]);
    (types, tree).prop_map(|(name, tree)| {
        let mut object = tree.as_object().cloned().unwrap_or_default();
        object.insert("resourceType".into(), json!(name));
        object.insert("name".into(), json!([{"family": exercise::PERSON}]));
        Value::Object(object)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn properties_hold_for_clinical_pieces(text in pieces()) {
        exercise::text(&text);
    }

    #[test]
    fn no_json_is_released_unseen(value in any_json()) {
        exercise::bundle(&value);
    }

    #[test]
    fn properties_hold_for_any_text(text in "\\PC{0,80}") {
        exercise::text(&text);
    }
}
