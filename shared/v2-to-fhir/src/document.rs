//! Narrative: text that arrives a line at a time and is read as a whole.

pub(crate) mod extract;
mod markup;
mod mime;
mod pdf;
mod rtf;

use crate::attachment;
use crate::concept;
use crate::scope::Scope;
use crate::value::{Map, Text, Value, json};

/// The narrative of one resource, in sections.
#[derive(Debug, Default)]
pub(crate) struct Narrative {
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    /// Name of the observation whose text it is.
    label: Option<Text>,
    /// Whether it is the conclusion of a report.
    conclusion: bool,
    text: Text,
}

/// LOINC codes for the impression or conclusion of a report.
const CONCLUSIONS: [&str; 4] = ["19005-8", "22637-3", "55110-1", "44833-2"];

impl Narrative {
    /// Adds a line; one with the label of the line before continues its section.
    pub(crate) fn add(&mut self, observation: Option<Scope<'_>>, text: Text) {
        let label = observation.and_then(concept::label);
        if let Some(last) = self.sections.last_mut()
            && last.label == label
        {
            last.text.push('\n');
            last.text.push_str(&text);
            return;
        }
        let conclusion = observation.is_some_and(is_conclusion);
        self.sections.push(Section { label, conclusion, text });
    }

    /// Adds an empty line to the last section.
    pub(crate) fn blank_line(&mut self) {
        if let Some(last) = self.sections.last_mut() {
            last.text.push('\n');
        }
    }

    /// All sections, each under its label where there is more than one.
    fn text(&self) -> String {
        let mut out = String::new();
        for section in &self.sections {
            if !out.is_empty() {
                out.push_str("\n\n");
            }
            if let Some(label) = section.label.as_ref().filter(|_| self.sections.len() > 1) {
                out.push_str(label);
                out.push_str(":\n");
            }
            out.push_str(section.text.trim_end());
        }
        out
    }

    /// Writes the narrative where its resource type has a place for it.
    pub(crate) fn write(&self, kind: &str, body: &mut Map) {
        if self.sections.is_empty() {
            return;
        }
        match kind {
            "DiagnosticReport" => {
                body.insert("presentedForm", json!([attachment::text_attachment(&self.text())]));
                let conclusions: Vec<_> =
                    self.sections.iter().filter(|s| s.conclusion).map(|s| s.text.as_str()).collect();
                if !conclusions.is_empty() {
                    body.entry("conclusion").or_insert_with(|| json!(conclusions.join("\n")));
                }
            }
            "DocumentReference" => {
                let mut attachment = attachment::text_attachment(&self.text());
                if let (Some(Value::Array(content)), Some(attachment)) =
                    (body.get_mut("content"), attachment.as_object_mut())
                {
                    // TXA describes the document; what it says belongs to the text, not to a second attachment.
                    let described = content
                        .iter_mut()
                        .filter_map(|c| c.get_mut("attachment").and_then(Value::as_object_mut))
                        .find(|a| !a.contains_key("data") && !a.contains_key("url"));
                    if let Some(described) = described {
                        described.append(attachment);
                        return;
                    }
                }
                let content = body.entry("content").or_insert_with(|| json!([]));
                if let Value::Array(content) = content {
                    content.insert(0, json!({"attachment": attachment}));
                }
            }
            "Appointment" => {
                body.entry("comment").or_insert_with(|| json!(self.text()));
            }
            _ => {}
        }
    }
}

/// By its LOINC code, its `&IMP` suffix (HL7 v2.9 section 7.2, OBX-3), or its name.
fn is_conclusion(observation: Scope<'_>) -> bool {
    let code = observation.child(1);
    CONCLUSIONS.contains(&&*observation.child(1).text())
        || matches!(&*code.child(2).text(), "IMP" | "CNC")
        || concept::label(observation).is_some_and(|label| {
            let label = label.to_ascii_lowercase();
            label.contains("impression") || label.contains("conclusion")
        })
}
