//! The tape and read access to it.

use std::borrow::Cow;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    Number,
    Text,
    Object,
    Array,
}

impl Kind {
    /// The kind with its article, for messages.
    pub(crate) const fn described(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::True | Self::False => "true or false",
            Self::Number => "a number",
            Self::Text => "a text in quotes",
            Self::Object => "an object { … }",
            Self::Array => "a list [ … ]",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Where the content starts: after the opening quote for a text.
    pub(crate) start: u32,
    /// Where the content ends: before the closing quote for a text.
    pub(crate) end: u32,
    /// The node that follows this one and all it contains.
    pub(crate) next: u32,
    pub(crate) kind: Kind,
    /// A text with a backslash in it.
    pub(crate) escaped: bool,
}

/// All nodes of a JSON text in document order; an object's members are a key node and a value each.
#[derive(Debug)]
pub(crate) struct Tape<'t> {
    pub(crate) text: &'t str,
    pub(crate) nodes: Vec<Node>,
}

impl<'t> Tape<'t> {
    pub(crate) fn root(&self) -> Option<Value<'_>> {
        self.value(0)
    }

    pub(crate) fn value(&self, at: u32) -> Option<Value<'_>> {
        let node = self.nodes.get(at as usize)?;
        Some(Value { tape: self, at, node: *node })
    }
}

/// One node, with the tape it lies on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'t> {
    tape: &'t Tape<'t>,
    at: u32,
    node: Node,
}

impl<'t> Value<'t> {
    pub(crate) const fn kind(self) -> Kind {
        self.node.kind
    }

    /// Identity within the tape.
    pub(crate) const fn id(self) -> u32 {
        self.at
    }

    /// Whether the node of that id lies within this value (or is it).
    pub(crate) const fn spans(self, id: u32) -> bool {
        id >= self.at && id < self.node.next
    }

    /// Byte offset of the first character, the opening quote of a text included.
    pub(crate) const fn offset(self) -> usize {
        let start = self.node.start as usize;
        if matches!(self.node.kind, Kind::Text) { start.saturating_sub(1) } else { start }
    }

    /// The content as written: no quotes, escapes left as they are.
    pub(crate) fn raw(self) -> &'t str {
        self.tape.text.get(self.node.start as usize..self.node.end as usize).unwrap_or("")
    }

    pub(crate) fn is_text(self) -> bool {
        self.node.kind == Kind::Text
    }

    /// The decoded content of a text; a lone surrogate becomes U+FFFD (the reader refuses those).
    pub(crate) fn text(self) -> Cow<'t, str> {
        if self.node.escaped { Cow::Owned(decode(self.raw())) } else { Cow::Borrowed(self.raw()) }
    }

    /// The decoded content if this is a text.
    pub(crate) fn as_text(self) -> Option<Cow<'t, str>> {
        self.is_text().then(|| self.text())
    }

    /// Key and value of each member; none unless this is an object.
    pub(crate) fn members(self) -> impl Iterator<Item = (Value<'t>, Value<'t>)> {
        let (tape, mut at, end) = self.inside(Kind::Object);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            #[cfg(test)]
            work::step();
            let key = tape.value(at)?;
            let value = tape.value(at + 1)?;
            at = value.node.next;
            Some((key, value))
        })
    }

    /// The elements of an array; none unless this is one.
    pub(crate) fn items(self) -> impl Iterator<Item = Value<'t>> {
        let (tape, mut at, end) = self.inside(Kind::Array);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            #[cfg(test)]
            work::step();
            let value = tape.value(at)?;
            at = value.node.next;
            Some(value)
        })
    }

    /// Every text below this value that is not a member's name.
    pub(crate) fn texts(self) -> impl Iterator<Item = Value<'t>> {
        let mut stack = vec![self];
        std::iter::from_fn(move || {
            while let Some(value) = stack.pop() {
                match value.node.kind {
                    Kind::Text => return Some(value),
                    Kind::Object => stack.extend(value.members().map(|(_, member)| member)),
                    Kind::Array => stack.extend(value.items()),
                    _ => {}
                }
            }
            None
        })
    }

    fn inside(self, kind: Kind) -> (&'t Tape<'t>, u32, u32) {
        let end = if self.node.kind == kind { self.node.next } else { 0 };
        (self.tape, self.at + 1, end)
    }

    /// Whether the decoded text is this one.
    fn is_named(self, name: &str) -> bool {
        if self.node.escaped {
            return means(self.raw(), name);
        }
        let (start, end) = (self.node.start as usize, self.node.end as usize);
        end - start == name.len() && self.tape.text.as_bytes().get(start..end) == Some(name.as_bytes())
    }

    /// The first member of that name.
    pub(crate) fn get(self, name: &str) -> Option<Value<'t>> {
        self.members().find(|(key, _)| key.is_named(name)).map(|(_, value)| value)
    }

    /// The decoded text of a member.
    pub(crate) fn get_text(self, name: &str) -> Option<Cow<'t, str>> {
        self.get(name)?.as_text()
    }
}

/// Replaces the escapes of RFC 8259, section 7.
fn decode(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let Some((character, left)) = unescape(escape) else { return out };
        out.push(character);
        rest = left;
    }
    out.push_str(rest);
    out
}

/// Whether a text with escapes is another one when they are replaced.
fn means(raw: &str, text: &str) -> bool {
    let (mut rest, mut text) = (raw, text);
    while let Some((plain, escape)) = rest.split_once('\\') {
        let Some((character, left)) = unescape(escape) else { return false };
        let Some(after) = text.strip_prefix(plain).and_then(|after| after.strip_prefix(character)) else {
            return false;
        };
        (rest, text) = (left, after);
    }
    rest == text
}

/// The character of an escape, given without its backslash, and what follows.
fn unescape(escape: &str) -> Option<(char, &str)> {
    let mut characters = escape.chars();
    let first = characters.next()?;
    let rest = characters.as_str();
    Some(match first {
        'b' => ('\u{8}', rest),
        'f' => ('\u{C}', rest),
        'n' => ('\n', rest),
        'r' => ('\r', rest),
        't' => ('\t', rest),
        'u' => scalar(rest),
        other => (other, rest),
    })
}

fn scalar(rest: &str) -> (char, &str) {
    let unit = |text: &str| text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let Some(first) = unit(rest) else { return (char::REPLACEMENT_CHARACTER, rest) };
    let rest = rest.get(4..).unwrap_or("");
    if !(0xD800..0xDC00).contains(&first) {
        return (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), rest);
    }
    let second = rest.strip_prefix("\\u").and_then(unit).filter(|unit| (0xDC00..0xE000).contains(unit));
    match second {
        Some(second) => {
            let scalar = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            (char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), rest.get(6..).unwrap_or(""))
        }
        None => (char::REPLACEMENT_CHARACTER, rest),
    }
}

/// How often a test went from one node to the next: the work of a validation, whatever the machine.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn step() {
        STEPS.set(STEPS.get() + 1);
    }

    /// The steps since the last call, on this thread.
    pub(crate) fn take() -> usize {
        STEPS.take()
    }
}
