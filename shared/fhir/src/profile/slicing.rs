//! Slices: which values belong to which (FHIR R4, 5.1.0.14).

use super::check::{Check, Named};
use super::fixed;
use super::rule::{Discriminator, DiscriminatorKind, Openness, Rule, Slice, Step};
use super::{Found, compile::unversioned};
use crate::definitions::{NativeType, Strength};
use crate::fhirpath::{Child, Node, Stop};
use crate::validator::{Path, Scope};
use crate::{ErrorCode, IssueType, Severity};

/// Name of the slice for what is in no other.
const DEFAULT: &str = "@default";

/// What a path leads to in a slice: its rule, unless the slice says nothing about it.
#[derive(Clone, Copy)]
enum Place<'w> {
    Rule(&'w Rule),
    /// The url of an extension, which its profile fixes.
    Url(&'w str),
    Nothing,
}

impl<'w> Check<'_, 'w> {
    pub(super) fn slices(
        &mut self,
        rule: &'w Rule,
        items: &[Child<'w>],
        parent: Node<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) -> Result<(), Stop> {
        let Some(slicing) = &rule.slicing else { return Ok(()) };
        // Without a discriminator it is only documented which values belong where.
        if slicing.discriminators.is_empty() && slicing.openness == Openness::Open {
            return Ok(());
        }
        if !rule.slices.iter().all(|slice| self.is_distinct(slice, &slicing.discriminators)) {
            if let Some(first) = items.first() {
                let message = format!(
                    "{} was not checked in full: what the profile '{}' tells its values apart by is not known here.",
                    rule.name,
                    self.title()
                );
                let at = path.member(&rule.name);
                let (severity, code) = (Severity::Warning, IssueType::NotSupported);
                self.report(severity, first.node.at(), &at, code, ErrorCode::UnknownProfile, message);
            }
            return Ok(());
        }
        let mut sorted: Vec<Vec<Child<'w>>> = vec![Vec::new(); rule.slices.len()];
        let mut last = 0;
        let mut outside: Option<Child<'w>> = None;
        let element = path.member(&rule.name);
        for item in items {
            let at = item.index.map_or(element, |index| element.index(index));
            let found = self.slice_of(rule, &slicing.discriminators, item.node, scope)?;
            let Some(place) = found else {
                outside = outside.or(Some(*item));
                if slicing.openness == Openness::Closed {
                    let names: Vec<&str> = rule.slices.iter().map(|slice| &*slice.name).collect();
                    let message = format!(
                        "This {} is none of those the profile '{}' allows: {}.",
                        rule.name,
                        self.title(),
                        names.join(", ")
                    );
                    self.error(item.node.at(), &at, IssueType::Structure, ErrorCode::Profile, message);
                }
                continue;
            };
            if slicing.openness == Openness::OpenAtEnd && outside.is_some() {
                let message =
                    format!("Further {} stand after those the profile '{}' names.", rule.name, self.title());
                self.error(item.node.at(), &at, IssueType::Structure, ErrorCode::Profile, message);
            }
            if slicing.ordered && place < last {
                let message = format!(
                    "{} stands in another order than the profile '{}' demands.",
                    rule.name,
                    self.title()
                );
                self.error(item.node.at(), &at, IssueType::Structure, ErrorCode::Profile, message);
            }
            last = last.max(place);
            if let Some(slice) = sorted.get_mut(place) {
                slice.push(*item);
            }
        }
        for (slice, items) in rule.slices.iter().zip(&sorted) {
            let named = Named { slice: &slice.name, discriminators: &slicing.discriminators };
            self.element(&slice.rule, Some(named), items, parent, path, scope)?;
        }
        Ok(())
    }

    /// Whether the rules of a slice say enough to tell its values from others.
    fn is_distinct(&self, slice: &'w Slice, discriminators: &'w [Discriminator]) -> bool {
        &*slice.name == DEFAULT
            || discriminators.iter().all(|discriminator| {
                let steps = discriminator.path.iter();
                match steps.fold(Place::Rule(&slice.rule), |place, step| self.below(place, step)) {
                    Place::Url(_) => true,
                    Place::Nothing => false,
                    Place::Rule(rule) => match discriminator.kind {
                        DiscriminatorKind::Exists => true,
                        DiscriminatorKind::Value => distinguishes(rule),
                        DiscriminatorKind::Type => !rule.types.is_empty(),
                        DiscriminatorKind::Profile => rule
                            .types
                            .iter()
                            .any(|given| !given.profiles.is_empty() || !given.targets.is_empty()),
                    },
                }
            })
    }

    /// The place of the first slice that a value belongs to.
    fn slice_of(
        &mut self,
        rule: &'w Rule,
        discriminators: &'w [Discriminator],
        node: Node<'w>,
        scope: &Scope<'_, 'w>,
    ) -> Result<Option<usize>, Stop> {
        let mut default = None;
        for (place, slice) in rule.slices.iter().enumerate() {
            self.session.budget.take(1)?;
            if &*slice.name == DEFAULT {
                default = Some(place);
                continue;
            }
            if self.belongs(slice, discriminators, node, scope)? {
                return Ok(Some(place));
            }
        }
        Ok(default)
    }

    fn belongs(
        &mut self,
        slice: &'w Slice,
        discriminators: &'w [Discriminator],
        node: Node<'w>,
        scope: &Scope<'_, 'w>,
    ) -> Result<bool, Stop> {
        for discriminator in discriminators {
            if !self.discriminates(&slice.rule, discriminator, node, scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn discriminates(
        &mut self,
        rule: &'w Rule,
        discriminator: &'w Discriminator,
        node: Node<'w>,
        scope: &Scope<'_, 'w>,
    ) -> Result<bool, Stop> {
        let mut place = Place::Rule(rule);
        let mut nodes = vec![node];
        let mut resolved = false;
        for step in &discriminator.path {
            place = self.below(place, step);
            nodes = self.step(&nodes, step, scope);
            resolved = *step == Step::Resolve;
            self.session.budget.take(1 + nodes.len())?;
        }
        let rule = match place {
            Place::Rule(rule) => rule,
            Place::Url(url) => {
                let is_url = |node: &Node<'w>| node.value.is_some_and(|value| value.text() == url);
                return Ok(nodes.iter().any(is_url));
            }
            Place::Nothing => return Ok(false),
        };
        match discriminator.kind {
            DiscriminatorKind::Exists => Ok(nodes.is_empty() == (rule.max == Some(0))),
            DiscriminatorKind::Value => {
                if nodes.is_empty() {
                    return Ok(false);
                }
                for node in nodes {
                    if self.fits(rule, node)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            DiscriminatorKind::Type => {
                let definitions = self.library.definitions;
                Ok(nodes.iter().any(|node| {
                    rule.types.iter().any(|given| {
                        if resolved {
                            let kind = |url: &str| self.library.type_of(url);
                            given
                                .targets
                                .iter()
                                .filter_map(|url| kind(url))
                                .any(|name| node.kind.is_a(definitions, name))
                        } else {
                            node.kind.is_a(definitions, &given.code)
                        }
                    })
                }))
            }
            DiscriminatorKind::Profile => {
                let urls = rule
                    .types
                    .iter()
                    .flat_map(|given| if resolved { &given.targets } else { &given.profiles });
                for url in urls {
                    for node in &nodes {
                        if Self::conforms(self.library, self.session, url, *node, scope)? == Some(true) {
                            return Ok(true);
                        }
                    }
                }
                Ok(false)
            }
        }
    }

    /// One step in the rules of a slice.
    fn below(&self, place: Place<'w>, step: &Step) -> Place<'w> {
        let Place::Rule(rule) = place else { return place };
        match step {
            Step::Resolve | Step::OfType(_) => place,
            Step::Member(name) => {
                if let Some(child) = rule.child(name) {
                    return Place::Rule(child);
                }
                // What the slice itself does not say is said by the profile of its type.
                let profile = rule.types.iter().find_map(|given| match given.profiles.as_slice() {
                    [only] => Some((&given.code, &**only)),
                    _ => None,
                });
                match profile {
                    Some((code, url)) if &**code == "Extension" && &**name == "url" => {
                        Place::Url(unversioned(url))
                    }
                    Some((_, url)) => match self.library.find(url) {
                        Some(Found::Profile(profile)) => {
                            profile.root.child(name).map_or(Place::Nothing, Place::Rule)
                        }
                        _ => Place::Nothing,
                    },
                    None => Place::Nothing,
                }
            }
            Step::Extension(url) => {
                let slices = rule.child("extension").map_or(&[][..], |child| &child.slices);
                let of_url = |slice: &&'w Slice| {
                    slice
                        .rule
                        .types
                        .iter()
                        .any(|given| given.profiles.iter().any(|held| unversioned(held) == &**url))
                };
                slices.iter().find(of_url).map_or(Place::Nothing, |slice| Place::Rule(&slice.rule))
            }
        }
    }

    /// The same step in the resource.
    fn step(&self, nodes: &[Node<'w>], step: &Step, scope: &Scope<'_, 'w>) -> Vec<Node<'w>> {
        let definitions = self.library.definitions;
        let mut found = Vec::new();
        for node in nodes {
            match step {
                Step::Member(name) => {
                    node.visit(definitions, Some(name), &mut |child| found.push(child.node));
                }
                Step::Extension(url) => node.visit(definitions, Some("extension"), &mut |child| {
                    let held = child.node.value.and_then(|value| value.get_text("url"));
                    if held.is_some_and(|held| held == **url) {
                        found.push(child.node);
                    }
                }),
                Step::OfType(name) => {
                    if node.kind.is_a(definitions, name) {
                        found.push(*node);
                    }
                }
                Step::Resolve => {
                    let literal = match node.kind.native {
                        NativeType::Reference => node.value.and_then(|value| value.get_text("reference")),
                        _ => node.value.and_then(|value| value.as_text()),
                    };
                    let target = literal.and_then(|literal| scope.resolve(&literal));
                    found.extend(target.and_then(|target| Node::resource(definitions, target)));
                }
            }
        }
        found
    }

    /// Whether a value has what distinguishes a slice: the fixed values, patterns and required codes at or below a rule.
    fn fits(&self, rule: &'w Rule, node: Node<'w>) -> Result<bool, Stop> {
        self.session.budget.take(1)?;
        if let Some(expected) = &rule.value
            && !fixed::meets(&expected.value, expected.exact, node, &self.session.budget)?
        {
            return Ok(false);
        }
        for binding in rule.bindings.iter().filter(|binding| binding.strength == Strength::Required) {
            self.session.budget.take(1)?;
            if self.library.has_member(&binding.set, node) == Some(false) {
                return Ok(false);
            }
        }
        for child in &rule.children {
            if !distinguishes(child) {
                continue;
            }
            let mut held = Vec::new();
            node.visit(self.library.definitions, Some(&child.name), &mut |found| held.push(found.node));
            if held.is_empty() && child.min > 0 {
                return Ok(false);
            }
            for node in &held {
                if !self.fits(child, *node)? {
                    return Ok(false);
                }
            }
            for slice in child.slices.iter().filter(|slice| slice.rule.min > 0 && distinguishes(&slice.rule))
            {
                let mut found = false;
                for node in &held {
                    found = found || self.fits(&slice.rule, *node)?;
                }
                if !found {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Whether a rule says which values there are.
fn distinguishes(rule: &Rule) -> bool {
    rule.value.is_some()
        || rule.bindings.iter().any(|binding| binding.strength == Strength::Required)
        || rule.children.iter().any(distinguishes)
        || rule.slices.iter().any(|slice| slice.rule.min > 0 && distinguishes(&slice.rule))
}

/// What distinguishes a slice in words, for messages.
pub(super) fn described(rule: &Rule, discriminators: &[Discriminator]) -> Option<String> {
    let mut parts = Vec::new();
    for discriminator in discriminators.iter().filter(|one| one.kind == DiscriminatorKind::Value) {
        let mut place = Some(rule);
        let mut names = Vec::new();
        for step in &discriminator.path {
            let Step::Member(name) = step else { return None };
            place = place.and_then(|rule| rule.child(name));
            names.push(&**name);
        }
        describe(place?, &mut names, &mut parts);
    }
    (!parts.is_empty() && parts.len() <= 4).then(|| parts.join(", "))
}

fn describe<'r>(rule: &'r Rule, names: &mut Vec<&'r str>, parts: &mut Vec<String>) {
    if let Some(value) = rule.value.as_ref().and_then(|expected| fixed::described(&expected.value)) {
        parts.push(if names.is_empty() { value } else { format!("{}: {value}", names.join(".")) });
        return;
    }
    for child in &rule.children {
        names.push(&child.name);
        describe(child, names, parts);
        names.pop();
    }
    for slice in rule.slices.iter().filter(|slice| slice.rule.min > 0) {
        describe(&slice.rule, names, parts);
    }
}
