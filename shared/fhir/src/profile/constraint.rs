//! Invariants of profiles.

use super::check::Check;
use super::rule::Constraint;
use super::{Library, Session};
use crate::fhirpath::{Evaluator, Host, Node, Stop};
use crate::validator::{Path, Scope};
use crate::{ErrorCode, IssueType, Severity};

impl<'w> Check<'_, 'w> {
    pub(super) fn constraint(
        &mut self,
        constraint: &'w Constraint,
        node: Node<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) -> Result<(), Stop> {
        let around = Around { library: self.library, session: self.session, scope };
        let verdict = constraint.expression.as_ref().map(|expression| {
            let definitions = self.library.definitions;
            let evaluator = Evaluator {
                definitions,
                resource: Node::resource(definitions, scope.resource()),
                root: Node::resource(definitions, scope.root()),
                now: self.session.now,
                host: &around,
                budget: &self.session.budget,
            };
            evaluator.holds(expression, node)
        });
        let key = &constraint.key;
        let (severity, code, error, message) = match verdict {
            Some(Ok(true)) => return Ok(()),
            Some(Err(Stop::Budget)) => return Err(Stop::Budget),
            Some(Ok(false)) => (
                if constraint.is_error { Severity::Error } else { Severity::Warning },
                IssueType::Invariant,
                ErrorCode::Invariant,
                format!("{} (rule {key}).", constraint.human.trim_end_matches('.')),
            ),
            not_evaluated => (
                Severity::Warning,
                IssueType::NotSupported,
                ErrorCode::Invariant,
                format!(
                    "The rule {key} of the profile '{}' was not checked: {}.",
                    self.title(),
                    why(not_evaluated.and_then(Result::err))
                ),
            ),
        };
        let key = key.to_string();
        if let Some(finding) = self.report(severity, node.at(), path, code, error, message) {
            finding.rule = Some(key);
        }
        Ok(())
    }
}

const fn why(stop: Option<Stop>) -> &'static str {
    match stop {
        Some(Stop::Terminology) => "it needs a terminology server",
        Some(Stop::Clock) => "it depends on the current time",
        Some(Stop::Unknown) => "it names a profile, a type or a unit that is not known here",
        _ => "its expression cannot be evaluated here",
    }
}

/// What an expression may ask about its surroundings.
struct Around<'a, 's, 'w> {
    library: Library<'w>,
    session: &'a Session,
    scope: &'a Scope<'s, 'w>,
}

impl<'w> Host<'w> for Around<'_, '_, 'w> {
    fn resolve(&self, reference: &str) -> Option<Node<'w>> {
        Node::resource(self.library.definitions, self.scope.resolve(reference)?)
    }

    fn member_of(&self, value_set: &str, node: Node<'w>) -> Option<bool> {
        self.library.has_member(value_set, node)
    }

    fn conforms(&self, profile: &str, node: Node<'w>) -> Option<bool> {
        Check::conforms(self.library, self.session, profile, node, self.scope).ok().flatten()
    }
}
