//! FHIRPath locations.

use std::fmt;

/// A location, linked to the one around it; written out only when there is something to report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Root(&'p str),
    Member(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// For what has a line and column but no place in the resource.
    pub(crate) const UNKNOWN: Self = Self { parent: None, step: Step::Root("") };

    pub(crate) const fn root(resource_type: &'p str) -> Self {
        Self { parent: None, step: Step::Root(resource_type) }
    }

    pub(crate) const fn member(&'p self, name: &'p str) -> Path<'p> {
        Path { parent: Some(self), step: Step::Member(name) }
    }

    pub(crate) const fn index(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// The names on the way, outermost first, without the places in lists.
    pub(crate) fn names(&self) -> Vec<&'p str> {
        let mut names = Vec::new();
        let mut at = Some(self);
        while let Some(path) = at {
            if let Step::Root(name) | Step::Member(name) = path.step {
                names.push(name);
            }
            at = path.parent;
        }
        names.reverse();
        names
    }

    /// The name of the innermost element.
    pub(crate) fn name(&self) -> &'p str {
        match self.step {
            Step::Root(name) | Step::Member(name) => name,
            Step::Index(_) => self.parent.map_or("", Path::name),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(formatter)?;
        }
        match self.step {
            Step::Root(name) => formatter.write_str(name),
            Step::Member(name) => write!(formatter, ".{name}"),
            Step::Index(index) => write!(formatter, "[{index}]"),
        }
    }
}
