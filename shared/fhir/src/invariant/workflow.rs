//! Invariants of workflow, financial and consent resources, and of Bundle and Parameters.

use std::cmp::Ordering;

use super::focus::items;
use super::{Focus, Native, rule};
use crate::primitive;

pub(super) const RULES: &[Native] = &[
    rule("app-1", |participant| participant.has("type") || participant.has("actor")),
    rule("app-2", |appointment| appointment.has("start") == appointment.has("end")),
    rule("app-3", |appointment| {
        (appointment.has("start") && appointment.has("end"))
            || appointment.is_in("status", &["proposed", "cancelled", "waitlist"])
    }),
    rule("app-4", |appointment| {
        !appointment.has("cancelationReason") || appointment.is_in("status", &["noshow", "cancelled"])
    }),
    rule("apr-1", |response| response.has("participantType") || response.has("actor")),
    rule("bdl-1", |bundle| !bundle.has("total") || bundle.is_in("type", &["searchset", "history"])),
    rule("bdl-2", |bundle| {
        bundle.is("type", "searchset") || !bundle.each("entry").any(|entry| entry.has("search"))
    }),
    rule("bdl-9", |bundle| {
        let identified =
            bundle.each("identifier").any(|identifier| identifier.has("system") && identifier.has("value"));
        !bundle.is("type", "document") || identified
    }),
    rule("bdl-10", |bundle| !bundle.is("type", "document") || bundle.value.get("timestamp").is_some()),
    rule("bdl-11", |bundle| !bundle.is("type", "document") || first_is(bundle, "Composition")),
    rule("bdl-12", |bundle| !bundle.is("type", "message") || first_is(bundle, "MessageHeader")),
    rule("ces-1", |item| item.has("category") != item.has("productOrService")),
    rule("cpl-3", |activity| !activity.has("detail") || !activity.has("reference")),
    Native {
        key: "inv-1",
        mark: "part.exists()",
        check: |parameter| {
            let (part, value, resource) =
                (parameter.has("part"), parameter.has_choice("value"), parameter.has("resource"));
            u8::from(part) + u8::from(value) + u8::from(resource) == 1
        },
    },
    Native {
        key: "inv-1",
        mark: "lastModified",
        check: |task| match (task.text("authoredOn"), task.text("lastModified")) {
            (Some(authored), Some(modified)) => {
                primitive::compare(&authored, &modified) != Some(Ordering::Greater)
            }
            _ => true,
        },
    },
    rule("ipn-1", |plan| plan.has("identifier") || plan.has("name")),
    rule("nor-1", |order| order.has("oralDiet") || order.has("supplement") || order.has("enteralFormula")),
    rule("ppc-1", |consent| consent.has("policy") || consent.has("policyRule")),
    // As published these look for a scope system that nobody uses ('something').
    rule("ppc-2", |consent| scoped(consent, "patient-privacy")),
    rule("ppc-3", |consent| scoped(consent, "research")),
    rule("ppc-4", |consent| scoped(consent, "adr")),
    rule("ppc-5", |consent| scoped(consent, "treatment")),
    rule("prr-1", |request| !request.has("orderDetail") || request.has("code")),
    rule("rqg-1", |action| action.has("resource") != action.has("action")),
    rule("sev-1", |entity| !entity.has("name") || !entity.has("query")),
    rule("qrs-1", |item| !(item.has("answer") && item.has("item"))),
];

fn scoped(consent: &Focus<'_>, code: &str) -> bool {
    consent.has("patient") || !consent.has_coding("scope", "something", &[code])
}

fn first_is(bundle: &Focus<'_>, resource_type: &str) -> bool {
    let first = items(bundle.value, "entry").next();
    let resource = first.and_then(|entry| entry.get("resource"));
    resource.and_then(|resource| resource.get_text("resourceType")).is_some_and(|name| name == resource_type)
}
