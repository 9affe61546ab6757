//! Messages a second on one core: from bytes to the text of the bundle, with the allocator that the services use.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hl7v2::Message;
use wardstream_v2_to_fhir::{Options, convert, convert_to_text, patient_identity};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MESSAGES: [(&str, &[u8]); 3] = [
    // A result of four observations with a visit, an order and a note; the message that the parser is measured by.
    ("ORU^R01", include_bytes!("../../hl7v2/benches/oru_r01.hl7")),
    ("ADT^A01", include_bytes!("../tests/messages/adt_a01.hl7")),
    ("MDM^T02", include_bytes!("../tests/messages/mdm_t02.hl7")),
];

fn messages(criterion: &mut Criterion) {
    let options = Options::default();
    for (name, bytes) in MESSAGES {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        group.bench_function("bytes to bundle as text", |b| {
            b.iter(|| {
                let message = Message::parse(black_box(bytes)).ok()?;
                convert_to_text(&message, &options).ok()
            });
        });
        group.bench_function("bytes to bundle to look into", |b| {
            b.iter(|| {
                let message = Message::parse(black_box(bytes)).ok()?;
                convert(&message, &options).ok()
            });
        });
        group.bench_function("bytes to patient identity", |b| {
            b.iter(|| Message::parse(black_box(bytes)).ok().as_ref().and_then(patient_identity));
        });
        group.finish();
    }
}

criterion_group!(benches, messages);
criterion_main!(benches);
