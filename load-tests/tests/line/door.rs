//! The MLLP listener: what it answers, and when.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hl7v2::Message;
use hl7v2::mllp::{Decoder, encode};
use settings::ByteSize;
use wardstream_load_tests::{Config, Feed};

use crate::harness::{Line, Needs, Parts};
use crate::reader::read_topic;

/// A sender that waits for its answers.
struct Sender {
    stream: TcpStream,
    decoder: Decoder,
}

impl Sender {
    fn connect(line: &mut Line) -> Self {
        let door = line.door.unwrap();
        let mut stream = None;
        line.wait("the listener", |_| {
            stream = TcpStream::connect(door).ok();
            stream.is_some()
        });
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream, decoder: Decoder::new(1 << 20) }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn answer(&mut self) -> Answer {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Answer::of(&frame);
            }
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the connection was closed without an answer");
            self.decoder.push(&buffer[..count]);
        }
    }

    fn ask(&mut self, message: &[u8]) -> Answer {
        self.write(&encode(message));
        self.answer()
    }
}

/// What an acknowledgement says.
#[derive(Debug)]
struct Answer {
    code: String,
    control_id: String,
    /// Segment of the error.
    segment: Option<String>,
    /// MSA-3 and ERR-7, one of which has the place in bytes.
    place: String,
}

impl Answer {
    fn of(frame: &[u8]) -> Self {
        let message = Message::parse(frame).unwrap();
        assert_eq!(message.message_code(), "ACK");
        let text = |path: &str| message.query(path).unwrap();
        Self {
            code: text("MSA-1").unwrap(),
            control_id: text("MSA-2").unwrap_or_default(),
            // ERR-2 from v2.5 on, ERR-1 before.
            segment: text("ERR-2").or_else(|| text("ERR-1")),
            place: [text("MSA-3"), text("ERR-7")].map(Option::unwrap_or_default).concat(),
        }
    }
}

fn stored(line: &Line, message: &[u8]) -> usize {
    let records = read_topic(&line.parts.config, "hl7.raw");
    records.iter().filter(|record| record.value.as_deref() == Some(message)).count()
}

/// The message with this MSH-15 and no MSH-16: a condition asks for enhanced mode, nothing for original mode.
fn asking(message: &[u8], condition: &str) -> Vec<u8> {
    let end = message.iter().position(|byte| *byte == b'\r').unwrap();
    let mut fields: Vec<&[u8]> = message[..end].split(|byte| *byte == b'|').collect();
    // The first separator is MSH-1 itself, so MSH-15 is the fifteenth part.
    fields.resize(fields.len().max(16), b"");
    (fields[14], fields[15]) = (condition.as_bytes(), b"");
    [&fields.join(&b'|'), &message[end..]].concat()
}

/// MSH-10 as it stands.
fn control_id(message: &[u8]) -> String {
    Message::parse(message).unwrap().control_id().to_string()
}

#[test]
fn a_sender_is_told_the_truth() {
    let needs =
        Needs { door_only: true, max_message_bytes: Some(ByteSize::from_kib(64)), ..Needs::default() };
    let Some(parts) = Parts::start(needs) else { return };
    let config = Config { seed: 5, patients: 10, damage_rate: 0.0, ..Config::default() };
    let good: Vec<Vec<u8>> = Feed::new(config).take(8).map(|message| asking(&message.bytes, "")).collect();
    let mut line = parts.run();
    let mut sender = Sender::connect(&mut line);

    a_good_message_is_stored_before_it_is_acknowledged(&line, &mut sender, &good);
    a_damaged_message_is_refused_with_its_place(&line, &mut sender, &good[0]);
    frames_come_as_they_like(&line, &mut sender, &good[3..6]);
    a_frame_that_is_too_long_is_refused(&mut sender, &good[0]);

    line.parts.kafka.kill();
    let answer = sender.ask(&good[6]);
    assert_eq!((answer.code.as_str(), answer.control_id.as_str()), ("AR", control_id(&good[6]).as_str()));
    assert_eq!(answer.segment, None, "nothing is wrong with the message");
    assert_eq!(sender.ask(&asking(&good[6], "AL")).code, "CR");
    line.wait_until_waiting("mllp", "kafka");
    line.parts.kafka.resume().unwrap();
    // The sender sends it again until it is taken, as it should.
    line.wait("the message to be taken", |_| sender.ask(&good[6]).code == "AA");
    assert!(stored(&line, &good[6]) >= 1);
    line.wait_until_back("mllp", "kafka");
    line.drain();
}

fn a_good_message_is_stored_before_it_is_acknowledged(line: &Line, sender: &mut Sender, good: &[Vec<u8>]) {
    let answer = sender.ask(&good[0]);
    assert_eq!(stored(line, &good[0]), 1, "acknowledged before it is in Kafka");
    assert_eq!((answer.code.as_str(), answer.control_id), ("AA", control_id(&good[0])));
    assert_eq!((answer.segment, answer.place), (None, String::new()));
    let message = asking(&good[1], "AL");
    assert_eq!(sender.ask(&message).code, "CA");
    assert_eq!(stored(line, &message), 1);
    // NE: no answer is wanted, and the message is stored all the same; the next answer is the next message's.
    let silent = asking(&good[2], "NE");
    sender.write(&encode(&silent));
    assert_eq!(sender.ask(&good[2]).code, "AA");
    assert_eq!((stored(line, &silent), stored(line, &good[2])), (1, 1));
}

fn a_damaged_message_is_refused_with_its_place(line: &Line, sender: &mut Sender, good: &[u8]) {
    let at = good.windows(5).position(|window| window == b"\rPID|").unwrap() + 1;
    let mut damaged = good.to_vec();
    damaged[at + 4] = 0x07;
    let answer = sender.ask(&damaged);
    assert_eq!((answer.code.as_str(), answer.control_id), ("AE", control_id(good)));
    assert_eq!(answer.segment.as_deref(), Some("PID"));
    assert!(answer.place.contains(&format!("byte {}", at + 4)), "the place in bytes is not told");
    assert_eq!(sender.ask(&asking(&damaged, "AL")).code, "CE");
    assert_eq!(sender.ask(b"no HL7 at all").code, "AE");
    assert_eq!(stored(line, &damaged), 0);
}

fn frames_come_as_they_like(line: &Line, sender: &mut Sender, good: &[Vec<u8>]) {
    // Two in one write, with the bytes between them that some engines send to keep a connection alive.
    sender.write(&[b"\0\n".to_vec(), encode(&good[0]), b"\r\n\0".to_vec(), encode(&good[1])].concat());
    let answers = [sender.answer(), sender.answer()];
    assert_eq!(answers.map(|answer| answer.control_id), [control_id(&good[0]), control_id(&good[1])]);
    // One in many writes.
    for piece in encode(&good[2]).chunks(7) {
        sender.write(piece);
    }
    assert_eq!(sender.answer().code, "AA");
    for message in good {
        assert_eq!(stored(line, message), 1);
    }
}

fn a_frame_that_is_too_long_is_refused(sender: &mut Sender, good: &[u8]) {
    let long = [good, b"NTE|1||", &vec![b'x'; 80 * 1024], b"\r"].concat();
    assert_eq!(sender.ask(&long).code, "AE");
    // The connection goes on.
    assert_eq!(sender.ask(good).code, "AA");
}
