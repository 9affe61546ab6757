//! The check of an element against the rules of a profile.

use super::rule::{Discriminator, Profile, Rule, TypeRule};
use super::{Found, Library, Session, fixed};
use crate::definitions::NativeType;
use crate::fhirpath::{Child, Node, Stop};
use crate::json::Value;
use crate::validator::{Path, Scope};
use crate::{ErrorCode, IssueType, Severity};

/// Most errors of one check, after which it ends; of warnings as many are kept, and the check goes on.
const MAX_FINDINGS: usize = 200;

/// A finding, not yet counted among the issues of the validation.
#[derive(Debug)]
pub(crate) struct Finding<'w> {
    pub(crate) severity: Severity,
    pub(crate) at: Value<'w>,
    pub(crate) expression: String,
    pub(crate) code: IssueType,
    pub(crate) error: ErrorCode,
    pub(crate) message: String,
    /// Id of an invariant.
    pub(crate) rule: Option<String>,
    /// URL of the profile.
    pub(crate) profile: String,
}

/// The slice whose values are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'w> {
    pub(super) slice: &'w str,
    pub(super) discriminators: &'w [Discriminator],
}

/// The check of one element against one profile. `Err` means that the budget of the session is spent.
#[derive(Debug)]
pub(crate) struct Check<'c, 'w> {
    pub(super) library: Library<'w>,
    pub(super) session: &'c Session,
    /// The profile whose rules are looked at: messages name it.
    profile: &'w Profile,
    /// None where it is only asked whether the element meets the profile.
    findings: Option<Vec<Finding<'w>>>,
    errors: usize,
}

impl<'c, 'w> Check<'c, 'w> {
    /// What an element lacks of a profile.
    pub(crate) fn run(
        library: Library<'w>,
        session: &'c Session,
        profile: &'w Profile,
        node: Node<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) -> (Vec<Finding<'w>>, Result<(), Stop>) {
        let mut check = Self { library, session, profile, findings: Some(Vec::new()), errors: 0 };
        let result = check.whole(node, path, scope);
        (check.findings.unwrap_or_default(), result)
    }

    /// Whether an element meets a profile or is of a type; None for an unknown one.
    pub(super) fn conforms(
        library: Library<'w>,
        session: &'c Session,
        url: &str,
        node: Node<'w>,
        scope: &Scope<'_, 'w>,
    ) -> Result<Option<bool>, Stop> {
        Ok(match library.find(url) {
            None | Some(Found::Unusable(_)) => None,
            Some(Found::Type(kind)) => Some(node.kind.is_a(library.definitions, kind.name())),
            Some(Found::Profile(profile)) => Some(session.once(profile, node, || {
                let mut check = Self { library, session, profile, findings: None, errors: 0 };
                check.whole(node, &Path::UNKNOWN, scope)?;
                Ok(check.errors == 0)
            })?),
        })
    }

    fn whole(&mut self, node: Node<'w>, path: &Path<'_>, scope: &Scope<'_, 'w>) -> Result<(), Stop> {
        let profile = self.profile;
        if !node.kind.is_a(self.library.definitions, &profile.type_name) {
            let message = format!(
                "The profile '{}' is for {}; this is {}.",
                profile.title,
                profile.type_name,
                node.kind.name()
            );
            self.error(node.at(), path, IssueType::Structure, ErrorCode::Profile, message);
            return Ok(());
        }
        self.value(&profile.root, node, path, scope)
    }

    const fn is_over(&self) -> bool {
        // Where it is only asked whether the element meets the profile, one error is the answer.
        self.errors >= if self.findings.is_some() { MAX_FINDINGS } else { 1 }
    }

    pub(super) fn report(
        &mut self,
        severity: Severity,
        at: Option<Value<'w>>,
        path: &Path<'_>,
        code: IssueType,
        error: ErrorCode,
        message: String,
    ) -> Option<&mut Finding<'w>> {
        let is_error = severity >= Severity::Error;
        self.errors += usize::from(is_error);
        let profile = self.profile.url.clone();
        let findings = self.findings.as_mut()?;
        if !is_error && findings.len() >= MAX_FINDINGS {
            return None;
        }
        let expression = path.to_string();
        findings.push(Finding { severity, at: at?, expression, code, error, message, rule: None, profile });
        findings.last_mut()
    }

    pub(super) fn error(
        &mut self,
        at: Option<Value<'w>>,
        path: &Path<'_>,
        code: IssueType,
        error: ErrorCode,
        message: String,
    ) {
        self.report(Severity::Error, at, path, code, error, message);
    }

    pub(super) fn title(&self) -> &'w str {
        &self.profile.title
    }

    /// All values of an element, or those of one slice of it.
    pub(super) fn element(
        &mut self,
        rule: &'w Rule,
        slice: Option<Named<'w>>,
        items: &[Child<'w>],
        parent: Node<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) -> Result<(), Stop> {
        self.session.budget.take(1 + items.len())?;
        let at = path.member(&rule.name);
        self.cardinality(rule, slice, items, parent, &at);
        for item in items {
            if self.is_over() {
                return Ok(());
            }
            match item.index {
                Some(index) => self.item(rule, *item, &at.index(index), scope)?,
                None => self.item(rule, *item, &at, scope)?,
            }
        }
        self.slices(rule, items, parent, path, scope)
    }

    fn cardinality(
        &mut self,
        rule: &Rule,
        slice: Option<Named<'w>>,
        items: &[Child<'w>],
        parent: Node<'w>,
        path: &Path<'_>,
    ) {
        let name = &rule.name;
        let what = match slice {
            Some(Named { slice, discriminators }) => match super::slicing::described(rule, discriminators) {
                Some(values) => format!("{name} '{slice}' ({values})"),
                None => format!("{name} '{slice}'"),
            },
            None => name.to_string(),
        };
        let (count, title) = (items.len(), &self.profile.title);
        let fewest = rule.min as usize;
        if count < fewest {
            let message = if fewest == 1 {
                format!("{what} is required by the profile '{title}'.")
            } else {
                format!("{what} needs at least {fewest} values by the profile '{title}'; it has {count}.")
            };
            self.error(parent.at(), path, IssueType::Required, ErrorCode::Missing, message);
        }
        let Some(most) = rule.max.map(|most| most as usize).filter(|most| count > *most) else { return };
        let message = if most == 0 {
            format!("{what} is not allowed by the profile '{title}'.")
        } else {
            format!("{what} has {count} values; the profile '{title}' allows {most}.")
        };
        let first = items.get(most).and_then(|item| item.node.at()).or(parent.at());
        self.error(first, path, IssueType::Structure, ErrorCode::TooManyValues, message);
    }

    /// One value: its type, then what is in it.
    fn item(
        &mut self,
        rule: &'w Rule,
        item: Child<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) -> Result<(), Stop> {
        let definitions = self.library.definitions;
        let fitting: Vec<&'w TypeRule> =
            rule.types.iter().filter(|given| item.node.kind.is_a(definitions, &given.code)).collect();
        if fitting.is_empty() && !rule.types.is_empty() {
            let allowed: Vec<&str> = rule.types.iter().map(|given| &*given.code).collect();
            let message = format!(
                "{} is of type {}; the profile '{}' allows: {}.",
                rule.name,
                item.node.kind.name(),
                self.title(),
                allowed.join(", ")
            );
            self.error(item.node.at(), path, IssueType::Structure, ErrorCode::Profile, message);
            return Ok(());
        }
        if !fitting.is_empty() && fitting.iter().all(|given| !given.profiles.is_empty()) {
            let urls: Vec<&'w str> =
                fitting.iter().flat_map(|given| given.profiles.iter().map(|url| &**url)).collect();
            self.meets(&urls, item.node, path, scope)?;
        }
        if item.node.kind.native == NativeType::Reference
            && !fitting.is_empty()
            && fitting.iter().all(|given| !given.targets.is_empty())
        {
            let urls: Vec<&'w str> =
                fitting.iter().flat_map(|given| given.targets.iter().map(|url| &**url)).collect();
            self.target(&urls, item.node, path, scope)?;
        }
        if item.node.kind.kind() == crate::definitions::TypeKind::Resource
            && let Some(value) = item.node.value
        {
            return scope.enter(value, |scope| self.value(rule, item.node, path, scope));
        }
        self.value(rule, item.node, path, scope)
    }

    /// What a rule demands of a value and its children.
    pub(super) fn value(
        &mut self,
        rule: &'w Rule,
        node: Node<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) -> Result<(), Stop> {
        if let Some(expected) = &rule.value
            && !fixed::meets(&expected.value, expected.exact, node, &self.session.budget)?
        {
            let wanted =
                fixed::described(&expected.value).map_or(String::new(), |value| format!(": {value}"));
            let message = format!(
                "{} has not the value that the profile '{}' demands{wanted}.",
                path.name(),
                self.title()
            );
            self.error(node.at(), path, IssueType::Value, ErrorCode::Profile, message);
        }
        if let Some(most) = rule.max_length
            && node.is_primitive()
            && node.value.is_some_and(|value| value.text().chars().count() > most)
        {
            let message = format!(
                "{} is longer than the {most} characters that the profile '{}' allows.",
                path.name(),
                self.title()
            );
            self.error(node.at(), path, IssueType::TooLong, ErrorCode::Profile, message);
        }
        for binding in &rule.bindings {
            self.binding(binding.strength, &binding.set, node, path)?;
        }
        if !rule.children.is_empty() {
            let mut children: Vec<Child<'w>> = Vec::new();
            node.visit(self.library.definitions, None, &mut |child| children.push(child));
            self.session.budget.take(children.len() + rule.children.len())?;
            for child in &rule.children {
                if self.is_over() {
                    return Ok(());
                }
                let named = |held: &&Child<'w>| held.element.path_name() == &*child.name;
                let items: Vec<Child<'w>> = children.iter().filter(named).copied().collect();
                self.element(child, None, &items, node, path, scope)?;
            }
        }
        for constraint in &rule.constraints {
            self.constraint(constraint, node, path, scope)?;
        }
        Ok(())
    }

    /// The value meets one of the profiles. Of a single one it is said what is lacking.
    fn meets(
        &mut self,
        urls: &[&'w str],
        node: Node<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) -> Result<(), Stop> {
        if let [url] = urls
            && let Some(Found::Profile(profile)) = self.library.find(url)
        {
            let outer = std::mem::replace(&mut self.profile, profile);
            let result = self.whole(node, path, scope);
            self.profile = outer;
            return result;
        }
        let mut unknown = false;
        for url in urls {
            match Self::conforms(self.library, self.session, url, node, scope)? {
                Some(true) => return Ok(()),
                Some(false) => {}
                None => unknown = true,
            }
        }
        if unknown {
            self.unknown(urls, node, path);
        } else {
            let message = format!(
                "{} meets none of the profiles that '{}' allows here: {}.",
                path.name(),
                self.title(),
                self.titles(urls)
            );
            self.error(node.at(), path, IssueType::Structure, ErrorCode::Profile, message);
        }
        Ok(())
    }

    fn unknown(&mut self, urls: &[&str], node: Node<'w>, path: &Path<'_>) {
        let message = format!(
            "{} was not checked in full: the profile '{}' demands a profile that is not known here ({}).",
            path.name(),
            self.title(),
            self.titles(urls)
        );
        self.report(
            Severity::Warning,
            node.at(),
            path,
            IssueType::NotSupported,
            ErrorCode::UnknownProfile,
            message,
        );
    }

    fn titles(&self, urls: &[&str]) -> String {
        let one = |url: &&str| match self.library.find(url) {
            Some(Found::Profile(profile)) => profile.title.clone(),
            Some(Found::Type(kind)) => kind.name().to_owned(),
            _ => (*url).to_owned(),
        };
        urls.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The target of a reference: one in the same document meets a profile, of another the type is known at most.
    fn target(
        &mut self,
        urls: &[&'w str],
        node: Node<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) -> Result<(), Stop> {
        let Some(object) = node.value else { return Ok(()) };
        let literal = object.get_text("reference");
        let resolved = literal.as_ref().and_then(|text| scope.resolve(text));
        let resolved = resolved.and_then(|value| Node::resource(self.library.definitions, value));
        let mut unknown = false;
        if let Some(target) = resolved {
            let Some(value) = target.value else { return Ok(()) };
            for url in urls {
                let verdict = scope
                    .enter(value, |scope| Self::conforms(self.library, self.session, url, target, scope))?;
                match verdict {
                    Some(true) => return Ok(()),
                    Some(false) => {}
                    None => {
                        unknown |= self.library.type_of(url).is_none_or(|name| name == target.kind.name())
                    }
                }
            }
            if unknown {
                self.unknown(urls, node, path);
                return Ok(());
            }
        } else {
            let stated =
                object.get_text("type").or_else(|| literal.as_deref().and_then(target_type).map(Into::into));
            let Some(stated) = stated.filter(|name| self.library.definitions.resource_type(name).is_some())
            else {
                return Ok(());
            };
            let kind = self.library.definitions.resource_type(&stated);
            let allowed = |url: &&str| match self.library.type_of(url) {
                Some(name) => kind.is_some_and(|kind| kind.is_a(self.library.definitions, name)),
                None => true,
            };
            if urls.iter().any(allowed) {
                return Ok(());
            }
        }
        let message = format!(
            "The target of this reference is not what the profile '{}' allows here: {}.",
            self.title(),
            self.titles(urls)
        );
        self.error(node.at(), path, IssueType::Structure, ErrorCode::Reference, message);
        Ok(())
    }
}

/// The resource type in `Type/id` or `…/Type/id/_history/version`.
fn target_type(reference: &str) -> Option<&str> {
    let current = reference.split("/_history/").next()?;
    current.rsplit('/').nth(1)
}
