//! PDF files made here: sound ones as programs write them, damaged ones, and ones made to do harm. Those are read within a
//! small budget and would take minutes or gigabytes, were something not paid for from it.

use std::io::Write as _;

use proptest::prelude::*;

use super::budget::Budget;
use super::*;

const CATALOG: &str = "<</Type/Catalog/Pages 2 0 R>>";
const PAGES: &str =
    "<</Type/Pages/Kids[3 0 R]/Count 1/Resources<</Font<</F1 5 0 R/F2 6 0 R>>/XObject<</X1 7 0 R>>>>>>";
const PAGE: &str = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>";
const HELVETICA: &str = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";
const CONTENT: &str =
    "BT /F1 10 Tf 50 700 Td (Potassium 6.8 mmol/L) Tj 0 -12 Td [(Re)10(peat)-500(at once)] TJ ET";

fn packed(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn stream(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut out = format!("<<{dictionary}/Length {}>>stream\n", data.len()).into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\nendstream");
    out
}

/// A file of objects, numbered from 1, with a table of contents and a trailer.
fn file(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut places = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n", n + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let table = out.len();
    out.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", places.len() + 1).as_bytes());
    for place in &places {
        out.extend_from_slice(format!("{place:010} 00000 n \n").as_bytes());
    }
    let size = places.len() + 1;
    out.extend_from_slice(
        format!("trailer\n<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{table}\n%%EOF\n").as_bytes(),
    );
    out
}

/// One page with that content, and further objects from number 5.
fn page(content: &str, more: &[&str]) -> Vec<u8> {
    let mut objects: Vec<Vec<u8>> = [CATALOG, PAGES, PAGE].map(|o| o.as_bytes().to_vec()).to_vec();
    objects.push(stream("", content.as_bytes()));
    objects.extend(more.iter().map(|object| object.as_bytes().to_vec()));
    file(&objects, "")
}

fn shown(data: &[u8]) -> Result<String, Unread> {
    text(data).map(|found| found.text.trim().to_owned())
}

#[test]
fn a_page_is_read_line_by_line() {
    let sent = page(CONTENT, &[HELVETICA]);
    assert_eq!(shown(&sent).as_deref(), Ok("Potassium 6.8 mmol/L\nRepeat at once"));
}

#[test]
fn a_packed_file_is_read() {
    // As most programs write it: objects in an object stream, no table, a stream in the place of the trailer.
    let within = [CATALOG, PAGES, PAGE, HELVETICA];
    let (mut head, mut body) = (String::new(), String::new());
    for (id, object) in [1, 2, 3, 5].into_iter().zip(within) {
        head.push_str(&format!("{id} {} ", body.len()));
        body.push_str(object);
        body.push(' ');
    }
    let all = packed(format!("{head}{body}").as_bytes());
    let objects = stream(&format!("/Type/ObjStm/N 4/First {}/Filter/FlateDecode", head.len()), &all);
    let content = stream("/Filter[/ASCII85Decode/Fl]", b"GhQ~>");
    let mut sent = b"%PDF-1.5\n".to_vec();
    let page = stream("/Filter/FlateDecode", &packed(CONTENT.as_bytes()));
    let table = stream("/Type/XRef/Root 1 0 R/W[1 2 1]/Size 8", &[0; 32]);
    for (id, object) in [(4, page), (8, objects), (9, content), (10, table)] {
        sent.extend_from_slice(format!("{id} 0 obj").as_bytes());
        sent.extend_from_slice(&object);
        sent.extend_from_slice(b"endobj\n");
    }
    assert_eq!(shown(&sent).as_deref(), Ok("Potassium 6.8 mmol/L\nRepeat at once"));
}

#[test]
fn fonts_say_what_their_codes_show() {
    let map = "1 beginbfrange <0001> <0003> <0041> endbfrange 1 beginbfchar <0004> <00B5> endbfchar";
    let wide = "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/ToUnicode 6 0 R/DescendantFonts[<</W[1[600 600] 3 4 700]>>]>>";
    let sent = page("BT /F1 12 Tf 10 10 Td <00010002> Tj [<0003>-300<0004>] TJ ET", &[wide, ""]);
    let at = sent.windows(7).position(|w| w == b"6 0 obj").expect("object 6");
    let map = [b"6 0 obj".to_vec(), stream("", map.as_bytes())].concat();
    let sent = [&sent[..at], &map[..], &sent[at + 7..]].concat();
    assert_eq!(shown(&sent).as_deref(), Ok("ABC µ"));

    let differs = "<</Type/Font/Subtype/Type1/Encoding<</BaseEncoding/WinAnsiEncoding/Differences[1/lessequal 65/eacute/uni00E8]>>>>";
    assert_eq!(shown(&page("BT /F1 9 Tf (\\001 AB\\200) Tj ET", &[differs])).as_deref(), Ok("≤ éè€"));

    let mute = "<</Type/Font/Subtype/Type0/Encoding/Identity-H/DescendantFonts[<<>>]>>";
    assert_eq!(shown(&page("BT /F1 9 Tf <00010002> Tj ET", &[mute])), Err(Unread::Fonts));
}

#[test]
fn a_table_is_read_by_its_rows() {
    let content = "BT /F1 10 Tf 1 0 0 1 50 700 Tm (Sodium) Tj 1 0 0 1 50 688 Tm (Potassium) Tj ET
        q 1 0 0 1 200 0 cm BT /F1 10 Tf 1 0 0 1 0 700 Tm (140) Tj 0 -12 TD (6.8) Tj T* (end) ' ET Q";
    let sent = page(content, &[HELVETICA]);
    assert_eq!(shown(&sent).as_deref(), Ok("Sodium\t140\nPotassium\t6.8\n\nend"));
}

#[test]
fn forms_and_fields_are_read() {
    let field = "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Annots[<</Rect[50 600 90 620]/AP<</N 8 0 R>>>>]>>";
    let form = |text: &str| {
        let content = format!("BT /F1 10 Tf 0 2 Td ({text}) Tj ET");
        stream("/Type/XObject/Subtype/Form/Matrix[1 0 0 1 50 650]", content.as_bytes())
    };
    let field_form = stream("/Subtype/Form", b"BT /F1 10 Tf 0 2 Td (a field) Tj ET");
    let mut objects: Vec<Vec<u8>> = [CATALOG, PAGES, field].map(|o| o.as_bytes().to_vec()).to_vec();
    objects.push(stream("", b"BT /F1 10 Tf 50 700 Td (Page) Tj ET /X1 Do BI /W 1 ID \xff(EI\xff EI"));
    objects.extend([HELVETICA.into(), HELVETICA.into(), form("a form"), field_form]);
    assert_eq!(shown(&file(&objects, "")).as_deref(), Ok("Page\n\na form\n\na field"));
}

/// Made by qpdf 12 from a page of one line, under the user password that each is named by.
const OPEN: [&[u8]; 4] = [
    include_bytes!("encrypted/rc4-40.pdf"),
    include_bytes!("encrypted/rc4-128.pdf"),
    include_bytes!("encrypted/aes-128.pdf"),
    include_bytes!("encrypted/aes-256.pdf"),
];
const LOCKED: &[u8] = include_bytes!("encrypted/aes-256-locked.pdf");

#[test]
fn a_file_that_anyone_may_open_is_read() {
    for sent in OPEN {
        assert_eq!(shown(sent).as_deref(), Ok("Potassium 6.8 mmol/L"));
    }
    assert_eq!(shown(LOCKED), Err(Unread::Encrypted));
    // Another cipher, or a key of another file.
    let text = String::from_utf8_lossy(OPEN[1]).into_owned();
    assert!(text.contains("/V 2") && text.contains("/P -1028"));
    let changed = |from: &[u8], to: &[u8]| {
        let at = memchr::memmem::find(OPEN[1], from).expect("it is there");
        [&OPEN[1][..at], to, &OPEN[1][at + from.len()..]].concat()
    };
    assert_eq!(shown(&changed(b"/V 2", b"/V 3")), Err(Unread::Encrypted));
    assert_eq!(shown(&changed(b"/P -1028", b"/P -1029")), Err(Unread::Encrypted));
}

#[test]
fn what_has_no_text_says_why() {
    let picture = "<</Type/XObject/Subtype/Image/Filter/DCTDecode/Length 0>>stream\n\nendstream";
    assert_eq!(shown(&page("q /X1 Do Q", &[HELVETICA, HELVETICA, picture])), Err(Unread::Pictures));
    assert_eq!(shown(&page("", &[HELVETICA])), Err(Unread::Empty));
    let objects: Vec<Vec<u8>> = [CATALOG, PAGES, PAGE].map(|o| o.as_bytes().to_vec()).to_vec();
    assert_eq!(shown(&file(&objects, "/Encrypt 9 0 R")), Err(Unread::Encrypted));
    assert_eq!(shown(&file(&objects, "")), Err(Unread::Damaged));
    assert_eq!(shown(b"%PDF-1.7 and nothing"), Err(Unread::Damaged));
}

#[test]
fn a_file_without_its_end_is_read() {
    let sent = page(CONTENT, &[HELVETICA]);
    let at = sent.windows(4).position(|w| w == b"xref").expect("a table");
    assert!(shown(&sent[..at]).is_ok());
    // The tree of pages is lost with the catalog.
    let text =
        String::from_utf8_lossy(&sent).replace("/Catalog", "/Nothing").replace("/Resources<<", "/Lost<<");
    let own =
        text.replace("/Type/Page/", "/Type/Page/Resources<</Font<</F1 5 0 R>>>>/").replace("/Root 1 0 R", "");
    assert_eq!(shown(own.as_bytes()).as_deref(), Ok("Potassium 6.8 mmol/L\nRepeat at once"));
}

/// Reads within a small budget.
fn bounded(data: &[u8]) -> Result<Found, Unread> {
    read(data, &mut Budget::small())
}

#[test]
fn a_stream_that_grows_without_end_is_not_followed() {
    let zeros = packed(&vec![0; 2 << 20]);
    let mut objects: Vec<Vec<u8>> = [CATALOG, PAGES, PAGE].map(|o| o.as_bytes().to_vec()).to_vec();
    objects.push(stream("/Filter/FlateDecode", &zeros));
    assert_eq!(bounded(&file(&objects, "")), Err(Unread::TooLarge));
    // Packed twice it is a few hundred bytes.
    *objects.last_mut().expect("a stream") = stream("/Filter[/Fl/Fl]", &packed(&zeros));
    assert_eq!(bounded(&file(&objects, "")), Err(Unread::TooLarge));
    *objects.last_mut().expect("a stream") = stream("/Filter[/Fl/Fl/Fl/Fl/Fl]", &packed(&zeros));
    assert_eq!(bounded(&file(&objects, "")), Err(Unread::Damaged));
}

#[test]
fn many_object_streams_share_one_budget() {
    let body = format!("1 0 [{}]", "0 ".repeat(90_000));
    let one = stream("/Type/ObjStm/N 1/First 4/Filter/FlateDecode", &packed(body.as_bytes()));
    let objects: Vec<Vec<u8>> = std::iter::repeat_n(one, 200).collect();
    assert_eq!(bounded(&file(&objects, "")), Err(Unread::TooLarge));
}

#[test]
fn a_map_of_all_codes_costs_what_any_other_does() {
    let font = "<</Type/Font/Subtype/Type0/Encoding/Identity-H/ToUnicode 6 0 R/DescendantFonts[<</W[0 4294967295 500]>>]>>";
    let map = String::from_utf8(stream("", b"1 beginbfrange <00000000> <ffffffff> <0041> endbfrange"))
        .expect("text");
    let sent = page("BT /F1 12 Tf <00010002> Tj ET", &[font, &map]);
    assert_eq!(bounded(&sent).map(|found| found.text.trim().to_owned()).as_deref(), Ok("BC"));
}

#[test]
fn what_leads_back_to_itself_ends() {
    let tree = "<</Type/Pages/Kids[2 0 R 3 0 R 2 0 R]/Resources 2 0 R>>";
    let form = String::from_utf8(stream("/Subtype/Form", b"/X1 Do /X1 Do (x) Tj")).expect("text");
    let mut objects: Vec<Vec<u8>> = [CATALOG, tree, PAGE].map(|o| o.as_bytes().to_vec()).to_vec();
    objects.push(b"4 0 R".to_vec());
    assert!(bounded(&file(&objects, "")).is_err());
    // Every form draws itself twice: 2 to the power of the depth, not without end.
    assert_eq!(bounded(&page("/X1 Do", &[HELVETICA, HELVETICA, &form])), Err(Unread::Empty));
    let font = "<</Type/Font/ToUnicode 5 0 R/Encoding 5 0 R/Widths 5 0 R/DescendantFonts 5 0 R>>";
    assert!(bounded(&page(CONTENT, &[font])).is_ok());
}

#[test]
fn nothing_is_read_again_and_again_for_nothing() {
    // Each would take the square of its length, were looking not paid for.
    let unended = "1 0 obj(".repeat(1 << 17);
    let nested = "1 0 obj[".repeat(1 << 17);
    let streams = "1 0 obj<<>>stream ".repeat(1 << 16);
    let blank = format!("1 0 obj<<{}", " ".repeat(1 << 19)).repeat(3);
    for sent in [unended, nested, streams, blank] {
        assert!(bounded(format!("%PDF-1.7\n{sent}").as_bytes()).is_err());
    }
    for content in [
        "(".repeat(1 << 18),
        "<".repeat(1 << 18),
        "[".repeat(1 << 18),
        "BI ".repeat(1 << 17),
        "/F1 1 Tf ".repeat(1 << 16),
        "q ".repeat(1 << 18),
    ] {
        assert!(bounded(&page(&content, &[HELVETICA])).is_err());
    }
    let large = format!("<<{}>>", "/A 0 ".repeat(9_000));
    let fonts: String = (0..5_000).map(|n| format!("/G{n} 1 Tf ")).collect();
    assert!(bounded(&page(&fonts, &[&large])).is_err());
}

#[test]
fn a_long_text_is_cut_and_says_so() {
    let content = format!("BT /F1 10 Tf {} ET", "0 -9 Td (one line of a long text) Tj ".repeat(10_000));
    let found = bounded(&page(&content, &[HELVETICA])).expect("text");
    assert!(found.cut && (10_000..1 << 17).contains(&found.text.len()));
}

#[test]
fn every_beginning_of_a_file_is_read() {
    let sent = page(CONTENT, &[HELVETICA]);
    for end in 0..sent.len() {
        let _ = bounded(&sent[..end]);
    }
}

proptest! {
    #[test]
    fn damage_is_no_more_than_damage(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut sent = page(CONTENT, &[HELVETICA]);
        for (at, byte) in changes {
            let at = at.index(sent.len());
            sent[at] = byte;
        }
        let _ = bounded(&sent);
    }

    #[test]
    fn any_content_is_read(content in "([0-9./<>()\\[\\]\\\\ -]|BT |ET |Tj |TJ |Td |Tf |Tm |/F1 |/X1 Do |cm |q |Q |BI |ID | EI |' |\" ){0,80}") {
        let _ = bounded(&page(&content, &[HELVETICA]));
    }
}
