//! Segments that the guide has no map for: where their fields go, and what is listed.

mod check;

use serde_json::Value;
use wardstream_v2_to_fhir::{Conversion, Options, convert};

fn converted(kind: &str, segments: &str) -> Conversion {
    let text = format!(
        "MSH|^~\\&|LAB|HARBOR|||20250303140000+0000||{kind}|C1|P|2.5.1\rPID|1||1^^^H^MR||DOE^JANE\r{segments}"
    );
    let message = hl7v2::Message::parse(text.as_bytes()).expect("the message parses");
    let conversion = convert(&message, &Options::default()).expect("the message converts");
    assert_eq!(check::defects(&conversion.bundle), Vec::<String>::new());
    assert_eq!(check::invalid(&conversion.bundle), Vec::<String>::new());
    conversion
}

fn resources<'b>(bundle: &'b Value, kind: &str) -> Vec<&'b Value> {
    let entries = bundle["entry"].as_array().expect("a bundle has entries");
    entries.iter().map(|e| &e["resource"]).filter(|r| r["resourceType"] == kind).collect()
}

fn unmapped(conversion: &Conversion) -> Vec<&str> {
    conversion.unmapped.iter().map(|unmapped| unmapped.path.as_str()).collect()
}

#[test]
fn an_accident_and_a_disability_are_observations() {
    let sent = "ACC|20250301||harbour wall||Y|N||fell from a ladder|||1 Quay Road^^Harbor\r\
                DB1|1|PT|D1^^^H^MR|Y|20250301|20250401\rDB1|2|GT|D2|N";
    let conversion = converted("ADT^A01", sent);
    let observations = resources(&conversion.bundle, "Observation");
    let [accident, disability] = observations.as_slice() else { panic!("{observations:?}") };
    assert_eq!(accident["effectiveDateTime"], "2025-03-01");
    assert_eq!(accident["valueString"], "fell from a ladder");
    assert_eq!(accident["component"][0]["valueString"], "harbour wall");
    assert_eq!(accident["component"][1]["code"]["text"], "the accident is related to the job");
    assert_eq!(accident["component"][1]["valueBoolean"], true);
    assert_eq!(disability["valueBoolean"], true);
    assert_eq!(disability["effectivePeriod"]["end"], "2025-04-01");
    // Neither the address of an accident nor the guarantor's disability has a place.
    assert_eq!(unmapped(&conversion), ["ACC-11", "DB1-1", "DB1-2", "DB1-3", "DB1-4"]);
}

#[test]
fn an_order_has_its_contact_its_trial_its_account_and_its_charges() {
    let sent = "ORC|NW|P1\rOBR|1|P1||24725-4^CT Head^LN\r\
                CTD|BP^Business partner^L|POE^ANN|||^WPN^PH^^^^^^^^^555-0100\r\
                CTD|C^Emergency contact^HL70131|ROE^SAM|1 Quay Road^^Harbor||^PRN^PH^^^^^^^^^555-0101\r\
                FT1|1|||20250303||CG|71045^X-ray^C4\rCTI|TRIAL-7^REGISTRY\rBLG||CH|ACC9^^^H";
    let conversion = converted("ORM^O01", sent);
    let bundle = &conversion.bundle;
    let [order] = resources(bundle, "ServiceRequest")[..] else { panic!("one order") };
    let supporting = order["supportingInfo"].as_array().expect("what supports the order");
    let trial = supporting.iter().find(|info| info["type"] == "ResearchStudy").expect("the trial");
    assert_eq!(trial["identifier"]["value"], "TRIAL-7");
    assert_eq!(supporting.len(), 3);
    let [contact] = resources(bundle, "PractitionerRole")[..] else { panic!("one to ask") };
    assert_eq!(contact["telecom"][0]["value"], "555-0100");
    let [relative] = resources(bundle, "RelatedPerson")[..] else { panic!("one contact of the patient") };
    assert_eq!(relative["name"][0]["family"], "ROE");
    let [account] = resources(bundle, "Account")[..] else { panic!("one account") };
    assert_eq!(account["identifier"][0]["value"], "ACC9");
    assert_eq!(resources(bundle, "ChargeItem").len(), 1);
    assert_eq!(unmapped(&conversion), ["BLG-2"]);
}

#[test]
fn a_limit_of_doses_has_an_amount_and_a_time() {
    let limited = |limit: &str| {
        let sent = format!("ORC|NW|P1\rRXE||197361^amlodipine^RXNORM|5||mg^mg^UCUM\rCDO|1|A|{limit}");
        converted("RDE^O11", &sent)
    };
    let conversion = limited("10^mg|24^h");
    let [order] = resources(&conversion.bundle, "MedicationRequest")[..] else { panic!("one order") };
    let most = &order["dosageInstruction"][0]["maxDosePerPeriod"];
    assert_eq!((&most["numerator"]["value"], &most["denominator"]["value"]), (&10.into(), &24.into()));
    assert_eq!(most["denominator"]["code"], "h");
    assert_eq!(unmapped(&conversion), ["CDO-2"]);
    assert_eq!(unmapped(&limited("100^mg|^M")), ["CDO-2", "CDO-3", "CDO-4"]);
}
