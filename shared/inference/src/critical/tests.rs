use proptest::prelude::*;

use super::*;

fn result(code: &str, display: &str, value: &str, unit: &str) -> ObservationFact {
    ObservationFact {
        code: code.into(),
        system: if code.contains('-') { LOINC.into() } else { String::new() },
        display: display.into(),
        value: Some(value.into()),
        unit: unit.into(),
        status: "final".into(),
        ..ObservationFact::default()
    }
}

fn aged(age_days: Option<u32>) -> Patient<'static> {
    Patient { age_days, ..Patient::default() }
}

fn judge(fact: &ObservationFact) -> Verdict {
    CriticalTable::default_table().judge(fact, aged(Some(20_000)))
}

fn is_critical(fact: &ObservationFact) -> bool {
    matches!(judge(fact), Verdict::Critical(_))
}

#[test]
fn the_committed_table_parses_and_every_limit_has_a_source() {
    let table = CriticalTable::parse(DEFAULT_TABLE);
    assert!(table.is_ok_and(|t| t.analytes.len() >= 40 && t.cultures.len() >= 2));
}

#[test]
fn reasons_name_the_value_and_the_limit() {
    let Verdict::Critical(critical) = judge(&result("2823-3", "Potassium", "7.1", "mmol/L")) else {
        panic!("potassium 7.1 is critical")
    };
    assert_eq!(critical.reason, "critical: potassium 7.1 mmol/L (limit 6.5)");
    assert_eq!(critical.basis, Basis::Limit);
}

#[test]
fn critical_values_across_analytes_and_units() {
    for (code, value, unit) in [
        ("2823-3", "6.5", "mmol/L"),
        ("2823-3", "2.4", "mEq/L"),
        ("2951-2", "112", "mmol/L"),
        ("2345-7", "32", "mg/dL"),
        ("2345-7", "720", "mg/dL"),
        ("2345-7", "1.9", "mmol/L"),
        ("718-7", "5.9", "g/dL"),
        ("718-7", "59", "g/L"),
        ("777-3", "9", "10*3/uL"),
        ("777-3", "9000", "/uL"),
        ("6301-6", "7.8", ""),
        ("2744-1", "7.05", "[pH]"),
        ("2524-7", "6.2", "mmol/L"),
        ("17861-6", "14.8", "mg/dL"),
        ("19123-9", "0.9", "mg/dL"),
        ("751-8", "0.1", "10*9/L"),
        ("67151-1", "480", "ng/L"),
        ("10839-9", "3.2", "ng/mL"),
        ("2019-8", "11.5", "kPa"),
        ("14334-7", "2.4", "mmol/L"),
        ("2160-0", "9.1", "mg/dL"),
        ("10535-3", "3.9", "ng/mL"),
        ("3298-7", "180", "ug/mL"),
    ] {
        assert!(is_critical(&result(code, "", value, unit)), "{code} {value} {unit}");
    }
}

#[test]
fn values_short_of_the_limits_are_not_critical() {
    for (code, value, unit) in [
        ("2823-3", "6.1", "mmol/L"),
        ("2951-2", "129", "mmol/L"),
        ("2345-7", "310", "mg/dL"),
        ("718-7", "8.2", "g/dL"),
        ("777-3", "88", "10*3/uL"),
        ("6301-6", "3.1", ""),
        ("2744-1", "7.31", "[pH]"),
        ("2524-7", "2.2", "mmol/L"),
        ("67151-1", "20", "ng/L"),
        ("17861-6", "10.9", "mg/dL"),
        ("1975-2", "12", "mg/dL"),
        ("2160-0", "2.1", "mg/dL"),
    ] {
        assert!(!is_critical(&result(code, "", value, unit)), "{code} {value} {unit}");
    }
}

#[test]
fn ages_choose_the_limit() {
    let table = CriticalTable::default_table();
    let bilirubin = result("1975-2", "Bilirubin", "21", "mg/dL");
    assert!(matches!(table.judge(&bilirubin, aged(Some(3))), Verdict::Critical(_)));
    assert_eq!(table.judge(&bilirubin, aged(Some(9_000))), Verdict::NotCritical);
    assert_eq!(table.judge(&bilirubin, aged(None)), Verdict::NotCritical);
    let potassium = result("2823-3", "", "7.0", "mmol/L");
    assert_eq!(table.judge(&potassium, aged(Some(2))), Verdict::NotCritical);
}

#[test]
fn local_codes_are_known_by_name_and_other_specimens_are_not() {
    assert!(is_critical(&result("K", "POTASSIUM", "7.0", "mmol/L")));
    assert!(is_critical(&result("L100", "Potassium, Serum", "7.0", "mmol/L")));
    assert!(!is_critical(&result("UK", "Potassium, Urine", "70", "mmol/L")));
    assert!(!is_critical(&result("2828-2", "Potassium", "70", "mmol/L")), "a LOINC code of urine");
}

#[test]
fn the_laboratorys_own_flag_counts_and_mistakes_do_not() {
    let flagged = ObservationFact { flags: vec!["HH".into()], ..result("X1", "Odd assay", "9", "kU/L") };
    assert!(matches!(judge(&flagged), Verdict::Critical(c) if c.basis == Basis::Flag));
    let mistaken =
        ObservationFact { status: "entered-in-error".into(), ..result("2823-3", "", "9.9", "mmol/L") };
    assert_eq!(judge(&mistaken), Verdict::Unlisted);
}

#[test]
fn an_unknown_unit_is_said_and_falls_back_to_the_flag() {
    let odd = result("2823-3", "Potassium", "7.1", "furlong");
    assert!(matches!(judge(&odd), Verdict::UnknownUnit(text) if text.contains("furlong")));
    let flagged = ObservationFact { flags: vec!["HH".into()], ..odd };
    assert!(matches!(judge(&flagged), Verdict::Critical(c) if c.reason.contains("unit not in the table")));
}

#[test]
fn comparators_and_the_reports_own_range() {
    let below =
        ObservationFact { comparator: Some("<".into()), ..result("10839-9", "Troponin", "0.5", "ng/mL") };
    assert!(!is_critical(&below));
    let above =
        ObservationFact { comparator: Some(">".into()), ..result("2345-7", "Glucose", "600", "mg/dL") };
    assert!(is_critical(&above));
    let ranged =
        ObservationFact { high: Some("0.04".into()), ..result("10839-9", "Troponin", "0.25", "ng/mL") };
    assert!(is_critical(&ranged), "six times the laboratory's limit");
}

#[test]
fn growth_in_a_blood_culture() {
    let mut culture = ObservationFact {
        value: None,
        text: Some("Staphylococcus aureus".into()),
        ..result("600-7", "Blood culture", "", "")
    };
    assert!(is_critical(&culture));
    for (text, critical) in [
        ("No growth after 5 days", false),
        ("NEGATIVE", false),
        ("Culture in progress, final report to follow", false),
        ("Preliminary report. No growth at 24 hours. Left arm.", false),
        ("Staphylococcus aureus not detected", false),
        ("Gram stain: no organisms seen. Culture: no growth", false),
        ("No pathogens isolated", false),
        ("No growth at 5 days. Fungal culture in progress. Mycobacterial culture pending", false),
        ("Gram negative rods", true),
        ("Coagulase-negative Staphylococcus", true),
        ("Gram-negative bacilli, identification to follow", true),
        ("Staphylococcus aureus, susceptibilities pending", true),
        ("Anaerobic bottle: no growth. Aerobic bottle: E. coli", true),
        ("Micrococcus", true),
        ("Unheard-of organism", true),
    ] {
        culture.text = Some(text.into());
        assert_eq!(is_critical(&culture), critical, "{text}");
    }
}

#[test]
fn a_small_limit_keeps_its_digits() {
    let troponin = result("67151-1", "Troponin T", "0.06", "ng/mL");
    assert!(matches!(judge(&troponin), Verdict::Critical(c) if c.reason.ends_with("(limit 0.052)")));
}

#[test]
fn malformed_tables_are_refused() {
    for (from, to) in [
        ("source = \"kost1991\"", "source = \"nobody\""),
        ("low = 120.0", "low = 520.0"),
        ("\"2947-0\"", "\"2951-2\""),
    ] {
        let text = DEFAULT_TABLE.replacen(from, to, 1);
        assert_eq!(CriticalTable::parse(&text).err().map(|e| e.code()), Some("MODEL-507"), "{to}");
    }
}

#[test]
fn a_missing_unit_is_decided_where_the_units_agree_and_shown_where_they_do_not() {
    let ranged = |code: &str, name: &str, value: &str, low: &str, high: &str| ObservationFact {
        low: Some(low.into()),
        high: Some(high.into()),
        ..result(code, name, value, "")
    };
    for fact in [
        result("2823-3", "", "7.1", ""),
        result("K", "Potassium", "2.1", ""),
        result("2345-7", "", "620", ""),
        result("GLU", "Glucose", "32", ""),
        result("PLT", "Platelets", "9000", ""),
        ranged("GLU", "Glucose", "45", "70", "99"),
        ranged("HB", "Haemoglobin", "59", "120", "160"),
        ranged("CREA", "Creatinine", "9.1", "0.6", "1.2"),
    ] {
        assert!(
            matches!(judge(&fact), Verdict::Critical(c) if c.reason.ends_with("sent without a unit")),
            "{fact:?}"
        );
    }
    for fact in [
        result("2823-3", "", "4.4", ""),
        result("2345-7", "", "98", ""),
        result("14749-6", "", "5.1", ""),
        ranged("GLU", "Glucose", "20", "3.9", "6.1"),
        ranged("HB", "Haemoglobin", "134", "120", "160"),
    ] {
        assert_eq!(judge(&fact), Verdict::NotCritical, "{fact:?}");
    }
    assert!(matches!(judge(&result("GLU", "Glucose", "20", "")), Verdict::Doubtful(_)));
    assert!(matches!(judge(&result("K", "Potassium", "900", "")), Verdict::UnknownUnit(_)));
}

#[test]
fn a_ph_that_may_be_urines_is_not_bloods() {
    let local = |value: &str| result("PH", "pH", value, "");
    assert!(is_critical(&local("7.02")));
    for value in ["5.5", "7.0", "8", "6.00"] {
        assert!(!is_critical(&local(value)), "{value}");
    }
    let of = |specimen: &str| ObservationFact { specimen: Some(specimen.into()), ..local("7.0") };
    assert!(is_critical(&of("Venous blood gas")));
    assert!(!is_critical(&of("URINALYSIS")) && !is_critical(&of("Cord blood gas")));
    let ranged = |low: &str, high: &str| ObservationFact {
        low: Some(low.into()),
        high: Some(high.into()),
        ..local("7.0")
    };
    assert!(is_critical(&ranged("7.35", "7.45")) && !is_critical(&ranged("5.0", "8.0")));
}

#[test]
fn a_name_counts_only_in_the_specimen_it_is_listed_for() {
    let urine = ObservationFact {
        specimen: Some("Urine electrolytes".into()),
        ..result("K", "Potassium", "70", "mmol/L")
    };
    assert_eq!(judge(&urine), Verdict::Unlisted);
    let spinal = ObservationFact {
        value: None,
        text: Some("Neisseria meningitidis".into()),
        specimen: Some("CSF".into()),
        ..result("CC", "CSF culture", "", "")
    };
    assert!(is_critical(&spinal), "cultures of sterile sites stay listed");
}

#[test]
fn units_that_are_not_listed_are_converted() {
    for (code, value, unit) in [
        ("2345-7", "0.40", "g/L"),
        ("2160-0", "0.9", "mmol/L"),
        ("2823-3", "7100", "umol/L"),
        ("777-3", "9", "10*3/mm3"),
        ("777-3", "9000", "{cells}/uL"),
        ("718-7", "0.059", "g/mL"),
    ] {
        assert!(is_critical(&result(code, "", value, unit)), "{code} {value} {unit}");
    }
    assert!(!is_critical(&result("2345-7", "", "0.98", "g/L")));
}

#[test]
fn pregnancy_and_sex_choose_the_limit() {
    let fibrinogen = result("3255-7", "", "1.8", "g/L");
    let table = CriticalTable::default_table();
    let pregnant = Patient { pregnant: true, ..Patient::default() };
    assert!(
        matches!(table.judge(&fibrinogen, pregnant), Verdict::Critical(c) if c.reason.ends_with("in pregnancy)"))
    );
    assert_eq!(table.judge(&fibrinogen, Patient::default()), Verdict::NotCritical);
    let of_women = DEFAULT_TABLE.replacen("{ pregnant = true, low = 2.0", "{ sex = \"female\", low = 2.0", 1);
    let Ok(table) = CriticalTable::parse(&of_women) else { panic!("a limit may have a sex") };
    let of = |sex| Patient { sex: Some(sex), ..Patient::default() };
    assert!(matches!(table.judge(&fibrinogen, of("female")), Verdict::Critical(_)));
    assert_eq!(table.judge(&fibrinogen, of("male")), Verdict::NotCritical);
    assert_eq!(table.judge(&fibrinogen, Patient::default()), Verdict::NotCritical);
}

/// LOINC, unit, factor, low, high.
type Edge = (String, String, f64, Option<f64>, Option<f64>);

/// Every limit that an adult of unknown sex meets, in every unit.
fn edges() -> Vec<Edge> {
    let table = CriticalTable::default_table();
    let mut edges = Vec::new();
    for (code, row) in &table.by_loinc {
        let Row::Analyte(index) = row else { continue };
        let analyte = &table.analytes[*index];
        let applies = |l: &&Limit| {
            l.min_age_days.unwrap_or(0) <= 20_000
                && l.max_age_days.is_none_or(|max| max > 20_000)
                && !l.pregnant
                && l.sex.is_none()
        };
        let Some(limit) = analyte.limits.iter().find(applies) else { continue };
        for (unit, factor) in &analyte.units {
            edges.push((code.clone(), unit.clone(), *factor, limit.low, limit.high));
        }
    }
    edges.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    edges
}

#[test]
fn no_limit_is_missed_at_its_edge_in_any_unit_and_none_is_met_inside() {
    for (code, unit, factor, low, high) in edges() {
        let at =
            |canonical: f64| is_critical(&result(&code, "", &format!("{:.8}", canonical / factor), &unit));
        if let Some(low) = low {
            assert!(at(low) && at(low * 0.9), "{code} {unit} at {low}");
            assert!(!at(low * 1.01), "{code} {unit} above {low}");
        }
        if let Some(high) = high {
            assert!(at(high) && at(high * 1.1), "{code} {unit} at {high}");
            assert!(!at(high * 0.99), "{code} {unit} below {high}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn worse_is_never_less_critical(value in 2.0f64..12.0, more in 0.0f64..5.0) {
        let at = |v: f64| is_critical(&result("2823-3", "", &format!("{v:.2}"), "mmol/L"));
        prop_assert!(!(value > 4.0 && at(value)) || at(value + more));
    }

    #[test]
    fn within_the_limits_of_any_unit_nothing_is_critical(at in 0usize..10_000, share in 0.02f64..0.98) {
        let edges = edges();
        let (code, unit, factor, low, high) = &edges[at % edges.len()];
        let (from, to) = (low.unwrap_or(0.0), high.unwrap_or(low.unwrap_or(1.0) * 2.0));
        let value = (from + (to - from) * share.max(if low.is_some() { 0.02 } else { 0.0 })) / factor;
        prop_assert!(!is_critical(&result(code, "", &format!("{value:.8}"), unit)), "{code} {value} {unit}");
    }

    #[test]
    fn no_result_makes_it_panic(code in "\\PC{0,8}", value in "\\PC{0,8}", unit in "\\PC{0,8}", age in any::<Option<u32>>()) {
        let fact = result(&code, &code, &value, &unit);
        let _ = CriticalTable::default_table().judge(&fact, aged(age));
    }
}
