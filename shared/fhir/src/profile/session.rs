//! What the checks of one validation share: the bounds on their time, and what is known already.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::rule::Profile;
use crate::fhirpath::{Budget, Node, Stop, Temporal};

/// Steps of one validation over all profiles: some thirty milliseconds.
const MAX_STEPS: u32 = 160_000;
/// How many references to other resources are followed one after another.
const MAX_REFERENCES: usize = 8;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) budget: Budget,
    /// What `now()` means in a rule.
    pub(crate) now: Option<Temporal>,
    /// Which resources meet which profiles. One that is being looked at counts as meeting it: references may form a circle.
    conformance: RefCell<HashMap<(*const Profile, u32), bool>>,
    depth: Cell<usize>,
}

impl Session {
    pub(crate) fn new(now: Option<Temporal>) -> Self {
        let budget = Budget::new(MAX_STEPS);
        Self { budget, now, conformance: RefCell::default(), depth: Cell::new(0) }
    }

    /// What a check says, asked once for each element and profile.
    pub(super) fn once(
        &self,
        profile: &Profile,
        node: Node<'_>,
        check: impl FnOnce() -> Result<bool, Stop>,
    ) -> Result<bool, Stop> {
        let key = (std::ptr::from_ref(profile), node.id());
        if let Some(known) = self.conformance.borrow().get(&key) {
            return Ok(*known);
        }
        if self.depth.get() >= MAX_REFERENCES {
            return Ok(true);
        }
        self.conformance.borrow_mut().insert(key, true);
        self.depth.set(self.depth.get() + 1);
        let verdict = check();
        self.depth.set(self.depth.get() - 1);
        self.conformance.borrow_mut().insert(key, matches!(verdict, Ok(true)));
        verdict
    }
}
