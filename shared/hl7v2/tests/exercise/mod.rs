//! Everything that can be done with bytes from outside, for property tests and the fuzzer: it must never panic.

use wardstream_hl7v2 as hl7v2;

use hl7v2::ack::{AckCode, Mode, reply};
use hl7v2::{Message, Path, escape, mllp};

/// Parses and reads, acknowledges, splits and unframes `bytes`.
pub(crate) fn everything(bytes: &[u8]) {
    let parsed = Message::parse(bytes);
    match &parsed {
        Ok(message) => read(message, bytes),
        Err(error) => {
            assert!(error.offset <= bytes.len(), "{error}");
            assert!(!format!("{error}{}", error.code.help()).is_empty());
        }
    }
    acknowledge(bytes, &parsed);
    split(bytes);
    unframe(bytes);
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = text.parse::<Path>();
    }
}

/// Every value of a message, by every way to it.
fn read(message: &Message<'_>, bytes: &[u8]) {
    let header = (message.structure(), message.version(), message.sending_facility(), message.timestamp());
    assert!(!header.0.is_empty() && !message.message_code().is_empty() && !message.control_id().is_empty());
    for segment in message.segments() {
        assert!(segment.offset() <= bytes.len());
        assert!(message.all(segment.name()).any(|same| same.index() == segment.index()));
        for (n, field) in (1..).zip(segment.fields_in_order()) {
            assert_eq!(field.raw(), segment.field(n).raw());
            let _ = (field.offset(), field.text(), field.full_text(), field.is_truncated());
            for repetition in field.repetitions() {
                let components = repetition.components();
                for subcomponent in components.flat_map(|component| component.subcomponents()) {
                    let text = subcomponent.text();
                    let escaped = escape::escape(&text, message.delimiters());
                    assert!(!escaped.bytes().any(|byte| byte == message.delimiters().field || byte == b'\r'));
                }
            }
        }
        assert!(segment.field(segment.field_count() + 1).is_empty());
    }
}

/// An acknowledgement parses, whatever it answers, and says what it answers.
fn acknowledge(bytes: &[u8], parsed: &Result<Message<'_>, hl7v2::Error>) {
    let _ = Mode::of(bytes).accept_code(parsed.is_ok());
    let nak = reply(bytes, AckCode::AR, parsed.as_ref().err(), Some("no|good"), "1", "2024");
    let nak =
        Message::parse(&nak).unwrap_or_else(|error| panic!("an acknowledgement does not parse: {error}"));
    assert_eq!(nak.query("MSA-1").ok().flatten().as_deref(), Some("AR"));
}

/// Messages of a batch stand in their order and do not overlap.
fn split(bytes: &[u8]) {
    let mut after = 0;
    for item in hl7v2::batch::messages(bytes).take(1000) {
        match item {
            Ok(message) => {
                let start = message.as_ptr() as usize - bytes.as_ptr() as usize;
                assert!(start >= after && start + message.len() <= bytes.len());
                after = start + message.len();
            }
            Err(error) => assert!(error.offset <= bytes.len()),
        }
    }
}

/// However a stream is cut, the same frames come out.
fn unframe(bytes: &[u8]) {
    let frames = |size: usize| {
        let mut decoder = mllp::Decoder::new(256);
        let mut frames = Vec::new();
        for chunk in bytes.chunks(size) {
            decoder.push(chunk);
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => frames.push(Ok(frame)),
                    Ok(None) => break,
                    Err(error) => frames.push(Err(error.code)),
                }
            }
        }
        (frames, decoder.finish().is_ok())
    };
    assert!(frames(1) == frames(bytes.len().max(1)), "frames depend on how the stream is cut");
}
