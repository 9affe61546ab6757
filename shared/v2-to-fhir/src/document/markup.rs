//! Text out of markup: HTML, XML, and documents of the HL7 Clinical Document Architecture (CDA R2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::extract::{self, Found, Unread};
use crate::primitive;

/// What of a CDA document people read: its title, and the title and text of each section, or the document that is in it
/// in place of sections (CDA R2, section 4.3.1). Names, addresses and codes are in its header and entries. `None` for
/// what is no such document.
pub(super) fn clinical_document(text: &str, depth: usize) -> Option<Result<Found, Unread>> {
    let options = roxmltree::ParsingOptions { nodes_limit: NODES, ..roxmltree::ParsingOptions::default() };
    let document = roxmltree::Document::parse_with_options(text, options).ok()?;
    let root = document.root_element();
    if root.tag_name().name() != "ClinicalDocument" {
        return None;
    }
    let inner = |node: roxmltree::Node<'_, '_>| self::text(&text[node.range()]);
    let mut out = named(root, "title").map(inner).unwrap_or_default();
    let mut cut = false;
    for node in root.descendants() {
        match node.tag_name().name() {
            "section" => {
                for part in [named(node, "title"), named(node, "text")].into_iter().flatten() {
                    out.push_str(if part.tag_name().name() == "title" { "\n\n" } else { "\n" });
                    out.push_str(inner(part).trim());
                }
            }
            "nonXMLBody" => {
                let Some(body) = named(node, "text") else { continue };
                let found = match body.attribute("representation") {
                    Some("B64") => embedded(body, depth),
                    _ => Ok(Found { text: inner(body), cut: false }),
                };
                match found {
                    Ok(found) => {
                        out.push('\n');
                        out.push_str(&found.text);
                        cut |= found.cut;
                    }
                    Err(unread) => return Some(Err(unread)),
                }
            }
            _ => {}
        }
    }
    Some(Ok(Found { text: out, cut }))
}

fn named<'n, 'i>(node: roxmltree::Node<'n, 'i>, name: &str) -> Option<roxmltree::Node<'n, 'i>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

/// Elements and texts of one document; more is no letter to be read.
const NODES: u32 = 1_000_000;

/// A document within a document.
fn embedded(body: roxmltree::Node<'_, '_>, depth: usize) -> Result<Found, Unread> {
    let data = primitive::base64(body.text().unwrap_or_default()).and_then(|data| STANDARD.decode(data).ok());
    let kind = body.attribute("mediaType").unwrap_or("text/plain");
    extract::within(kind, &data.ok_or(Unread::Damaged)?, depth)
}

/// Elements that begin a line.
const BLOCKS: [&str; 21] = [
    "p",
    "div",
    "br",
    "tr",
    "li",
    "ul",
    "ol",
    "table",
    "title",
    "section",
    "text",
    "paragraph",
    "item",
    "list",
    "caption",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
];

/// What of markup is text: character data, with a line for each block. Does not mind markup that is not well formed.
pub(super) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() / 2);
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        words(&rest[..at], &mut out);
        rest = &rest[at..];
        let end = |close: &str| rest.find(close).map_or(rest.len(), |at| at + close.len());
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let length = data.find("]]>").unwrap_or(data.len());
            out.push_str(&data[..length]);
            rest = &rest[end("]]>")..];
            continue;
        }
        if rest.starts_with("<!--") {
            rest = &rest[end("-->")..];
            continue;
        }
        let tag = &rest[..end(">")];
        let name = tag.trim_start_matches(['<', '/']);
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != ':').unwrap_or(name.len())];
        // A prefix says whose element it is.
        let name = name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
        rest = &rest[tag.len()..];
        if matches!(name.as_str(), "script" | "style") && tag.starts_with('<') && !tag.starts_with("</") {
            rest = rest.find("</").map_or("", |at| &rest[at..]);
        } else if BLOCKS.contains(&name.as_str()) {
            out.push('\n');
        } else if matches!(name.as_str(), "td" | "th") && !tag.starts_with("</") && !out.ends_with('\n') {
            out.push('\t');
        }
    }
    words(rest, &mut out);
    out
}

/// Character data: runs of white space are one blank, entities are what they stand for.
fn words(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            if !out.ends_with(char::is_whitespace) {
                out.push(' ');
            }
            rest = rest.trim_start();
            continue;
        }
        if c == '&'
            && let Some((name, after)) = rest[1..].split_once(';')
            && name.len() <= 8
            && let Some(meant) = entity(name)
        {
            out.push(meant);
            rest = after;
            continue;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sent: &str) -> Option<String> {
        extract::text("text/xml", sent.as_bytes()).ok().map(|found| found.text)
    }

    #[test]
    fn html_becomes_text() {
        let sent = "<html><style>p{}</style><p>Chest &amp; abdomen</p><!-- x --><p>clear&#46;</p><table><tr><td>K</td><td>5.1</td></tr></table>";
        let found = extract::text("text/html", sent.as_bytes()).expect("text");
        assert_eq!(found.text, "Chest & abdomen\n\nclear.\n\nK\t5.1");
    }

    #[test]
    fn of_a_clinical_document_the_sections_are_read() {
        let sent = r#"<?xml version="1.0"?><cda:ClinicalDocument xmlns:cda="urn:hl7-org:v3"><cda:id root="1.2.3"/>
            <cda:title>Discharge</cda:title><cda:recordTarget><cda:name><cda:family>Testperson</cda:family></cda:name></cda:recordTarget>
            <cda:component><cda:structuredBody><cda:component><cda:section><cda:code code="8648-8"/><cda:title>Course</cda:title>
            <cda:text><cda:paragraph>Home.</cda:paragraph><cda:list><cda:item>Rest &amp; fluids</cda:item></cda:list></cda:text>
            <cda:entry><cda:observation><cda:value>7</cda:value></cda:observation></cda:entry></cda:section></cda:component>
            </cda:structuredBody></cda:component></cda:ClinicalDocument>"#;
        assert_eq!(read(sent).as_deref(), Some("Discharge\n\nCourse\nHome.\n\nRest & fluids"));
    }

    #[test]
    fn a_document_in_place_of_sections_is_read() {
        let body = |kind: &str, data: &[u8]| {
            format!(
                "<ClinicalDocument xmlns='urn:hl7-org:v3'><title>Letter</title><component><nonXMLBody><text mediaType='{kind}' representation='B64'>{}</text></nonXMLBody></component></ClinicalDocument>",
                STANDARD.encode(data)
            )
        };
        assert_eq!(
            read(&body("application/rtf", br"{\rtf1 Large effusion.}")).as_deref(),
            Some("Letter\n\nLarge effusion.")
        );
        let outcome = |sent: &str| extract::text("text/xml", sent.as_bytes()).map(|found| found.text);
        assert_eq!(outcome(&body("image/tiff", b"II*")), Err(Unread::Kind));
        let mut nested = body("text/plain", b"deep");
        for _ in 0..4 {
            nested = body("text/xml", nested.as_bytes());
        }
        assert_eq!(outcome(&nested), Err(Unread::TooLarge));
    }

    #[test]
    fn other_xml_is_read_as_it_stands() {
        assert_eq!(
            read("<?xml version=\"1.0\"?><report><p>Clear</p> lungs").as_deref(),
            Some("Clear\nlungs")
        );
        let deep = format!("<?xml version=\"1.0\"?>{}end", "<p>".repeat(50_000));
        assert_eq!(read(&deep).as_deref(), Some("end"));
        let closed = format!(
            "<ClinicalDocument>{}{}</ClinicalDocument>",
            "<section>".repeat(30_000),
            "</section>".repeat(30_000)
        );
        assert_eq!(read(&closed), None);
        // An entity that stands for itself many times over is not followed.
        let bomb = "<!DOCTYPE a [<!ENTITY b 'xx'><!ENTITY c '&b;&b;'>]><ClinicalDocument><title>&c;</title></ClinicalDocument>";
        assert!(read(bomb).is_some());
    }
}
