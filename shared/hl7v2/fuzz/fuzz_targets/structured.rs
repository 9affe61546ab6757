//! A header that parses, in a character set and with delimiters of the fuzzer's choice, before any bytes: so that
//! it spends its time behind the header's checks.

#![no_main]

#[path = "../../tests/exercise/mod.rs"]
mod exercise;

const SETS: [&str; 16] = [
    "", "ASCII", "UNICODE UTF-8", "8859/1", "8859/2", "8859/5", "8859/8", "8859/15", "~ISO IR87",
    "ISO IR13~ISO IR159", "GB 18030-2000", "KS X 1001", "BIG-5", "SHIFT-JIS", "EUC-JP", "CNS 11643-1992",
];
const DELIMITERS: [[&str; 2]; 4] = [["|", "^~\\&"], ["|", "^~\\&#"], ["!", "%"], ["\\", "/~"]];
const VERSIONS: [&str; 4] = ["2.1", "2.3.1", "2.5.1", "2.9"];

libfuzzer_sys::fuzz_target!(|input: (u8, u8, &[u8])| {
    let (choice, other, rest) = input;
    let set = SETS[usize::from(choice) % SETS.len()];
    let [field, encoding] = DELIMITERS[usize::from(other) % DELIMITERS.len()];
    let version = VERSIONS[usize::from(other >> 4) % VERSIONS.len()];
    let head = ["MSH", encoding, "A", "B", "", "", "1", "", "ORU", "1", "P", version, "", "", "AL", "", "", set];
    let mut bytes = head.join(field).into_bytes();
    bytes.extend_from_slice(b"\rOBX");
    bytes.extend_from_slice(field.as_bytes());
    bytes.extend_from_slice(rest);
    exercise::everything(&bytes);
});
