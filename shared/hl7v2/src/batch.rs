//! Files and batches (HL7 v2.9, 2.10.3): FHS/BHS/BTS/FTS, several messages, or one.

use memchr::memchr2;

use crate::error::is_leading_noise;
use crate::{CharacterSet, Error, ErrorCode};

/// The messages in `bytes`, in their order: one, several one after another, or a batch or file with its
/// headers and trailers.
///
/// Each item is the bytes of one message, for [`crate::Message::parse`], or an error about what stands
/// between messages. An error ends nothing: the messages after it still come. Trailers that count (BTS-1,
/// FTS-1) are checked, and a header without its trailer is an error, because a file that was cut looks like
/// that.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], Error>> {
    Messages { bytes, at: 0, file: None, batch: None, unmarked: false, stray: false, ended: false }
}

/// What is open: how many members it has so far.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    count: u64,
    /// Of a file: runs of messages outside BHS and BTS, which are optional (2.10.3.1): some senders count each
    /// as a batch.
    unmarked: u64,
}

impl Open {
    fn is_counted_by(self, declared: u64) -> bool {
        declared == self.count || declared == self.count + self.unmarked
    }
}

struct Messages<'b> {
    bytes: &'b [u8],
    at: usize,
    file: Option<Open>,
    batch: Option<Open>,
    /// The last line was of a message outside BHS and BTS.
    unmarked: bool,
    /// Lines outside any message were reported already.
    stray: bool,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    FileHeader,
    BatchHeader,
    BatchTrailer,
    FileTrailer,
    Message,
    Other,
    Blank,
}

fn kind(line: &[u8]) -> Line {
    let delimited = line.get(3).is_none_or(u8::is_ascii_punctuation);
    match line.get(..3) {
        Some(b"FHS") if delimited => Line::FileHeader,
        Some(b"BHS") if delimited => Line::BatchHeader,
        Some(b"BTS") if delimited => Line::BatchTrailer,
        Some(b"FTS") if delimited => Line::FileTrailer,
        Some(b"MSH") if delimited => Line::Message,
        _ if line.is_empty() => Line::Blank,
        _ => Line::Other,
    }
}

impl<'b> Messages<'b> {
    /// Where the line at `at` really starts, and where it ends.
    fn line(&self, at: usize) -> (usize, usize) {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let end = at + memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let noise = self.bytes[at..end].iter().take_while(|b| is_leading_noise(**b)).count();
        (at + noise, end)
    }

    /// The end of the message that starts at `start`: where the next header or trailer stands.
    fn end_of_message(&self, start: usize) -> usize {
        let mut at = self.line(start).1;
        while at < self.bytes.len() {
            let (begin, end) = self.line(at + 1);
            if !matches!(kind(&self.bytes[begin..end]), Line::Other | Line::Blank) {
                return begin;
            }
            at = end;
        }
        self.bytes.len()
    }

    /// Compares the count a trailer declares in its field 1 with `found`.
    fn trailer(&mut self, start: usize, end: usize, found: Option<Open>, code: ErrorCode) -> Option<Error> {
        let name = String::from_utf8_lossy(&self.bytes[start..start + 3]).into_owned();
        let error = |code, field| {
            Some(Error {
                code,
                segment: Some(name.clone()),
                segment_index: None,
                field,
                offset: start + if field.is_some() { 4 } else { 0 },
            })
        };
        let Some(found) = found else { return error(ErrorCode::TrailerUnexpected, None) };
        let separator = self.bytes.get(start + 3).copied().unwrap_or(b'|');
        let declared = self.bytes.get(start + 4..end)?.split(|b| *b == separator).next()?;
        let declared = declared.trim_ascii();
        let count = || str::from_utf8(declared).ok()?.parse().ok();
        // The count is optional (2.14.3.1); what is no number is reported as a wrong one.
        if declared.is_empty() || count().is_some_and(|declared| found.is_counted_by(declared)) {
            return None;
        }
        error(code, Some(1))
    }

    fn unclosed(&self, code: ErrorCode) -> Error {
        Error::new(code, self.bytes.len())
    }

    /// Reads one line, or the message that starts there; `None` if there is nothing to say about it.
    fn step(&mut self) -> Option<Result<&'b [u8], Error>> {
        if self.at >= self.bytes.len() {
            if self.batch.take().is_some() {
                return Some(Err(self.unclosed(ErrorCode::BatchTrailerMissing)));
            }
            if self.file.take().is_some() {
                return Some(Err(self.unclosed(ErrorCode::FileTrailerMissing)));
            }
            self.ended = true;
            return None;
        }
        let (start, end) = self.line(self.at);
        self.at = end + 1;
        let kind = kind(&self.bytes[start..end]);
        let unmarked = self.unmarked;
        if kind != Line::Other && kind != Line::Blank {
            self.stray = false;
            self.unmarked = kind == Line::Message && self.batch.is_none();
        }
        let problem = match kind {
            Line::Message => {
                let message_end = self.end_of_message(start);
                self.at = message_end;
                match (&mut self.batch, &mut self.file) {
                    (Some(batch), _) => batch.count += 1,
                    (None, Some(file)) => file.unmarked += u64::from(!unmarked),
                    (None, None) => {}
                }
                return Some(Ok(&self.bytes[start..message_end]));
            }
            Line::Blank => None,
            Line::Other => {
                let first = !std::mem::replace(&mut self.stray, true);
                first.then(|| Error::new(ErrorCode::ContentOutsideMessage, start))
            }
            Line::FileHeader | Line::FileTrailer if self.batch.take().is_some() => {
                // Come back to this line once the batch is closed.
                self.at = start;
                Some(Error::new(ErrorCode::BatchTrailerMissing, start))
            }
            Line::FileHeader => {
                let open = self.file.replace(Open::default());
                open.map(|_| Error::new(ErrorCode::FileTrailerMissing, start))
            }
            Line::BatchHeader => {
                if let Some(file) = &mut self.file {
                    file.count += 1;
                }
                let open = self.batch.replace(Open::default());
                open.map(|_| Error::new(ErrorCode::BatchTrailerMissing, start))
            }
            Line::BatchTrailer => {
                let found = self.batch.take();
                self.trailer(start, end, found, ErrorCode::BatchCountMismatch)
            }
            Line::FileTrailer => {
                let found = self.file.take();
                self.trailer(start, end, found, ErrorCode::FileCountMismatch)
            }
        };
        problem.map(Err)
    }
}

impl<'b> Iterator for Messages<'b> {
    type Item = Result<&'b [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        // UTF-16 has other line ends; it carries one message.
        if self.at == 0 && CharacterSet::utf16(self.bytes).is_some() {
            self.ended = true;
            return Some(Ok(self.bytes));
        }
        while !self.ended {
            let item = self.step();
            if item.is_some() {
                return item;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "MSH|^~\\&|A\rPID|1\r";
    const B: &str = "MSH|^~\\&|B\rPID|2\r";

    fn run(text: &str) -> Vec<Result<String, &'static str>> {
        messages(text.as_bytes())
            .map(|item| item.map(|m| String::from_utf8_lossy(m).into_owned()).map_err(|e| e.code.code()))
            .collect()
    }

    fn ok(text: &str) -> Result<String, &'static str> {
        Ok(text.to_owned())
    }

    #[test]
    fn one_several_and_none() {
        assert_eq!(run(A), [ok(A)]);
        assert_eq!(run(&format!("{A}\r\n\r{B}")), [ok(&format!("{A}\r\n\r")), ok(B)]);
        assert_eq!(run(""), []);
        assert_eq!(run("\r\n \n"), []);
    }

    #[test]
    fn a_file_of_batches() {
        let text = format!("FHS|^~\\&|X\rBHS|^~\\&|X\r{A}{B}BTS|2\rBHS|^~\\&\r{A}BTS|1\rFTS|2\r");
        assert_eq!(run(&text), [ok(A), ok(B), ok(A)]);
        let newlines = text.replace('\r', "\r\n");
        assert_eq!(run(&newlines).len(), 3);
        assert!(run(&newlines).iter().all(Result::is_ok));
    }

    #[test]
    fn counts_and_trailers_are_checked() {
        assert_eq!(run(&format!("BHS|^~\\&\r{A}BTS|2\r")), [ok(A), Err("HL7-201")]);
        assert_eq!(run(&format!("BHS|^~\\&\r{A}BTS\r")), [ok(A)]);
        assert_eq!(run(&format!("BHS|^~\\&\r{A}BTS|x\r")), [ok(A), Err("HL7-201")]);
        assert_eq!(run(&format!("BHS|^~\\&\r{A}")), [ok(A), Err("HL7-203")]);
        assert_eq!(run(&format!("FHS|^~\\&\rBHS|^~\\&\r{A}FTS|1\r{B}")), [ok(A), Err("HL7-203"), ok(B)],);
        assert_eq!(run(&format!("FHS|^~\\&\r{A}")), [ok(A), Err("HL7-204")]);
        assert_eq!(run(&format!("FHS|^~\\&\rBHS|^~\\&\r{A}BTS|1\rFTS|3\r")), [ok(A), Err("HL7-202")]);
        // BHS and BTS are optional.
        for count in ["0", "1", ""] {
            assert_eq!(run(&format!("FHS|^~\\&\r{A}{B}FTS|{count}\r")), [ok(A), ok(B)], "{count}");
        }
        assert_eq!(run(&format!("FHS|^~\\&\r{A}{B}FTS|2\r")), [ok(A), ok(B), Err("HL7-202")]);
        assert_eq!(run(&format!("{A}BTS|1\r")), [ok(A), Err("HL7-205")]);
        assert_eq!(run(&format!("PID|1\rPV1|2\r{A}")), [Err("HL7-206"), ok(A)]);
        // A new file closes the batch of the file before it.
        let text = format!("FHS|^~\\&\rBHS|^~\\&\r{A}FHS|^~\\&\rBHS|^~\\&\r{B}BTS|1\rFTS|1\r");
        assert_eq!(run(&text), [ok(A), Err("HL7-203"), Err("HL7-204"), ok(B)]);
    }

    #[test]
    fn a_count_in_no_character_set_is_a_wrong_one() {
        let text = [b"BHS|^~\\&\r", A.as_bytes(), b"BTS|\xFF\r"].concat();
        let codes: Vec<_> = messages(&text).filter_map(Result::err).map(|e| e.code.code()).collect();
        assert_eq!(codes, ["HL7-201"]);
    }

    #[test]
    fn padding_at_the_end_of_a_file_is_nothing() {
        for padding in ["\x1A", "\r\n\x1A", "\0\0\0"] {
            assert_eq!(run(&format!("BHS|^~\\&\r{A}BTS|1\r{padding}")), [ok(A)]);
            let padded = format!("{A}{padding}");
            assert_eq!(run(&padded), [ok(&padded)]);
        }
    }

    #[test]
    fn frame_bytes_between_messages_are_tolerated() {
        let text = format!("\x0B{A}\x1C\r\x0B{B}\x1C\r");
        let found = run(&text);
        assert_eq!(found.len(), 2);
        assert!(found[0].as_ref().is_ok_and(|m| m.starts_with(A)));
        assert!(found[1].as_ref().is_ok_and(|m| m.starts_with(B)));
    }
}
