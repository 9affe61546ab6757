//! A gateway's request as a template: text with `{to}`, `{text}` and `{id}` in it.

use url::form_urlencoded;

/// A field of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// The number, `+` and digits.
    To,
    /// The text.
    Text,
    /// The notification's id.
    Id,
}

/// What the fields hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'f> {
    pub(crate) to: &'f str,
    pub(crate) text: &'f str,
    pub(crate) id: &'f str,
}

/// How a field is written so that it stays one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Inside a JSON string (RFC 8259, section 7).
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Percent-encoded, for a URL.
    Percent,
    /// As it is.
    Plain,
}

/// A template, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    Field(Field),
}

impl Template {
    /// Reads a template. Braces around anything but a word are literal, as JSON has them; a word that is no field is
    /// the error.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            literal.push_str(before);
            let word = after[1..].split_once('}').map(|(word, _)| word).filter(|word| is_word(word));
            let Some(word) = word else {
                literal.push('{');
                rest = &after[1..];
                continue;
            };
            let field = match word {
                "to" => Field::To,
                "text" => Field::Text,
                "id" => Field::Id,
                _ => return Err(word.to_owned()),
            };
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            pieces.push(Piece::Field(field));
            rest = &after[word.len() + 2..];
        }
        literal.push_str(rest);
        pieces.push(Piece::Literal(literal));
        Ok(Self(pieces))
    }

    pub(crate) fn has(&self, field: Field) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Field(own) if *own == field))
    }

    pub(crate) fn fill(&self, fields: Fields<'_>, escape: Escape) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Field(Field::To) => out.push_str(&escape.write(fields.to)),
                Piece::Field(Field::Text) => out.push_str(&escape.write(fields.text)),
                Piece::Field(Field::Id) => out.push_str(&escape.write(fields.id)),
            }
        }
        out
    }
}

impl Escape {
    fn write(self, text: &str) -> String {
        let form = || form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        match self {
            Self::Plain => text.to_owned(),
            Self::Form => form(),
            // A space is `+` in forms only; a plus of the text is `%2B` by now.
            Self::Percent => form().replace('+', "%20"),
            Self::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIELDS: Fields<'_> = Fields { to: "+4520123456", text: "a \"b\" & c+d", id: "7" };

    fn fill(template: &str, escape: Escape) -> String {
        Template::parse(template).unwrap().fill(FIELDS, escape)
    }

    #[test]
    fn fields_are_written_as_their_place_needs_it() {
        assert_eq!(
            fill(r#"{"to": "{to}", "body": {"text": "{text}"}}"#, Escape::Json),
            r#"{"to": "+4520123456", "body": {"text": "a \"b\" & c+d"}}"#
        );
        assert_eq!(fill("To={to}&Body={text}", Escape::Form), "To=%2B4520123456&Body=a+%22b%22+%26+c%2Bd");
        assert_eq!(fill("/{to}?t={text}", Escape::Percent), "/%2B4520123456?t=a%20%22b%22%20%26%20c%2Bd");
        assert_eq!(fill("{id}: {text}", Escape::Plain), "7: a \"b\" & c+d");
    }

    #[test]
    fn braces_around_no_word_are_literal_and_an_unknown_word_is_refused() {
        assert_eq!(fill("{} { to } {{to}} {", Escape::Plain), "{} { to } {+4520123456} {");
        assert_eq!(Template::parse("{txt}").unwrap_err(), "txt");
        let template = Template::parse("{to}").unwrap();
        assert!(template.has(Field::To) && !template.has(Field::Text) && !template.has(Field::Id));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_text_leaves_its_field(text in any::<String>()) {
            let fields = Fields { text: &text, ..FIELDS };
            let json = Template::parse(r#"{"a": "{text}", "b": 1}"#).unwrap().fill(fields, Escape::Json);
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(json.as_object().map(serde_json::Map::len), Some(2));
            prop_assert_eq!(json["a"].as_str(), Some(text.as_str()));
            let form = Template::parse("a={text}&b=1").unwrap().fill(fields, Escape::Form);
            let pairs: Vec<(String, String)> =
                form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            prop_assert_eq!(pairs, [("a".to_owned(), text.clone()), ("b".to_owned(), "1".to_owned())]);
        }

        #[test]
        fn no_template_panics(text in any::<String>()) {
            if let Ok(template) = Template::parse(&text) {
                template.fill(FIELDS, Escape::Plain);
            }
        }
    }
}
