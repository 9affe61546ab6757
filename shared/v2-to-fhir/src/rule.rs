//! Rows of the maps: what is read, where it goes, by which data-type map, when, and what stands beside it.

use crate::value::{Map, Value, json};

use crate::code_system;
use crate::condition::Condition;
use crate::element::Path;
use crate::function::Function;
use crate::primitive::Primitive;
use crate::table::{CodesId, MapId, Names};

/// `PID-3.4`, `CX.4.2`, `PID`: a segment or data type and numbers into it, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) of: Name,
    /// Written with a hyphen: a field of a segment, wherever the row stands.
    pub(crate) field: bool,
    numbers: [u8; 3],
    depth: u8,
}

/// The name of a segment or data type, compared at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name([u8; 3]);

impl Name {
    pub(crate) const MSH: Self = Self(*b"MSH");

    /// Of up to three bytes; longer names are cut.
    pub(crate) fn of(text: &str) -> Self {
        let mut name = [0; 3];
        name.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Self(name)
    }
}

impl Source {
    /// Field, component and subcomponent, as far as they are written.
    pub(crate) fn numbers(&self) -> &[u8] {
        self.numbers.get(..usize::from(self.depth)).unwrap_or_default()
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let end = text.find(['-', '.']).unwrap_or(text.len());
        let of = &text[..end];
        if of.is_empty() || !of.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            return Err(format!("bad source {text:?}"));
        }
        let bad = || format!("bad source {text:?}");
        let (mut numbers, mut depth) = ([0; 3], 0);
        for number in text[end..].split(['-', '.']).skip(1) {
            let number = number.parse::<u8>().ok().filter(|n| (1..=200).contains(n)).ok_or_else(bad)?;
            *numbers.get_mut(depth).ok_or_else(bad)? = number;
            depth += 1;
        }
        let depth = u8::try_from(depth).map_err(|_| bad())?;
        Ok(Self { of: Name::of(of), field: text[end..].starts_with('-'), numbers, depth })
    }
}

/// How a source becomes a value.
#[derive(Debug, PartialEq)]
pub(crate) enum Via {
    /// `-`: the field shapes the message and holds no data of its own (set ids, value types).
    Structure,
    /// `'text'`, `cc(system#code 'display')`: this value, where the source is valued; and whether the row's condition
    /// asks which value that is, so that the constant stands for it.
    Constant(Value, bool),
    /// `string`, `dateTime`, …; `code:Map` by a concept map.
    Primitive(Primitive, Option<CodesId>),
    /// `CodeableConcept` or `Coding` of a coded data type, by a concept map or in an HL7 table.
    Concept { coding: bool, map: Option<CodesId>, table: Option<&'static str> },
    /// A data-type map: an object of that type.
    Map(MapId),
    /// `&map`: a reference to the resource that a data-type map makes.
    Reference(MapId),
    /// `fn:name`: what a row cannot say.
    Function(Function),
}

/// What stands beside a value.
#[derive(Debug, PartialEq)]
pub(crate) struct Extra {
    pub(crate) path: Path,
    pub(crate) from: Beside,
}

/// Where an [`Extra`] comes from.
#[derive(Debug, PartialEq)]
pub(crate) enum Beside {
    Constant(Value),
    Field(Source, Via),
}

/// A row.
#[derive(Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) source: Source,
    /// `None` only for [`Via::Structure`] and for a map or function that fills the resource itself (`$this`).
    pub(crate) path: Option<Path>,
    pub(crate) overwrite: bool,
    pub(crate) via: Via,
    pub(crate) when: Condition,
    /// Into the resource that the row's reference points to, rather than beside the reference.
    pub(crate) in_resource: Vec<Extra>,
    pub(crate) beside: Vec<Extra>,
}

impl Rule {
    /// Reads `source | element | via | when | beside`; the last two may be left out.
    pub(crate) fn parse(line: &'static str, names: &mut Names) -> Result<Self, String> {
        let mut columns = line.split('|').map(str::trim);
        let source = Source::parse(columns.next().unwrap_or_default())?;
        let element = columns.next().ok_or("no element column")?;
        let via = Via::parse(columns.next().unwrap_or("-"), names)?;
        let when = Condition::parse(columns.next().unwrap_or_default())?;
        let via = match via {
            Via::Constant(value, _) => Via::Constant(value, when.asks_for(&source)),
            via => via,
        };
        let (mut in_resource, mut beside) = (Vec::new(), Vec::new());
        for extra in split_outside_quotes(columns.next().unwrap_or_default(), ';') {
            match extra.trim() {
                "" => {}
                text => match text.strip_prefix('@') {
                    Some(text) => in_resource.push(Extra::parse(text, names)?),
                    None => beside.push(Extra::parse(text, names)?),
                },
            }
        }
        if columns.next().is_some() {
            return Err("more than five columns".into());
        }
        let (element, overwrite) = element.strip_suffix('!').map_or((element, false), |e| (e, true));
        let path = match element {
            "-" | "$this" => None,
            element => Some(Path::parse(element)?),
        };
        Ok(Self { source, path, overwrite, via, when, in_resource, beside })
    }
}

impl Extra {
    fn parse(text: &'static str, names: &mut Names) -> Result<Self, String> {
        if let Some((path, constant)) = text.split_once(" = ") {
            return Ok(Self {
                path: Path::parse(path)?,
                from: Beside::Constant(constant_value(constant.trim())?),
            });
        }
        let (path, from) = text.split_once(" < ").ok_or_else(|| format!("neither = nor < in {text:?}"))?;
        let (source, via) = from.trim().split_once(' ').ok_or_else(|| format!("no data type in {text:?}"))?;
        Ok(Self {
            path: Path::parse(path)?,
            from: Beside::Field(Source::parse(source)?, Via::parse(via.trim(), names)?),
        })
    }
}

impl Via {
    fn parse(text: &'static str, names: &mut Names) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Structure);
        }
        if text.starts_with('\'')
            || text.starts_with("cc(")
            || text.starts_with("coding(")
            || matches!(text, "true" | "false")
        {
            return constant_value(text).map(|value| Self::Constant(value, false));
        }
        if let Some(map) = text.strip_prefix('&') {
            return Ok(Self::Reference(names.map(map)));
        }
        if let Some(name) = text.strip_prefix("fn:") {
            return Function::parse(name).map(Self::Function);
        }
        let (name, map) = text.split_once(':').map_or((text, None), |(n, m)| (n, Some(m)));
        let map = map.map(|map| names.codes(map)).transpose()?;
        let (name, table) = name.split_once('=').map_or((name, None), |(n, t)| (n, Some(t)));
        // Read once for the life of the process.
        let table = table.map(|table| &*code_system::table(table).leak());
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
            Ok(Self::Map(names.map(name)))
        } else {
            Err(format!("unknown data type {text:?}"))
        }
    }
}

/// `'text'`, `true`, `false`, `cc(system#code 'display')` or `coding(system#code 'display')`.
fn constant_value(text: &'static str) -> Result<Value, String> {
    if let Some(text) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return Ok(Value::from(text));
    }
    if matches!(text, "true" | "false") {
        return Ok(Value::Bool(text == "true"));
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

fn coding(text: &'static str) -> Result<Value, String> {
    let (code, display) = match text.split_once('\'') {
        Some((code, display)) => (code.trim(), Some(display.trim_end_matches('\''))),
        None => (text.trim(), None),
    };
    let (system, code) = code.rsplit_once('#').ok_or_else(|| format!("no # in {text:?}"))?;
    let mut coding = Map::new();
    coding.insert("system", Value::from(&*code_system::short(system).leak()));
    coding.insert("code", Value::from(code));
    if let Some(display) = display {
        coding.insert("display", Value::from(display));
    }
    Ok(Value::Object(coding))
}

fn split_outside_quotes(text: &'static str, at: char) -> Vec<&'static str> {
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
        let mut names = Names::default();
        let rule = Rule::parse(
            "PV1-7 | participant[].individual | &XCN[Practitioner] | PV1-2=I,O & !PV1-45 | type[] = cc(v3-ParticipationType#ATND 'attender') ; @active = true",
            &mut names,
        )
        .unwrap();
        assert_eq!(
            (rule.source.of, rule.source.field, rule.source.numbers()),
            (Name(*b"PV1"), true, &[7][..])
        );
        assert_eq!(rule.via, Via::Reference(names.map("XCN[Practitioner]")));
        assert_eq!(rule.when.alternatives[0].len(), 2);
        assert_eq!((rule.beside.len(), rule.in_resource.len()), (1, 1));
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
            "PID-3.1.2.3 | a | string",
            "PID-3 | a | code:NoSuchMap",
        ] {
            assert!(Rule::parse(row, &mut Names::default()).is_err(), "{row}");
        }
    }
}
