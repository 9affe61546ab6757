//! Texts made to take long, of about a given size each.

/// What a shape is for, and its text.
pub(crate) type Shape = (&'static str, String);

/// As many copies as fit, each with its number, joined by commas.
fn many(size: usize, item: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    let mut number = 0;
    while text.len() < size {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&item(number));
        number += 1;
    }
    text
}

fn basic(members: &str) -> String {
    format!(r#"{{"resourceType":"Basic","code":{{"text":"x"}},{members}}}"#)
}

fn bundle(kind: &str, entries: &str) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entries}]}}"#)
}

/// The inner text within as many outer ones.
fn nested(depth: usize, inner: &str, open: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

const URL: &str = "urn:uuid:00000000-0000-4000-8000-";
const HL7: &str = "http://hl7.org/fhir/StructureDefinition";

pub(crate) fn all(size: usize) -> Vec<Shape> {
    let coding = |system: &str| many(size, |n| format!(r#"{{"system":"{system}","code":"C{n}"}}"#));
    let entry = |n: usize, reference: usize| {
        format!(
            r#"{{"fullUrl":"{URL}{n:012}","resource":{{"resourceType":"Basic","code":{{"text":"x"}},
            "subject":{{"reference":"{URL}{reference:012}"}}}}}}"#
        )
    };
    let links = |n: usize| format!(r#"{{"linkId":"{n}","type":"string"}}"#);
    let div = |content: String| {
        basic(&format!(
            r#""text":{{"status":"generated","div":"<div xmlns='http://www.w3.org/1999/xhtml'>{content}</div>"}}"#
        ))
    };
    let line = many(size, |_| {
        format!(r#"{{"extension":[{{"url":"{HL7}/iso21090-ADXP-streetName","valueString":"x"}}]}}"#)
    });
    vec![
        (
            "many names",
            format!(
                r#"{{"resourceType":"Patient","name":[{}]}}"#,
                many(size, |n| format!(r#"{{"family":"F{n}"}}"#))
            ),
        ),
        ("many names on one line without sense", basic(&many(size, |n| format!(r#""n{n}":1"#)))),
        ("names in escapes", basic(&many(size, |n| format!("\"\\u006e{n}\":1")))),
        ("one name again and again", basic(&many(size, |_| r#""language":"en""#.to_owned()))),
        (
            "many warnings",
            basic(&format!(
                r#""subject":{{"display":"x"}},"identifier":[{}]"#,
                many(size, |_| r#"{"type":{"coding":[{"code":"x"}]}}"#.to_owned())
            )),
        ),
        (
            "codes that are none",
            basic(&format!(
                r#""identifier":[{{"type":{{"coding":[{}]}}}}]"#,
                coding("http://terminology.hl7.org/CodeSystem/v3-ActCode")
            )),
        ),
        (
            "codes of an unknown system",
            basic(&format!(r#""identifier":[{{"type":{{"coding":[{}]}}}}]"#, coding("http://example.org"))),
        ),
        (
            "extensions of nobody",
            basic(&format!(
                r#""extension":[{}]"#,
                many(size, |n| format!(r#"{{"url":"{HL7}/patient-e{n}","valueString":"x"}}"#))
            )),
        ),
        (
            "extensions within an address",
            format!(r#"{{"resourceType":"Patient","address":[{{"_line":[{line}]}}]}}"#),
        ),
        ("extensions deep down", {
            let part = format!(r#"{{"name":"x","valueAddress":{{"_line":[{line}]}}}}"#);
            let parameters = nested(40, &part, r#"{"name":"x","part":["#, "]}");
            format!(r#"{{"resourceType":"Parameters","parameter":[{parameters}]}}"#)
        }),
        ("references to one contained resource", {
            let list = many(size, |_| r##"{"reference":"#a"}"##.to_owned());
            format!(
                r#"{{"resourceType":"Patient","generalPractitioner":[{list}],"contained":[{{"resourceType":"Practitioner","id":"a"}}]}}"#
            )
        }),
        ("references to many contained resources", {
            let list = many(size / 2, |n| format!(r##"{{"reference":"#a{n}"}}"##));
            let contained = many(size / 2, |n| format!(r#"{{"resourceType":"Practitioner","id":"a{n}"}}"#));
            format!(
                r#"{{"resourceType":"Patient","generalPractitioner":[{list}],"contained":[{contained}]}}"#
            )
        }),
        ("entries in a chain", bundle("message", &many(size, |n| entry(n, n.saturating_sub(1))))),
        ("entries that all refer to the first", bundle("document", &many(size, |n| entry(n, 0)))),
        ("references that lead nowhere", bundle("collection", &many(size, |n| entry(n, n + 1_000_000)))),
        ("entries with the same URL", bundle("collection", &many(size, |_| entry(1, 1)))),
        ("Bundles in Bundles", {
            let inner = bundle("message", &many(size, |n| entry(n, 0)));
            nested(30, &inner, r#"{"resourceType":"Bundle","type":"message","entry":[{"resource":"#, "}]}")
        }),
        (
            "items of a questionnaire",
            format!(r#"{{"resourceType":"Questionnaire","status":"draft","item":[{}]}}"#, many(size, links)),
        ),
        ("items within items", {
            let inner = many(size, links);
            let items = nested(40, &inner, r#"{"linkId":"g","type":"group","item":["#, "]}");
            format!(r#"{{"resourceType":"Questionnaire","status":"draft","item":[{items}]}}"#)
        }),
        ("concepts within concepts", {
            let inner = many(size, |n| format!(r#"{{"code":"{n}"}}"#));
            let concepts = nested(40, &inner, r#"{"code":"g","concept":["#, "]}");
            format!(
                r#"{{"resourceType":"CodeSystem","status":"draft","content":"complete","concept":[{concepts}]}}"#
            )
        }),
        ("elements of a definition", {
            let elements = many(size / 2, |n| format!(r#"{{"id":"A.e{n}","path":"A.e{n}"}}"#));
            format!(
                r#"{{"resourceType":"StructureDefinition","kind":"resource","type":"A","differential":{{"element":[{elements}]}},"snapshot":{{"element":[{elements}]}}}}"#
            )
        }),
        ("components of an Observation", {
            let codes = many(size / 2, |n| format!(r#"{{"code":"c{n}"}}"#));
            format!(
                r#"{{"resourceType":"Observation","status":"final","valueString":"x","code":{{"coding":[{codes},{{"code":"x"}}]}},"component":[{{"code":{{"coding":[{codes},{{"code":"y"}}]}}}}]}}"#
            )
        }),
        (
            "elements with ids",
            format!(
                r#"{{"resourceType":"Patient","name":[{}]}}"#,
                many(size, |n| format!(r#"{{"id":"i{n}","text":"x"}}"#))
            ),
        ),
        ("extensions within extensions", {
            let inner = many(size, |_| r#"{"url":"http://a.b","valueString":"x"}"#.to_owned());
            basic(&format!(
                r#""extension":[{}]"#,
                nested(45, &inner, r#"{"url":"http://a.b","extension":["#, "]}")
            ))
        }),
        ("a narrative of tags", div("<b>x</b>".repeat(size / 8))),
        ("a narrative of attributes", div("<b class='x' id='y' lang='de'>x</b>".repeat(size / 35))),
        ("a narrative of references", div("&amp;".repeat(size / 5))),
        ("a narrative of comments", div("<!-- - -->".repeat(size / 10))),
        (
            "a unit",
            basic(&format!(
                r#""extension":[{{"url":"http://a.b","valueQuantity":{{"value":1,"system":"http://unitsofmeasure.org","code":"{}"}}}}]"#,
                "m.".repeat(size / 2)
            )),
        ),
        (
            "a unit without end",
            basic(&format!(
                r#""extension":[{{"url":"http://a.b","valueQuantity":{{"value":1,"system":"http://unitsofmeasure.org","code":"{}"}}}}]"#,
                "m".repeat(size)
            )),
        ),
        (
            "a long number",
            basic(&format!(r#""extension":[{{"url":"http://a.b","valueDecimal":0.{}}}]"#, "1".repeat(size))),
        ),
        (
            "attachments",
            format!(
                r#"{{"resourceType":"Binary","contentType":"text/plain","data":"{}"}}"#,
                "QUJD".repeat(size / 4)
            ),
        ),
        (
            "an expression",
            format!(
                r#"{{"resourceType":"SearchParameter","expression":"a{}"}}"#,
                " or (a.b)".repeat(size / 9)
            ),
        ),
        ("parts of parts", {
            let inner = many(size, |_| r#"{"name":"x","valueString":"x"}"#.to_owned());
            format!(
                r#"{{"resourceType":"Parameters","parameter":[{}]}}"#,
                nested(45, &inner, r#"{"name":"x","part":["#, "]}")
            )
        }),
        ("lists of lists", nested(99, "1", "[", "]").repeat(size / 200)),
        ("white space", format!("{}{}", " ".repeat(size), basic(r#""language":"en""#))),
    ]
}
