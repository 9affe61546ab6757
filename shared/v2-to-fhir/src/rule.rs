//! Rows of the maps: what is read, where it goes, by which data-type map, when, and what stands beside it.

use serde_json::{Map, Value, json};

use crate::code_system;
use crate::condition::Condition;
use crate::element::Path;
use crate::function::Function;
use crate::primitive::Primitive;

/// `PID-3.4`, `CX.4.2`, `PID`: a segment or data type and numbers into it, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) of: String,
    /// Written with a hyphen: a field of a segment, wherever the row stands.
    pub(crate) field: bool,
    pub(crate) numbers: Vec<usize>,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let end = text.find(['-', '.']).unwrap_or(text.len());
        let of = &text[..end];
        if of.is_empty() || !of.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            return Err(format!("bad source {text:?}"));
        }
        let numbers = text[end..]
            .split(['-', '.'])
            .skip(1)
            .map(|n| n.parse::<usize>().ok().filter(|n| (1..=200).contains(n)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| format!("bad source {text:?}"))?;
        Ok(Self { of: of.to_owned(), field: text[end..].starts_with('-'), numbers })
    }
}

/// How a source becomes a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Via {
    /// `-`: the field shapes the message and holds no data of its own (set ids, value types).
    Structure,
    /// `'text'`, `cc(system#code 'display')`: this value, where the source is valued.
    Constant(Value),
    /// `string`, `dateTime`, …; `code:Map` by a concept map.
    Primitive(Primitive, Option<String>),
    /// `CodeableConcept` or `Coding` of a coded data type, by a concept map or in an HL7 table.
    Concept { coding: bool, map: Option<String>, table: Option<String> },
    /// A data-type map: an object of that type.
    Map(String),
    /// `&map`: a reference to the resource that a data-type map makes.
    Reference(String),
    /// `fn:name`: what a row cannot say.
    Function(Function),
}

/// What stands beside a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Extra {
    /// Into the resource that the row's reference points to, rather than beside the reference.
    pub(crate) in_resource: bool,
    pub(crate) path: Path,
    pub(crate) from: Beside,
}

/// Where an [`Extra`] comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Beside {
    Constant(Value),
    Field(Source, Via),
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) source: Source,
    /// `None` only for [`Via::Structure`] and for a map or function that fills the resource itself (`$this`).
    pub(crate) path: Option<Path>,
    pub(crate) overwrite: bool,
    pub(crate) via: Via,
    pub(crate) when: Condition,
    pub(crate) extras: Vec<Extra>,
}

impl Rule {
    /// Reads `source | element | via | when | beside`; the last two may be left out.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut columns = line.split('|').map(str::trim);
        let source = Source::parse(columns.next().unwrap_or_default())?;
        let element = columns.next().ok_or("no element column")?;
        let via = Via::parse(columns.next().unwrap_or("-"))?;
        let when = Condition::parse(columns.next().unwrap_or_default())?;
        let extras = split_outside_quotes(columns.next().unwrap_or_default(), ';')
            .into_iter()
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(Extra::parse)
            .collect::<Result<_, _>>()?;
        if columns.next().is_some() {
            return Err("more than five columns".into());
        }
        let (element, overwrite) = element.strip_suffix('!').map_or((element, false), |e| (e, true));
        let path = match element {
            "-" | "$this" => None,
            element => Some(Path::parse(element)?),
        };
        Ok(Self { source, path, overwrite, via, when, extras })
    }
}

impl Extra {
    fn parse(text: &str) -> Result<Self, String> {
        let (in_resource, text) = text.strip_prefix('@').map_or((false, text), |t| (true, t));
        if let Some((path, constant)) = text.split_once(" = ") {
            return Ok(Self {
                in_resource,
                path: Path::parse(path)?,
                from: Beside::Constant(constant_value(constant.trim())?),
            });
        }
        let (path, from) = text.split_once(" < ").ok_or_else(|| format!("neither = nor < in {text:?}"))?;
        let (source, via) = from.trim().split_once(' ').ok_or_else(|| format!("no data type in {text:?}"))?;
        Ok(Self {
            in_resource,
            path: Path::parse(path)?,
            from: Beside::Field(Source::parse(source)?, Via::parse(via.trim())?),
        })
    }
}

impl Via {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Structure);
        }
        if text.starts_with(['\'', '{'])
            || text.starts_with("cc(")
            || text.starts_with("coding(")
            || matches!(text, "true" | "false")
        {
            return constant_value(text).map(Self::Constant);
        }
        if let Some(map) = text.strip_prefix('&') {
            return Ok(Self::Reference(map.to_owned()));
        }
        if let Some(name) = text.strip_prefix("fn:") {
            return Function::parse(name).map(Self::Function);
        }
        let (name, map) = text.split_once(':').map_or((text, None), |(n, m)| (n, Some(m.to_owned())));
        let (name, table) = name.split_once('=').map_or((name, None), |(n, t)| (n, Some(t.to_owned())));
        let kind = name.split_once('[').map_or(name, |(_, k)| k.trim_end_matches(']'));
        let coded =
            name.get(..2).is_some_and(|t| matches!(t, "CE" | "CW" | "CN" | "CF" | "ID" | "IS" | "ST"));
        if (coded || !name.contains('[')) && (kind == "CodeableConcept" || kind == "Coding") {
            return Ok(Self::Concept { coding: kind == "Coding", map, table });
        }
        if (coded || !name.contains('['))
            && let Some(primitive) = Primitive::parse(kind)
        {
            return Ok(Self::Primitive(primitive, map));
        }
        if name.contains('[') {
            Ok(Self::Map(name.to_owned()))
        } else {
            Err(format!("unknown data type {text:?}"))
        }
    }
}

/// `'text'`, `true`, `false`, `cc(system#code 'display')`, `coding(system#code 'display')`, or JSON in braces.
pub(crate) fn constant_value(text: &str) -> Result<Value, String> {
    if let Some(text) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return Ok(Value::from(text));
    }
    if matches!(text, "true" | "false") {
        return Ok(Value::Bool(text == "true"));
    }
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|e| format!("{text}: {e}"));
    }
    let inner = |name: &str| text.strip_prefix(name).and_then(|t| t.strip_suffix(')'));
    if let Some(inner) = inner("cc(") {
        return Ok(json!({"coding": [coding(inner)?]}));
    }
    if let Some(inner) = inner("coding(") {
        return coding(inner);
    }
    Err(format!("bad constant {text:?}"))
}

fn coding(text: &str) -> Result<Value, String> {
    let (code, display) = match text.split_once('\'') {
        Some((code, display)) => (code.trim(), Some(display.trim_end_matches('\''))),
        None => (text.trim(), None),
    };
    let (system, code) = code.rsplit_once('#').ok_or_else(|| format!("no # in {text:?}"))?;
    let mut coding = Map::new();
    coding.insert("system".into(), Value::from(code_system::short(system)));
    coding.insert("code".into(), Value::from(code));
    if let Some(display) = display {
        coding.insert("display".into(), Value::from(display));
    }
    Ok(Value::Object(coding))
}

pub(crate) fn split_outside_quotes(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (i, c) in text.char_indices() {
        if c == '\'' {
            quoted = !quoted;
        } else if c == at && !quoted {
            parts.push(&text[start..i]);
            start = i + c.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back() {
        let rule = Rule::parse(
            "PV1-7 | participant[].individual | &XCN[Practitioner] | PV1-2=I,O & !PV1-45 | type[] = cc(v3-ParticipationType#ATND 'attender') ; @active = true",
        )
        .unwrap();
        assert_eq!(rule.source, Source { of: "PV1".into(), field: true, numbers: vec![7] });
        assert_eq!(rule.via, Via::Reference("XCN[Practitioner]".into()));
        assert_eq!(rule.when.alternatives[0].len(), 2);
        assert_eq!(rule.extras.len(), 2);
        assert!(rule.extras[1].in_resource);
    }

    #[test]
    fn bad_rows_are_refused() {
        for row in [
            "pid-3 | a | string",
            "PID-0 | a | string",
            "PID-3",
            "PID-3 | a | strong",
            "PID-3 | a.b( | string",
            "PID-3 | a | string | PID-7>x",
        ] {
            assert!(Rule::parse(row).is_err(), "{row}");
        }
    }
}
