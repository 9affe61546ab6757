//! XHTML of `Narrative.div` (FHIR R4, 2.4.0; rules txt-1 and txt-2).

use std::borrow::Cow;

/// Why a narrative is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    NotDiv,
    Namespace,
    Form,
    Element,
    Attribute,
    Declaration,
    Entity,
    Blank,
    TooDeep,
}

impl Reason {
    pub(crate) const fn rule(self) -> &'static str {
        if matches!(self, Self::Blank) { "txt-2" } else { "txt-1" }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::NotDiv => "The narrative is one <div> element with everything inside it",
            Self::Namespace => "The <div> of the narrative states xmlns=\"http://www.w3.org/1999/xhtml\"",
            Self::Form => {
                "The narrative is well-formed XHTML: tags are closed in order, attribute values are quoted, < and & \
                 are escaped"
            }
            Self::Element => {
                "The narrative has only formatting elements: no script, form, object, style, head or the like"
            }
            Self::Attribute => "The narrative has an attribute that is not allowed, such as an event handler",
            Self::Declaration => {
                "The narrative has no XML declaration, DOCTYPE, CDATA or processing instruction"
            }
            Self::Entity => "The narrative has an & that does not start a character reference",
            Self::Blank => "The narrative has a text or an image",
            Self::TooDeep => "The narrative nests more than 100 elements",
        }
    }
}

/// Sorted.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "dir",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
];

/// Sorted.
const ATTRIBUTES: &[&str] = &[
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellhalign",
    "cellpadding",
    "cellspacing",
    "cellvalign",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "clear",
    "color",
    "colspan",
    "compact",
    "coords",
    "datetime",
    "dir",
    "face",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "ismap",
    "lang",
    "longdesc",
    "name",
    "noshade",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "size",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "usemap",
    "valign",
    "value",
    "vspace",
    "width",
    "xml:id",
    "xml:lang",
    "xml:space",
    "xmlns",
];

const MAX_DEPTH: usize = 100;

/// Checks the content of a `div`; never recurses.
pub(crate) fn check(text: &str) -> Result<(), Reason> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.trim_start();
    let mut substance = false;
    let mut closed = false;
    while !rest.is_empty() {
        let Some(markup) = rest.strip_prefix('<') else {
            let length = rest.find('<').unwrap_or(rest.len());
            let (content, after) = rest.split_at_checked(length).ok_or(Reason::Form)?;
            if open.is_empty() && !content.trim().is_empty() {
                return Err(Reason::NotDiv);
            }
            // A character reference counts as content unless it is a space.
            substance |= !decode(content)?.trim().is_empty();
            rest = after;
            continue;
        };
        if let Some(comment) = markup.strip_prefix("!--") {
            rest = comment.split_once("-->").ok_or(Reason::Form)?.1;
        } else if markup.starts_with(['!', '?']) {
            return Err(Reason::Declaration);
        } else if let Some(end) = markup.strip_prefix('/') {
            let (name, after) = end.split_once('>').ok_or(Reason::Form)?;
            if open.pop() != Some(name.trim_end()) {
                return Err(Reason::Form);
            }
            closed |= open.is_empty();
            rest = after;
        } else {
            if closed {
                return Err(Reason::NotDiv);
            }
            let tag = start_tag(markup, open.is_empty())?;
            substance |= tag.name == "img";
            if tag.empty {
                closed |= open.is_empty();
            } else if open.len() >= MAX_DEPTH {
                return Err(Reason::TooDeep);
            } else {
                open.push(tag.name);
            }
            rest = tag.rest;
        }
    }
    if !open.is_empty() {
        return Err(Reason::Form);
    }
    if !closed {
        return Err(Reason::NotDiv);
    }
    if substance { Ok(()) } else { Err(Reason::Blank) }
}

struct Tag<'t> {
    name: &'t str,
    empty: bool,
    rest: &'t str,
}

fn name_length(text: &str) -> usize {
    let is_name =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, ':' | '-' | '_' | '.');
    text.find(|character: char| !is_name(character)).unwrap_or(text.len())
}

fn start_tag(markup: &str, is_root: bool) -> Result<Tag<'_>, Reason> {
    let (name, mut rest) = markup.split_at_checked(name_length(markup)).ok_or(Reason::Form)?;
    if name.is_empty() {
        return Err(Reason::Form);
    }
    if is_root && name != "div" {
        return Err(Reason::NotDiv);
    }
    if ELEMENTS.binary_search(&name).is_err() {
        return Err(Reason::Element);
    }
    let mut names: Vec<&str> = Vec::new();
    let mut namespace = false;
    loop {
        let trimmed = rest.trim_start();
        let spaced = trimmed.len() < rest.len();
        if let Some(after) = trimmed.strip_prefix("/>") {
            return finish(name, true, after, is_root, namespace);
        }
        if let Some(after) = trimmed.strip_prefix('>') {
            return finish(name, false, after, is_root, namespace);
        }
        let (attribute, after) = trimmed.split_at_checked(name_length(trimmed)).ok_or(Reason::Form)?;
        if attribute.is_empty() || !spaced || names.contains(&attribute) {
            return Err(Reason::Form);
        }
        let after = after.trim_start().strip_prefix('=').ok_or(Reason::Form)?.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\'')).ok_or(Reason::Form)?;
        let (value, after) = after.get(1..).and_then(|text| text.split_once(quote)).ok_or(Reason::Form)?;
        if value.contains('<') {
            return Err(Reason::Form);
        }
        attribute_allowed(attribute, &decode(value)?)?;
        namespace |= attribute == "xmlns";
        names.push(attribute);
        rest = after;
    }
}

fn finish<'t>(
    name: &'t str,
    empty: bool,
    rest: &'t str,
    root: bool,
    namespace: bool,
) -> Result<Tag<'t>, Reason> {
    if root && !namespace { Err(Reason::Namespace) } else { Ok(Tag { name, empty, rest }) }
}

fn attribute_allowed(attribute: &str, value: &str) -> Result<(), Reason> {
    if attribute == "xmlns" {
        return if value == "http://www.w3.org/1999/xhtml" { Ok(()) } else { Err(Reason::Namespace) };
    }
    if ATTRIBUTES.binary_search(&attribute).is_err() {
        return Err(Reason::Attribute);
    }
    if !matches!(attribute, "href" | "src" | "longdesc" | "cite" | "usemap") {
        return Ok(());
    }
    // A URL that runs code, however it is spaced, capitalised or escaped.
    let address: String =
        value.chars().filter(|character| !character.is_whitespace() && !character.is_control()).collect();
    let address = address.to_ascii_lowercase();
    let runs = ["javascript:", "vbscript:"].iter().any(|scheme| address.starts_with(scheme));
    if runs { Err(Reason::Attribute) } else { Ok(()) }
}

/// The text with its references replaced: every `&` starts `&name;`, `&#10;` or `&#xA;`. Of the names only those that a check asks for are
/// known; the others stand for one visible character each.
fn decode(text: &str) -> Result<Cow<'_, str>, Reason> {
    if !text.contains('&') {
        return Ok(Cow::Borrowed(text));
    }
    let mut pieces = text.split('&');
    let mut decoded = pieces.next().unwrap_or("").to_owned();
    for piece in pieces {
        let (name, after) = piece.split_once(';').ok_or(Reason::Entity)?;
        decoded.push(reference(name).ok_or(Reason::Entity)?);
        decoded.push_str(after);
    }
    Ok(Cow::Owned(decoded))
}

/// The character of a reference, given without `&` and `;`.
fn reference(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        let form = (2..=8).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let named = match name {
            "nbsp" | "ensp" | "emsp" | "thinsp" => ' ',
            _ => char::REPLACEMENT_CHARACTER,
        };
        return form.then_some(named);
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
    // A sign would be read as part of the number.
    let scalar =
        digits.chars().all(|digit| digit.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok())?;
    // `Char` of XML 1.0, section 2.2.
    char::from_u32(scalar?).filter(|&character| {
        matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn div(content: &str) -> Result<(), Reason> {
        check(&format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{content}</div>"))
    }

    #[test]
    fn lists_are_sorted() {
        assert!(ELEMENTS.is_sorted() && ATTRIBUTES.is_sorted());
    }

    #[test]
    fn takes_formatting() {
        for content in [
            "a",
            "<p>a &amp; b &lt; c &#233; &nbsp;</p>",
            "<table border='1'><tr><td colspan=\"2\">x</td></tr></table><br/><!-- note -->",
            "<img src=\"#i\" alt=\"x\"/>",
            "<a href=\"http://example.org/?a=1&amp;b=2\">x</a>",
        ] {
            assert_eq!(div(content), Ok(()), "{content}");
        }
        assert_eq!(check(" <div xmlns='http://www.w3.org/1999/xhtml' >x</div> "), Ok(()));
    }

    #[test]
    fn refuses_the_rest() {
        for (content, reason) in [
            ("", Reason::Blank),
            ("<p> &nbsp; </p>", Reason::Blank),
            ("<script>x</script>", Reason::Element),
            ("<form>x</form>", Reason::Element),
            ("<P>x</P>", Reason::Element),
            ("<p onclick=\"x()\">x</p>", Reason::Attribute),
            ("<a href=\" java\nscript:x\">x</a>", Reason::Attribute),
            ("<a href=\"java&#115;cript&#x3A;x\">x</a>", Reason::Attribute),
            ("<p>&#xA0;&emsp;</p>", Reason::Blank),
            ("a &#+65; b", Reason::Entity),
            ("a &#1; b", Reason::Entity),
            ("a &#; b", Reason::Entity),
            ("<p>x", Reason::Form),
            ("<b><i>x</b></i>", Reason::Form),
            ("<p a=b>x</p>", Reason::Form),
            ("<p class=\"a\" class=\"b\">x</p>", Reason::Form),
            ("a & b", Reason::Entity),
            ("a &unknown b", Reason::Entity),
            ("<![CDATA[x]]>", Reason::Declaration),
            ("<?php x ?>", Reason::Declaration),
        ] {
            assert_eq!(div(content), Err(reason), "{content}");
        }
        assert_eq!(check("x"), Err(Reason::NotDiv));
        assert_eq!(check("<p>x</p>"), Err(Reason::NotDiv));
        assert_eq!(check("<div>x</div>"), Err(Reason::Namespace));
        assert_eq!(check("<div xmlns=\"http://example.org\">x</div>"), Err(Reason::Namespace));
        let two = "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>".repeat(2);
        assert_eq!(check(&two), Err(Reason::NotDiv));
        assert_eq!(div(&"<b>".repeat(MAX_DEPTH)), Err(Reason::TooDeep));
    }
}
