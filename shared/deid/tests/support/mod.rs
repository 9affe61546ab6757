//! What tests of structured de-identification share.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Every text of a value, names and what base64 hides included, each on a line.
pub(crate) fn everything(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push_str(text);
            out.push('\n');
            if let Ok(bytes) = STANDARD.decode(text) {
                out.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| everything(item, out)),
        Value::Object(object) => object.iter().for_each(|(name, child)| {
            out.push_str(name);
            out.push('\n');
            everything(child, out);
        }),
        _ => {}
    }
}
