//! What a message says of two patients at once.

use crate::draft::{self, Handle};
use crate::element;
use crate::engine::Engine;
use crate::value::json;

/// A24 says of the two patients that it names that they are one person, and keeps both records (HL7 v2.9, section
/// 3.3.24).
pub(crate) fn link(engine: &mut Engine<'_>, patients: &[Handle]) {
    let event = engine.segments.first().map(|msh| msh.field(9).component(2).text());
    let ([first, second], Some("A24")) = (patients, event.as_deref()) else { return };
    for (from, to) in [(*first, *second), (*second, *first)] {
        if let Some(body) = engine.drafts.body(from) {
            element::push_once(body, "link", json!({"other": draft::reference(to), "type": "seealso"}));
        }
    }
}
