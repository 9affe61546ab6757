//! Functions of texts (FHIRPath 2.0.0, 5.6).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::Stop;
use super::ast::Function;
use super::collections::Arguments;
use super::eval::{Evaluated, single};
use super::item::Item;
use super::parser::regex;

pub(super) fn call<'t>(arguments: &Arguments<'_, '_, 't>, input: &[Item<'t>]) -> Evaluated<'t> {
    if arguments.call.function == Function::Join {
        return join(arguments, input);
    }
    let Some(item) = single(input)? else { return Ok(Vec::new()) };
    let text = item.as_text().ok_or(Stop::Type)?;
    // Every function here is linear in the text.
    arguments.evaluator.budget.take(text.len() / 16)?;
    let one = |item: Option<Item<'t>>| Ok(item.into_iter().collect());
    match arguments.call.function {
        Function::Upper => return one(Some(Item::text(text.to_uppercase()))),
        Function::Lower => return one(Some(Item::text(text.to_lowercase()))),
        Function::Trim => return one(Some(Item::text(text.trim().to_owned()))),
        Function::Length => return one(Some(Item::integer(text.chars().count()))),
        Function::ToChars => {
            arguments.evaluator.budget.take(text.len())?;
            return Ok(text.chars().map(|character| Item::text(character.to_string())).collect());
        }
        Function::Substring => return substring(arguments, &text),
        _ => {}
    }
    let Some(first) = arguments.text(0)? else { return Ok(Vec::new()) };
    one(match arguments.call.function {
        Function::StartsWith => Some(Item::bool(text.starts_with(&*first))),
        Function::EndsWith => Some(Item::bool(text.ends_with(&*first))),
        Function::Contains => Some(Item::bool(text.contains(&*first))),
        Function::IndexOf => Some(place(&text, text.find(&*first))),
        Function::LastIndexOf => Some(place(&text, text.rfind(&*first))),
        Function::Matches | Function::MatchesFull => {
            let full = arguments.call.function == Function::MatchesFull;
            Some(Item::bool(match &arguments.call.regex {
                Some(compiled) => compiled.is_match(&text),
                None => {
                    arguments.evaluator.budget.take(first.len() * 16)?;
                    regex(&first, full).ok_or(Stop::Type)?.is_match(&text)
                }
            }))
        }
        Function::Replace | Function::ReplaceMatches => {
            let Some(second) = arguments.text(1)? else { return Ok(Vec::new()) };
            arguments.evaluator.budget.take(text.len() * second.len().min(1024) / 64)?;
            Some(Item::text(replace(arguments, &text, &first, &second)?))
        }
        Function::Split => {
            let parts: Vec<_> = text.split(&*first).map(|part| Item::text(part.to_owned())).collect();
            arguments.evaluator.budget.take(parts.len())?;
            return Ok(parts);
        }
        Function::Encode => encode(&text, &first).map(Item::text),
        Function::Decode => decode(&text, &first).map(Item::text),
        Function::Escape => escape(&text, &first).map(Item::text),
        Function::Unescape => unescape(&text, &first).map(Item::text),
        _ => return Err(Stop::Type),
    })
}

fn join<'t>(arguments: &Arguments<'_, '_, 't>, input: &[Item<'t>]) -> Evaluated<'t> {
    let separator =
        if arguments.call.arguments.is_empty() { None } else { arguments.text(0)? }.unwrap_or_default();
    let texts: Option<Vec<_>> = input.iter().map(Item::as_text).collect();
    let texts = texts.ok_or(Stop::Type)?;
    arguments
        .evaluator
        .budget
        .take(texts.iter().map(|text| text.len() + separator.len()).sum::<usize>() / 16)?;
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Item::text(texts.join(&*separator))])
}

/// A byte offset as a number of characters.
fn place<'t>(text: &str, at: Option<usize>) -> Item<'t> {
    match at.and_then(|at| text.get(..at)) {
        Some(before) => Item::integer(before.chars().count()),
        None => Item::System(super::item::System::Integer(-1)),
    }
}

fn substring<'t>(arguments: &Arguments<'_, '_, 't>, text: &str) -> Evaluated<'t> {
    let Some(start) = arguments.integer(0)? else { return Ok(Vec::new()) };
    let Ok(start) = usize::try_from(start) else { return Ok(Vec::new()) };
    let length = if arguments.call.arguments.len() > 1 { arguments.integer(1)? } else { None };
    let mut characters = text.chars().skip(start).peekable();
    if characters.peek().is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![Item::text(match length {
        Some(length) => characters.take(usize::try_from(length).unwrap_or(0)).collect::<String>(),
        None => characters.collect(),
    })])
}

fn replace(arguments: &Arguments<'_, '_, '_>, text: &str, pattern: &str, with: &str) -> Result<String, Stop> {
    if arguments.call.function == Function::Replace {
        return Ok(text.replace(pattern, with));
    }
    if pattern.is_empty() {
        return Ok(text.to_owned());
    }
    Ok(match &arguments.call.regex {
        Some(compiled) => compiled.replace_all(text, with).into_owned(),
        None => regex(pattern, false).ok_or(Stop::Type)?.replace_all(text, with).into_owned(),
    })
}

fn encode(text: &str, format: &str) -> Option<String> {
    match format {
        "hex" => Some(text.bytes().map(|byte| format!("{byte:02x}")).collect()),
        "base64" => Some(STANDARD.encode(text)),
        "urlbase64" => Some(URL_SAFE.encode(text)),
        _ => None,
    }
}

fn decode(text: &str, format: &str) -> Option<String> {
    let bytes = match format {
        "hex" => {
            let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
            digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<Vec<u8>>>()?
        }
        "base64" => STANDARD.decode(text).ok()?,
        "urlbase64" => URL_SAFE.decode(text).ok()?,
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

/// Characters of HTML that are written as entities.
const ENTITIES: [(&str, &str); 5] =
    [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];

fn escape(text: &str, format: &str) -> Option<String> {
    match format {
        "html" => Some(
            ENTITIES
                .iter()
                .fold(text.to_owned(), |text, (character, entity)| text.replace(character, entity)),
        ),
        "json" => {
            let quoted = serde_json::Value::String(text.to_owned()).to_string();
            quoted.get(1..quoted.len() - 1).map(str::to_owned)
        }
        _ => None,
    }
}

fn unescape(text: &str, format: &str) -> Option<String> {
    match format {
        "html" => {
            let entities = ENTITIES.iter().rev();
            Some(entities.fold(text.to_owned(), |text, (character, entity)| text.replace(entity, character)))
        }
        // A quote may stand without its backslash, since the expression's own quotes are others.
        "json" => {
            let quoted = text.replace("\\\"", "\"").replace('"', "\\\"");
            serde_json::from_str(&format!("\"{quoted}\"")).ok()
        }
        _ => None,
    }
}
