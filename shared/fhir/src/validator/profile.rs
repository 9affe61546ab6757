//! Profiles: those a resource claims in meta.profile, those asked for, and those of extensions.

use std::borrow::Cow;

use super::contained::ContainedIndex;
use super::resource::Place;
use super::{Path, Scope, Walk};
use crate::definitions::{NativeType, Type};
use crate::fhirpath::{Node, Stop};
use crate::json::Value;
use crate::profile::{Check, Found};
use crate::{ErrorCode, IssueType, Severity};

const LOINC: &str = "http://loinc.org";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// The LOINC codes whose Observations must meet a profile (FHIR R4, Observation, vital signs profile).
const VITAL_SIGNS: [(&str, &str); 10] = [
    ("85353-1", "http://hl7.org/fhir/StructureDefinition/vitalspanel"),
    ("9279-1", "http://hl7.org/fhir/StructureDefinition/resprate"),
    ("8867-4", "http://hl7.org/fhir/StructureDefinition/heartrate"),
    ("2708-6", "http://hl7.org/fhir/StructureDefinition/oxygensat"),
    ("8310-5", "http://hl7.org/fhir/StructureDefinition/bodytemp"),
    ("8302-2", "http://hl7.org/fhir/StructureDefinition/bodyheight"),
    ("9843-4", "http://hl7.org/fhir/StructureDefinition/headcircum"),
    ("29463-7", "http://hl7.org/fhir/StructureDefinition/bodyweight"),
    ("39156-5", "http://hl7.org/fhir/StructureDefinition/bmi"),
    ("85354-9", "http://hl7.org/fhir/StructureDefinition/bp"),
];

/// The profile of an Observation that says in its category that it is a vital sign. One that has such a code only is let
/// be: laboratories and HL7 v2 send the codes without the category, and for them the profile was not written.
fn vital_sign(observation: Value<'_>) -> Option<&'static str> {
    let mut categories = observation.get("category").into_iter().flat_map(Value::items);
    if !categories.any(|category| codes(category, CATEGORY).any(|code| code == "vital-signs")) {
        return None;
    }
    codes(observation.get("code")?, LOINC)
        .find_map(|code| VITAL_SIGNS.iter().find(|(loinc, _)| *loinc == code).map(|(_, url)| *url))
}

/// The codes of a CodeableConcept that are of one system.
fn codes<'t>(concept: Value<'t>, system: &'static str) -> impl Iterator<Item = Cow<'t, str>> {
    let codings = concept.get("coding").into_iter().flat_map(Value::items);
    let of_system =
        codings.filter(move |coding| coding.get_text("system").is_some_and(|text| text == system));
    of_system.filter_map(|coding| coding.get_text("code"))
}

impl<'w> Walk<'w> {
    /// Checks a resource against every profile that is its concern.
    pub(super) fn profiles(
        &mut self,
        value: Value<'w>,
        kind: &'w Type,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
        place: Place,
    ) {
        let claimed = value.get("meta").and_then(|meta| meta.get("profile"));
        if let Some(claimed) = claimed {
            let meta = path.member("meta");
            let at = meta.member("profile");
            for (index, url) in claimed.items().enumerate().filter(|(_, url)| url.is_text()) {
                self.claimed(url, value, kind, &at.index(index), path, scope);
            }
        }
        if kind.name() == "Observation"
            && let Some(url) = vital_sign(value)
            && !claimed.into_iter().flat_map(Value::items).any(|claimed| claimed.text() == url)
            && let Some(Found::Profile(profile)) = self.library.find(url)
        {
            self.check(profile, Node { value: Some(value), sibling: None, kind }, path, scope);
        }
        if place == Place::Contained {
            return;
        }
        for url in self.demanded {
            let for_bundle = self.library.type_of(url).is_none_or(|name| name == "Bundle");
            // What is asked of the resources of a Bundle is asked of each of its type.
            let is_concern = if place == Place::Root {
                kind.native != NativeType::Bundle || for_bundle
            } else {
                !for_bundle && self.library.type_of(url).is_some_and(|name| kind.is_a(self.definitions, name))
            };
            if is_concern {
                self.demanded(url, value, kind, path, scope);
            }
        }
    }

    fn claimed(
        &mut self,
        url: Value<'w>,
        value: Value<'w>,
        kind: &'w Type,
        at: &Path<'_>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        if self.is_over() {
            return;
        }
        let message = match self.library.find(&url.text()) {
            Some(Found::Profile(profile)) => {
                self.check(profile, Node { value: Some(value), sibling: None, kind }, path, scope);
                return;
            }
            Some(Found::Type(claimed)) if kind.is_a(self.definitions, claimed.name()) => return,
            Some(Found::Type(claimed)) => {
                let message = format!("The resource claims to be a {}; it is a {}.", claimed.name(), kind.name());
                self.error(url, at, IssueType::Structure, ErrorCode::Profile, message);
                return;
            }
            Some(Found::Unusable(why)) => {
                format!("The resource was not checked against a profile it claims: {why}.")
            }
            None => "The resource was not checked against a profile it claims: the profile is not known here. Load \
                     the package that defines it."
                .to_owned(),
        };
        self.warn(url, at, IssueType::NotSupported, ErrorCode::UnknownProfile, message);
    }

    fn demanded(
        &mut self,
        url: &str,
        value: Value<'w>,
        kind: &'w Type,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        if self.is_over() {
            return;
        }
        let (code, error, message) = match self.library.find(url) {
            Some(Found::Profile(profile)) => {
                self.check(profile, Node { value: Some(value), sibling: None, kind }, path, scope);
                return;
            }
            Some(Found::Type(asked)) if kind.is_a(self.definitions, asked.name()) => return,
            Some(Found::Type(asked)) => (
                IssueType::Structure,
                ErrorCode::Profile,
                format!("A {} is expected; this is a {}.", asked.name(), kind.name()),
            ),
            Some(Found::Unusable(why)) => (
                IssueType::NotSupported,
                ErrorCode::UnknownProfile,
                format!("The resource cannot be checked against {url}: {why}."),
            ),
            None => (
                IssueType::NotFound,
                ErrorCode::UnknownProfile,
                format!("The profile {url} is not known here; load the package that defines it."),
            ),
        };
        self.error(value, path, code, error, message);
    }

    /// An extension that a package defines.
    pub(super) fn extension_profile(&mut self, node: Node<'w>, path: &Path<'_>, scope: &Scope<'_, 'w>) {
        let Some(url) = node.value.and_then(|value| value.get_text("url")) else { return };
        if let Some(profile) = self.library.extension(&url) {
            self.check(profile, node, path, scope);
        }
    }

    fn check(
        &mut self,
        profile: &'w crate::profile::Profile,
        node: Node<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        if self.is_over() {
            return;
        }
        if self.session.budget.is_spent() {
            self.unfinished(node, path);
            return;
        }
        let (findings, result) = Check::run(self.library, &self.session, profile, node, path, scope);
        for finding in findings {
            // Two profiles may demand the same, and the value of an extension is looked at from two sides.
            let same = |issue: &crate::Issue| {
                issue.offset == finding.at.offset()
                    && issue.expression == finding.expression
                    && issue.message == finding.message
            };
            if self.issues.iter().any(same) {
                continue;
            }
            let count =
                if finding.severity >= Severity::Error { &mut self.errors } else { &mut self.warnings };
            *count += 1;
            if *count <= super::MAX_ISSUES {
                self.issues.push(crate::Issue {
                    severity: finding.severity,
                    code: finding.code,
                    error: finding.error,
                    message: finding.message,
                    expression: finding.expression,
                    invariant: None,
                    profile: Some(finding.profile),
                    profile_rule: finding.rule,
                    line: None,
                    column: None,
                    offset: finding.at.offset(),
                });
            }
        }
        if result == Err(Stop::Budget) {
            self.unfinished(node, path);
        }
    }

    /// Said once: what was not looked at must not pass silently.
    fn unfinished(&mut self, node: Node<'w>, path: &Path<'_>) {
        if std::mem::replace(&mut self.is_unfinished, true) {
            return;
        }
        if let Some(at) = node.at() {
            let message =
                "From here on profiles were not checked to the end: the resource takes too long.".to_owned();
            self.warn(at, path, IssueType::TooCostly, ErrorCode::TooCostly, message);
        }
    }
}

impl<'t> Scope<'_, 't> {
    pub(crate) const fn resource(&self) -> Value<'t> {
        self.resource
    }

    pub(crate) const fn root(&self) -> Value<'t> {
        self.root
    }

    /// The resource a literal reference means, if it is contained or an entry of the Bundle.
    pub(crate) fn resolve(&self, reference: &str) -> Option<Value<'t>> {
        match reference.strip_prefix('#') {
            Some("") => Some(self.root),
            Some(id) => self.contained.get(id),
            None => self.bundle?.resolve(reference),
        }
    }

    /// The scope within another resource of the same document.
    pub(crate) fn enter<R>(&self, resource: Value<'t>, look: impl FnOnce(&Scope<'_, 't>) -> R) -> R {
        if resource.id() == self.resource.id() {
            return look(self);
        }
        if self.root.spans(resource.id()) && self.bundle.is_none_or(|_| self.root.get("entry").is_none()) {
            return look(&Scope { resource, ..*self });
        }
        let contained = ContainedIndex::of(resource);
        look(&Scope { resource, root: resource, contained: &contained, bundle: self.bundle })
    }
}
