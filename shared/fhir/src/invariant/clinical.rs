//! Invariants of clinical and administrative resources.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::focus::{canonical, items};
use super::{Native, rule};
use crate::primitive;

const ALLERGY_VERIFICATION: &str = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification";
const CONDITION_VERIFICATION: &str = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
const CONDITION_CLINICAL: &str = "http://terminology.hl7.org/CodeSystem/condition-clinical";
const ERROR: &[&str] = &["entered-in-error"];

pub(super) const RULES: &[Native] = &[
    rule("ait-1", |allergy| {
        allergy.has("clinicalStatus") || allergy.has_coding("verificationStatus", ALLERGY_VERIFICATION, ERROR)
    }),
    rule("ait-2", |allergy| {
        !allergy.has("clinicalStatus")
            || !allergy.has_coding("verificationStatus", ALLERGY_VERIFICATION, ERROR)
    }),
    rule("con-1", |stage| stage.has("summary") || stage.has("assessment")),
    rule("con-2", |evidence| evidence.has("code") || evidence.has("detail")),
    // The published expression compares a CodeableConcept with a text, so it never looks at the category;
    // the description says what is meant.
    rule("con-3", |condition| {
        let mut codings = items(condition.value, "category").flat_map(|category| items(category, "coding"));
        condition.has("clinicalStatus")
            || condition.has_coding("verificationStatus", CONDITION_VERIFICATION, ERROR)
            || !codings.any(|coding| coding.get_text("code").is_some_and(|code| code == "problem-list-item"))
    }),
    rule("con-4", |condition| {
        !condition.has_choice("abatement")
            || condition.has_coding(
                "clinicalStatus",
                CONDITION_CLINICAL,
                &["resolved", "remission", "inactive"],
            )
    }),
    rule("con-5", |condition| {
        !condition.has("clinicalStatus")
            || !condition.has_coding("verificationStatus", CONDITION_VERIFICATION, ERROR)
    }),
    rule("cmp-1", |section| section.has("text") || section.has("entry") || section.has("section")),
    rule("cmp-2", |section| !section.has("emptyReason") || !section.has("entry")),
    // Without a server only the type in a literal reference can be seen; the rule holds where nothing is known.
    rule("ctm-1", |participant| {
        let member = participant.value.get("member").and_then(|member| member.get_text("reference"));
        let kind = member.as_deref().and_then(|reference| reference.rsplit('/').nth(1));
        !participant.has("onBehalfOf")
            || !matches!(
                kind,
                Some("Patient" | "RelatedPerson" | "Organization" | "CareTeam" | "PractitionerRole")
            )
    }),
    rule("fhs-1", |history| !history.has_choice("age") || !history.has_choice("born")),
    rule("fhs-2", |history| history.has_choice("age") || !history.has("estimatedAge")),
    rule("gol-1", |target| !target.has_choice("detail") || target.has("measure")),
    rule("grp-1", |group| {
        !group.has("member") || group.value.get("actual").is_some_and(|actual| actual.raw() == "true")
    }),
    rule("imm-1", |education| education.has("documentType") || education.has("reference")),
    rule("imr-1", |recommendation| recommendation.has("vaccineCode") || recommendation.has("targetDisease")),
    rule("lnk-1", |linkage| linkage.count("item") > 1),
    rule("lst-1", |list| !list.has("emptyReason") || !list.has("entry")),
    rule("lst-2", |list| list.is("mode", "changes") || !list.each("entry").any(|entry| entry.has("deleted"))),
    rule("lst-3", |list| list.is("mode", "working") || !list.each("entry").any(|entry| entry.has("date"))),
    rule("mad-1", |dosage| dosage.has("dose") || dosage.has_choice("rate")),
    rule("mdd-1", |dispense| match (dispense.text("whenPrepared"), dispense.text("whenHandedOver")) {
        (Some(prepared), Some(handed)) => primitive::compare(&prepared, &handed) != Some(Ordering::Greater),
        _ => true,
    }),
    rule("obs-3", |range| range.has("low") || range.has("high") || range.has("text")),
    rule("obs-6", |observation| !observation.has("dataAbsentReason") || !observation.has_choice("value")),
    rule("obs-7", |observation| {
        let codings = |owner| items(owner, "code").flat_map(|code| items(code, "coding")).map(canonical);
        if !observation.has_choice("value") || !observation.has("component") {
            return true;
        }
        let own: HashSet<String> = codings(observation.resource).collect();
        !items(observation.value, "component").flat_map(codings).any(|coding| own.contains(&coding))
    }),
    rule("org-1", |organization| organization.has("identifier") || organization.has("name")),
    rule("org-2", |address| !address.is("use", "home")),
    rule("org-3", |telecom| !telecom.is("use", "home")),
    rule("pat-1", |contact| {
        ["name", "telecom", "address", "organization"].iter().any(|name| contact.has(name))
    }),
    rule("ras-1", |probability| {
        ["low", "high"].iter().filter_map(|side| probability.value.get(side)).all(|side| {
            side.get_text("code").is_some_and(|code| code == "%")
                && side.get_text("system").is_some_and(|system| system == "http://unitsofmeasure.org")
        })
    }),
    rule("ras-2", |prediction| prediction.number("probabilityDecimal").is_none_or(|value| value <= 100.0)),
];
