//! Makes PDF files that would take minutes or gigabytes of a reader without bounds, converts a result with each, and
//! prints how long it took and what the report says in the end.

#![expect(clippy::print_stdout, reason = "a command-line example")]

use std::io::Write as _;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wardstream_v2_to_fhir::{Options, convert};

fn packed(data: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data)?;
    encoder.finish()
}

fn stream(dictionary: &str, data: &[u8]) -> Vec<u8> {
    [format!("<<{dictionary}/Length {}>>stream\n", data.len()).as_bytes(), data, b"\nendstream"].concat()
}

/// A file of one page that draws object 5, which `last` begins with.
fn file(last: &[Vec<u8>]) -> Vec<u8> {
    let first: [&[u8]; 4] = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]>>",
        b"<</Type/Page/Contents 5 0 R/Resources<</Font<</F1 4 0 R/F2<</Subtype/Type1>>>>/XObject<</X 5 0 R>>>>>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ];
    let mut out = b"%PDF-1.7\n".to_vec();
    for (n, object) in first.into_iter().chain(last.iter().map(Vec::as_slice)).enumerate() {
        out.extend_from_slice(&[format!("{} 0 obj\n", n + 1).as_bytes(), object, b"\nendobj\n"].concat());
    }
    out.extend_from_slice(b"trailer<</Root 1 0 R>>");
    out
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let drawn = |content: String| {
        Ok::<_, std::io::Error>(file(&[stream("/Filter/Fl", &packed(content.as_bytes())?)]))
    };
    let objects = format!("1000 0 [{}]", "0 ".repeat((2 << 20) - 16));
    let objects = stream("/Type/ObjStm/N 1/First 7/Filter/Fl", &packed(objects.as_bytes())?);
    let many: Vec<_> = std::iter::once(b"null".to_vec()).chain(std::iter::repeat_n(objects, 200)).collect();
    let zeros = packed(&packed(&vec![0; 1 << 30])?)?;
    let files = [
        ("200 object streams that grow to 4 MiB each", file(&many)),
        ("a stream that grows to 1 GiB", file(&[stream("/Filter[/Fl/Fl]", &zeros)])),
        ("8 MB of brackets", file(&[stream("", "(".repeat(8_000_000).as_bytes())])),
        (
            "a million beginnings of objects",
            format!("%PDF-1.7\n{}", "1 0 obj[".repeat(1_000_000)).into_bytes(),
        ),
        (
            "a form that draws itself 2000 times",
            file(&[stream("/Subtype/Form", "/X Do ".repeat(2000).as_bytes())]),
        ),
        (
            "a million and a half lines",
            drawn(format!("BT /F1 9 Tf {}", "0 -9 Td(aaaaaaa)Tj ".repeat(1_500_000)))?,
        ),
        ("2.7 million letters", drawn(format!("BT /F1 9 Tf {}", "9 0 Td(a)Tj ".repeat(2_700_000)))?),
        ("3 million changes of the font", drawn("/F2 1 Tf ".repeat(3_000_000))?),
    ];
    for (name, file) in files {
        let text = format!(
            "MSH|^~\\&|A|F|||20240101||ORU^R01|1|P|2.5\rPID|1||1^^^N^MR\rOBR|1|||1^x^L|||||||||||||||||||||F\rOBX|1|ED|1^x^L||^application^PDF^Base64^{}||||||F\r",
            STANDARD.encode(&file)
        );
        let message = hl7v2::Message::parse(text.as_bytes())?;
        let begun = Instant::now();
        let bundle = convert(&message, &Options::default())?.bundle;
        let took = begun.elapsed();
        let entries = bundle["entry"].as_array().into_iter().flatten();
        let mut forms = entries.filter_map(|entry| entry.pointer("/resource/presentedForm/0/data")?.as_str());
        let read = STANDARD.decode(forms.next().unwrap_or_default())?;
        let read = String::from_utf8_lossy(&read);
        let last = read.lines().last().unwrap_or_default();
        println!("{name}: {} bytes, {took:.2?}; {last}", file.len());
    }
    Ok(())
}
