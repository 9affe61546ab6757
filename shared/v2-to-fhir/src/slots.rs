//! The resources that rows refer to by name.

use crate::draft::Handle;

/// Resources that rows refer to by name. A message fills a dozen slots at most, so looking through them is fast.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    now: Vec<(&'static str, Handle)>,
    /// All that were ever in a slot.
    ever: Vec<(&'static str, Handle)>,
}

impl Slots {
    pub(crate) fn get(&self, slot: &str) -> Option<Handle> {
        self.now.iter().find(|(name, _)| *name == slot).map(|(_, handle)| *handle)
    }

    /// The resource in a slot and those before it, in the order of the message.
    pub(crate) fn all<'s>(&'s self, slot: &'s str) -> impl Iterator<Item = Handle> + 's {
        self.ever.iter().filter(move |(name, _)| *name == slot).map(|(_, handle)| *handle)
    }

    pub(crate) fn insert(&mut self, slot: &'static str, handle: Handle) {
        self.ever.push((slot, handle));
        match self.now.iter_mut().find(|(name, _)| *name == slot) {
            Some((_, held)) => *held = handle,
            None => self.now.push((slot, handle)),
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.now.retain(|(slot, _)| keep(slot));
    }
}
