//! Writing messages.

use std::fmt;

use crate::{Delimiters, escape};

/// Writes segments one field after another, each segment ended by `\r`. `Debug` shows sizes, no content.
///
/// ```
/// # use wardstream_hl7v2 as hl7v2;
/// let mut writer = hl7v2::Writer::message(hl7v2::Delimiters::default());
/// writer.text("LAB").text("NORTH").skip(4).components(&["ADT", "A01"]).text("42").text("P").text("2.5");
/// writer.segment("PID").text("1").skip(1).raw("7001^^^NORTH^MR").skip(1).components(&["ROE", "ANN & CO"]);
/// let bytes = writer.finish(); assert_eq!(bytes,
/// b"MSH|^~\\&|LAB|NORTH|||||ADT^A01|42|P|2.5\rPID|1||7001^^^NORTH^MR||ROE^ANN \\T\\ CO\r");
/// ```
#[derive(Clone)]
pub struct Writer {
    out: String,
    delimiters: Delimiters,
    /// Empty fields that are written only when a value follows them.
    pending: usize,
}

impl Writer {
    /// Starts a message: MSH-1 and MSH-2 are written, MSH-3 is next.
    pub fn message(delimiters: Delimiters) -> Self {
        let mut out = String::from("MSH");
        out.push(char::from(delimiters.field));
        out.push_str(&delimiters.encoding_characters());
        Self { out, delimiters, pending: 0 }
    }

    /// Ends the segment and starts one called `name`; its field 1 is next.
    pub fn segment(&mut self, name: &str) -> &mut Self {
        self.out.push('\r');
        self.out.push_str(name);
        self.pending = 0;
        self
    }

    fn separate(&mut self) {
        for _ in 0..=self.pending {
            self.out.push(char::from(self.delimiters.field));
        }
        self.pending = 0;
    }

    /// Writes a field as it is; it must be escaped and hold no line end.
    pub fn raw(&mut self, field: &str) -> &mut Self {
        if field.is_empty() {
            return self.skip(1);
        }
        self.separate();
        self.out.push_str(field);
        self
    }

    /// Writes a field of one value. `""` is the null value.
    pub fn text(&mut self, value: &str) -> &mut Self {
        let escaped = escape::escape(value, &self.delimiters);
        self.raw(&escaped)
    }

    /// Writes a field of components; trailing empty ones are left out.
    pub fn components(&mut self, values: &[&str]) -> &mut Self {
        let field = self.joined(values, Some(self.delimiters.component));
        self.raw(&field)
    }

    /// `values` escaped and joined by `separator`, without trailing empty ones: the text of a field for
    /// [`Writer::raw`].
    pub fn joined(&self, values: &[&str], separator: Option<u8>) -> String {
        let count = values.iter().rposition(|value| !value.is_empty()).map_or(0, |last| last + 1);
        let mut out = String::new();
        for (position, value) in values.iter().take(count).enumerate() {
            if position > 0 {
                out.push(separator.map_or(' ', char::from));
            }
            out.push_str(&escape::escape(value, &self.delimiters));
        }
        out
    }

    /// Leaves `fields` fields empty.
    pub fn skip(&mut self, fields: usize) -> &mut Self {
        self.pending += fields;
        self
    }

    /// Ends the message.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push('\r');
        self.out.into_bytes()
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("bytes", &self.out.len()).finish_non_exhaustive()
    }
}
