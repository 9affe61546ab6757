//! One Rust parser on one message: `wardstream-hl7-peers CONTENDER SECONDS FILE` prints the messages a second of
//! processor time and the six values that it read, each by the fastest access that the crate offers.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ProcessTime;

/// MSH-10, PID-3.1, PID-5.1, OBR-4.1, OBX-3.1 and OBX-5.1 of the first segment of that name.
const FIELDS: [(&str, usize); 6] = [("MSH", 10), ("PID", 3), ("PID", 5), ("OBR", 4), ("OBX", 3), ("OBX", 5)];

type Values = [Option<String>; 6];

/// What a contender makes of a message: the sum of the lengths is the work, the values are the proof of it.
trait Contender {
    fn read<T>(bytes: &[u8], each: impl Fn(&str) -> T) -> Option<[T; 6]>;
}

struct Wardstream;
impl Contender for Wardstream {
    fn read<T>(bytes: &[u8], each: impl Fn(&str) -> T) -> Option<[T; 6]> {
        let message = wardstream_hl7v2::Message::parse(bytes).ok()?;
        Some(FIELDS.map(|(name, field)| {
            each(&message.segment(name).map(|s| s.field(field).text()).unwrap_or_default())
        }))
    }
}

struct Hl72;
impl Contender for Hl72 {
    fn read<T>(bytes: &[u8], each: impl Fn(&str) -> T) -> Option<[T; 6]> {
        let message = hl7_2::parse(str::from_utf8(bytes).ok()?).ok()?;
        Some(of_er7(message.raw(), each))
    }
}

struct Er7;
impl Contender for Er7 {
    fn read<T>(bytes: &[u8], each: impl Fn(&str) -> T) -> Option<[T; 6]> {
        Some(of_er7(&er7::parse(str::from_utf8(bytes).ok()?).ok()?, each))
    }
}

fn of_er7<T>(message: &er7::Message, each: impl Fn(&str) -> T) -> [T; 6] {
    FIELDS.map(|(name, field)| {
        let component = message.segment(name).and_then(|s| s.component(field, 1));
        let value = component.and_then(|c| c.subcomponent(1)).map(|s| s.value(&message.separators));
        each(&value.unwrap_or_default())
    })
}

struct Hl7Parser;
impl Contender for Hl7Parser {
    fn read<T>(bytes: &[u8], each: impl Fn(&str) -> T) -> Option<[T; 6]> {
        let message = hl7_parser::Message::parse(str::from_utf8(bytes).ok()?).ok()?;
        Some(FIELDS.map(|(name, field)| {
            let component = message.segment(name).and_then(|s| s.field(field)).and_then(|f| f.component(1));
            each(component.and_then(|c| c.subcomponent(1)).map_or("", |s| s.raw_value()))
        }))
    }
}

struct RustHl7;
impl Contender for RustHl7 {
    fn read<T>(bytes: &[u8], each: impl Fn(&str) -> T) -> Option<[T; 6]> {
        let message = rusthl7::message::Message::try_from(str::from_utf8(bytes).ok()?).ok()?;
        Some(FIELDS.map(|(name, field)| {
            let segment = message.segments.iter().find(|s| s.fields[0].source == name);
            // It does not count MSH-1.
            let field = segment.and_then(|s| s.fields.get(field - usize::from(name == "MSH")));
            each(field.map_or("", |f| f.subcomponents[0][0][0]))
        }))
    }
}

fn measure<C: Contender>(bytes: &[u8], seconds: f64) -> Option<(f64, Values)> {
    let values = C::read(bytes, |value| Some(value.to_owned()))?;
    let length = Duration::from_secs_f64(seconds);
    let (mut count, mut batch) = (0_u32, 1);
    let start = ProcessTime::now();
    loop {
        for _ in 0..batch {
            black_box(C::read(black_box(bytes), str::len)?);
        }
        count += batch;
        let elapsed = start.elapsed();
        if elapsed >= length {
            return Some((f64::from(count) / elapsed.as_secs_f64(), values));
        }
        batch = (batch * 2).min(1 << 12);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [contender, seconds, file] = arguments.as_slice() else {
        return Err("usage: wardstream-hl7-peers CONTENDER SECONDS FILE".into());
    };
    let bytes = std::fs::read(file)?;
    let seconds = seconds.parse()?;
    let measured = match contender.as_str() {
        "wardstream" => measure::<Wardstream>(&bytes, seconds),
        "hl7-2" => measure::<Hl72>(&bytes, seconds),
        "er7" => measure::<Er7>(&bytes, seconds),
        "hl7-parser" => measure::<Hl7Parser>(&bytes, seconds),
        "rust-hl7" => measure::<RustHl7>(&bytes, seconds),
        other => return Err(format!("no contender is called {other}").into()),
    };
    let (rate, values) = measured.ok_or("the message is not read")?;
    println!("{rate:.1}");
    values.iter().for_each(|value| println!("{}", value.as_deref().unwrap_or_default()));
    Ok(())
}
