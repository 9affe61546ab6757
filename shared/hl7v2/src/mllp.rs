//! The minimal lower layer protocol: frames on a byte stream (HL7 v2.9 appendix C, MLLP release 1).

use std::collections::VecDeque;
use std::fmt;

use memchr::{memchr, memchr2};

use crate::{Error, ErrorCode};

/// Starts a frame (VT).
pub const START_BLOCK: u8 = 0x0B;
/// Ends a frame (FS), before a carriage return.
pub const END_BLOCK: u8 = 0x1C;

/// `message` as one frame.
pub fn encode(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.len() + 3);
    frame.push(START_BLOCK);
    frame.extend_from_slice(message);
    frame.extend([END_BLOCK, b'\r']);
    frame
}

/// Cuts a stream into frames.
///
/// Tolerated: a missing `\r` after the end block, and white space, NUL, lone start or end blocks and empty frames
/// between frames (keep-alives). Anything else between frames is one error, and the decoder goes on at the next start block.
/// Memory is bounded by the limit plus a multiple of what is pushed at once. `Debug` shows sizes, no content.
pub struct Decoder {
    max_bytes: usize,
    state: State,
    frame: Vec<u8>,
    ready: VecDeque<Result<Vec<u8>, Error>>,
    /// Bytes pushed before the current call.
    position: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    /// Between frames, with the bytes there reported already.
    Skipping,
    Inside,
    /// Inside a frame that is too large.
    Discarding,
}

impl Decoder {
    /// A decoder that accepts frames of at most `max_bytes` bytes of content.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, state: State::Between, frame: Vec::new(), ready: VecDeque::new(), position: 0 }
    }

    /// Takes bytes as they came from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            at += match self.state {
                State::Between | State::Skipping => self.between(&bytes[at..], self.position + at),
                State::Inside | State::Discarding => self.inside(&bytes[at..], self.position + at),
            };
        }
        self.position = self.position.saturating_add(bytes.len());
    }

    /// Both return how many bytes they took: at least one.
    fn between(&mut self, bytes: &[u8], offset: usize) -> usize {
        let length = memchr(START_BLOCK, bytes).unwrap_or(bytes.len());
        if self.state == State::Between
            && let Some(at) = bytes[..length].iter().position(|b| !is_keep_alive(*b))
        {
            self.state = State::Skipping;
            self.ready.push_back(Err(Error::new(ErrorCode::BytesOutsideFrame, offset + at)));
        }
        if length < bytes.len() {
            self.state = State::Inside;
            self.frame = Vec::new();
            return length + 1;
        }
        length
    }

    fn inside(&mut self, bytes: &[u8], offset: usize) -> usize {
        let found = memchr2(START_BLOCK, END_BLOCK, bytes);
        let content = &bytes[..found.unwrap_or(bytes.len())];
        if self.state == State::Inside {
            if self.frame.len() + content.len() > self.max_bytes {
                self.state = State::Discarding;
                self.frame = Vec::new();
                self.ready.push_back(Err(Error::new(ErrorCode::FrameTooLarge, offset)));
            } else {
                self.frame.extend_from_slice(content);
            }
        }
        let Some(end) = found else { return bytes.len() };
        let complete = self.state == State::Inside;
        let frame = std::mem::take(&mut self.frame);
        if bytes[end] == END_BLOCK {
            if complete && !is_empty(&frame) {
                self.ready.push_back(Ok(frame));
            }
            self.state = State::Between;
        } else {
            if complete && !is_empty(&frame) {
                self.ready.push_back(Err(Error::new(ErrorCode::FrameUnterminated, offset + end)));
            }
            self.state = State::Inside;
        }
        end + 1
    }

    /// The next frame's content; `None` until more bytes are pushed.
    ///
    /// # Errors
    /// [`ErrorCode::FrameTooLarge`], [`ErrorCode::BytesOutsideFrame`] or [`ErrorCode::FrameUnterminated`],
    /// with the offset in the stream. The decoder can go on after each.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.ready.pop_front().transpose()
    }

    /// To be called when the stream has ended.
    ///
    /// # Errors
    /// [`ErrorCode::FrameUnterminated`] if it ended inside a frame.
    pub fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::Between | State::Skipping => Ok(()),
            State::Inside if is_empty(&self.frame) => Ok(()),
            State::Inside | State::Discarding => Err(Error::new(ErrorCode::FrameUnterminated, self.position)),
        }
    }
}

fn is_keep_alive(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0 || byte == END_BLOCK
}

fn is_empty(frame: &[u8]) -> bool {
    frame.iter().all(|byte| is_keep_alive(*byte))
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("state", &self.state)
            .field("bytes", &self.frame.len())
            .field("ready", &self.ready.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(max: usize, chunks: &[&[u8]]) -> (Vec<Result<Vec<u8>, &'static str>>, bool) {
        let mut decoder = Decoder::new(max);
        let mut out = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            loop {
                match decoder.next_frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => out.push(Ok(frame)),
                    Err(e) => out.push(Err(e.code.code())),
                }
            }
        }
        (out, decoder.finish().is_ok())
    }

    fn ok(text: &str) -> Result<Vec<u8>, &'static str> {
        Ok(text.as_bytes().to_vec())
    }

    #[test]
    fn frames_in_any_chunks() {
        let stream = b"\x0Bone\r\x1C\r\r\n \x00\x0Btwo\x1C\x0Bthree\x1C\r\x0B\x1C\r";
        let all = [ok("one\r"), ok("two"), ok("three")];
        for size in 1..=stream.len() {
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            assert_eq!(decode(10, &chunks), (all.to_vec(), true));
        }
    }

    #[test]
    fn keep_alives_of_every_kind_are_no_errors() {
        for keep_alive in [
            &b"\0"[..],
            b"\r\n",
            b" ",
            b"\x1C",
            b"\x1C\r",
            b"\x0B",
            b"\x0B\x0B",
            b"\x0B\x1C\r",
            b"\x0B\0\r\x1C\r",
        ] {
            let stream = [keep_alive, b"\x0Bone\x1C\r", keep_alive, keep_alive].concat();
            for size in 1..=stream.len() {
                let chunks: Vec<&[u8]> = stream.chunks(size).collect();
                assert_eq!(decode(10, &chunks), (vec![ok("one")], true), "{keep_alive:?}");
            }
        }
    }

    #[test]
    fn what_is_outside_or_unfinished_is_an_error_and_no_end() {
        let found =
            decode(10, &[b"GET / HTTP/1.1\r\n\r\nHost", b"more\x0Bok\x1C\r\x0Bhalf\x0Bnext\x1C\r\x0Bcut"]);
        assert_eq!(found, (vec![Err("HL7-302"), ok("ok"), Err("HL7-303"), ok("next")], false));
    }

    #[test]
    fn a_frame_over_the_limit_is_dropped_to_its_end() {
        let (found, idle) = decode(4, &[b"\x0B12345", b"6789", b"0\x1C\r\x0B1234\x1C\r"]);
        assert_eq!(found, [Err("HL7-301"), ok("1234")]);
        assert!(idle);
    }

    #[test]
    fn encoding_is_undone() {
        assert_eq!(decode(10, &[&encode(b"MSH|")]), (vec![ok("MSH|")], true));
    }
}
