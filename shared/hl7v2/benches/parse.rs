//! Messages a second on one core: a message of 1.3 KB split into segments and fields, and six values of it read.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wardstream_hl7v2 as hl7v2;

use hl7v2::ack::{AckCode, reply};
use hl7v2::{Message, Path, batch, mllp};

/// A result of four observations with a visit, an order and a note.
const ORU_R01: &[u8] = include_bytes!("oru_r01.hl7");

/// The values that peers read too: control id, identifier, family name, ordered service, code and value.
fn six_fields(message: &Message<'_>) -> usize {
    let text = |name, field| message.segment(name).map_or(0, |s| s.field(field).text().len());
    text("MSH", 10) + text("PID", 3) + text("PID", 5) + text("OBR", 4) + text("OBX", 3) + text("OBX", 5)
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("oru_r01");
    group.throughput(Throughput::Elements(1));
    group.bench_function("parse", |b| {
        b.iter(|| Message::parse(black_box(ORU_R01)).map(|m| m.segment_count()))
    });
    group.bench_function("parse and read six fields", |b| {
        b.iter(|| Message::parse(black_box(ORU_R01)).map(|m| six_fields(&m)));
    });
    let text = String::from_utf8_lossy(ORU_R01);
    let latin = text.replace("UNICODE UTF-8", "8859/1").replace("ANNE", "\u{fc}").into_bytes();
    let latin: Vec<u8> = latin.into_iter().filter(|b| *b != 0xC3).collect();
    group.bench_function("parse and read six fields, ISO 8859-1", |b| {
        b.iter(|| Message::parse(black_box(&latin)).map(|m| six_fields(&m)));
    });
    let newlines = text.replace('\r', "\r\n").into_bytes();
    group.bench_function("parse and read six fields, CR LF", |b| {
        b.iter(|| Message::parse(black_box(&newlines)).map(|m| six_fields(&m)));
    });
    let paths = ["MSH-10", "PID-3.1", "PID-5.1", "OBR-4.1", "OBX-3.1", "OBX-5"].map(str::parse::<Path>);
    let paths: Vec<Path> = paths.into_iter().filter_map(Result::ok).collect();
    group.bench_function("parse and read six fields by path", |b| {
        b.iter(|| {
            let message = Message::parse(black_box(ORU_R01)).ok()?;
            Some(paths.iter().filter_map(|p| p.find(&message)).map(|v| v.len()).sum::<usize>())
        });
    });
    group.bench_function("parse and decode every value", |b| {
        b.iter(|| {
            let message = Message::parse(black_box(ORU_R01)).ok()?;
            let fields = message.segments().flat_map(|s| s.fields_in_order());
            let components = fields.flat_map(|f| f.repetitions()).flat_map(|r| r.components());
            Some(components.flat_map(|c| c.subcomponents()).map(|s| s.text().len()).sum::<usize>())
        });
    });
    group.bench_function("acknowledge", |b| {
        b.iter(|| reply(black_box(ORU_R01), AckCode::AA, None, None, "1", "20250303140513+0100"));
    });
    group.finish();
}

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("streams");
    group.throughput(Throughput::Elements(1000));
    let mut file = b"FHS|^~\\&|LAB\rBHS|^~\\&|LAB\r".to_vec();
    let mut frames = Vec::new();
    for _ in 0..1000 {
        file.extend_from_slice(ORU_R01);
        frames.extend(mllp::encode(ORU_R01));
    }
    file.extend_from_slice(b"BTS|1000\rFTS|1\r");
    group.bench_function("split a file of 1000", |b| b.iter(|| batch::messages(black_box(&file)).count()));
    group.bench_function("take 1000 frames off a socket's reads", |b| {
        b.iter(|| {
            let mut decoder = mllp::Decoder::new(1 << 20);
            let mut count = 0;
            for read in black_box(&frames).chunks(16 * 1024) {
                decoder.push(read);
                while let Ok(Some(_)) = decoder.next_frame() {
                    count += 1;
                }
            }
            count
        });
    });
    group.finish();
}

criterion_group!(benches, parse, streams);
criterion_main!(benches);
