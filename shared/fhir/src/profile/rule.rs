//! A profile as the walk needs it: only what it demands beyond R4.

use serde_json::Value;

use crate::definitions::Strength;
use crate::fhirpath::Expression;

/// A compiled profile of a resource, a data type or an extension.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) url: String,
    /// Its title, as messages call it.
    pub(crate) title: String,
    /// The type it constrains.
    pub(crate) type_name: String,
    pub(crate) root: Rule,
}

/// What a profile demands of an element.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    /// Name as FHIRPath uses it: without `[x]`.
    pub(crate) name: Box<str>,
    /// Fewest values; 0 where R4 demands as many.
    pub(crate) min: u32,
    /// Most values; None where R4 allows no more.
    pub(crate) max: Option<u32>,
    /// The types it may have, with the profiles of the values and of their targets; empty where R4 says as much.
    pub(crate) types: Vec<TypeRule>,
    pub(crate) value: Option<ValueRule>,
    pub(crate) max_length: Option<usize>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) children: Vec<Rule>,
    pub(crate) slicing: Option<Slicing>,
    pub(crate) slices: Vec<Slice>,
}

#[derive(Debug)]
pub(crate) struct TypeRule {
    pub(crate) code: Box<str>,
    /// The value meets one of these.
    pub(crate) profiles: Vec<Box<str>>,
    /// The target of a Reference meets one of these.
    pub(crate) targets: Vec<Box<str>>,
}

/// `fixed[x]` or `pattern[x]`.
#[derive(Debug)]
pub(crate) struct ValueRule {
    pub(crate) value: Value,
    /// Nothing beyond the value is allowed.
    pub(crate) exact: bool,
}

#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) strength: Strength,
    /// URL of the value set, without version.
    pub(crate) set: Box<str>,
}

/// An invariant.
#[derive(Debug)]
pub(crate) struct Constraint {
    pub(crate) key: Box<str>,
    pub(crate) human: Box<str>,
    pub(crate) is_error: bool,
    /// None where the expression uses what the engine does not have.
    pub(crate) expression: Option<Expression>,
}

#[derive(Debug)]
pub(crate) struct Slicing {
    pub(crate) discriminators: Vec<Discriminator>,
    pub(crate) openness: Openness,
    pub(crate) ordered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Openness {
    Open,
    /// Values of no slice are allowed after all others.
    OpenAtEnd,
    Closed,
}

#[derive(Debug)]
pub(crate) struct Discriminator {
    pub(crate) kind: DiscriminatorKind,
    pub(crate) path: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiscriminatorKind {
    /// `value` and `pattern` mean the same (FHIR R5 deprecates the second).
    Value,
    Exists,
    Type,
    Profile,
}

/// A step of a discriminator's path; `$this` is no step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Member(Box<str>),
    /// `extension('url')`
    Extension(Box<str>),
    /// `resolve()`
    Resolve,
    /// `ofType(Quantity)`
    OfType(Box<str>),
}

#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) name: Box<str>,
    pub(crate) rule: Rule,
}

impl Rule {
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| &*child.name == name)
    }

    /// Whether it demands nothing at all.
    pub(crate) fn is_idle(&self) -> bool {
        self.min == 0
            && self.max.is_none()
            && self.types.is_empty()
            && self.value.is_none()
            && self.max_length.is_none()
            && self.bindings.is_empty()
            && self.constraints.is_empty()
            && self.children.is_empty()
            && self.slicing.is_none()
            && self.slices.is_empty()
    }
}
