//! Where the objects of a PDF file are (ISO 32000-1, section 7.5).
//!
//! The file is gone through from its beginning, as programs do that mend a damaged one: its table of contents is at
//! its end, is often wrong, and cannot be had without trusting offsets in it. What a later object says holds.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use memchr::memmem;

use super::budget::Budget;
use super::crypt::Key;
use super::filter::{self, keyword};
use super::lexer::{Dictionary, Lexer, Object, is_space};

/// Objects that are found again by their number.
const OBJECTS: usize = 200_000;
/// Pages that are read.
const PAGES: usize = 2_000;
/// References behind one another, and levels of the page tree.
const DEPTH: usize = 32;

#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the file, and where its stream begins and ends.
    File { at: usize, generation: u16, stream: Option<(usize, usize)> },
    /// In an object stream.
    Packed { stream: usize, at: usize },
}

pub(super) struct File<'d> {
    data: &'d [u8],
    places: HashMap<u32, Place>,
    /// Object streams, decoded.
    packed: Vec<Vec<u8>>,
    root: Option<u32>,
    /// Objects that say that they are pages.
    pages: Vec<u32>,
    /// What the trailer says of encryption, and the first part of the file's ID.
    encrypt: Option<Object>,
    id: Vec<u8>,
    /// What opens the streams, if they are encrypted.
    key: Option<Key>,
    /// Whether they are and nothing here opens them.
    pub(super) locked: bool,
}

/// What is done with each page: its dictionary, the resources it inherits, and what it may cost.
pub(super) type Visit<'v> = &'v mut dyn FnMut(&Dictionary, &Dictionary, &mut Budget);

impl<'d> File<'d> {
    pub(super) fn scan(data: &'d [u8], budget: &mut Budget) -> Self {
        let mut file = Self::read(data, None, budget);
        if file.encrypt.is_some() {
            // How a file is encrypted shows at its end, when its object streams have been passed.
            match file.find_key(budget) {
                Some(key) => file = Self::read(data, Some(key), budget),
                None => file.locked = true,
            }
        }
        file
    }

    fn find_key(&self, budget: &mut Budget) -> Option<Key> {
        let Object::Dictionary(encrypt) = self.resolve(self.encrypt.as_ref()?, budget)?.into_owned() else {
            return None;
        };
        let filters = self.dictionary(&encrypt, "CF", budget);
        Key::of(&encrypt, filters.as_deref(), &self.id, budget)
    }

    fn read(data: &'d [u8], key: Option<Key>, budget: &mut Budget) -> Self {
        let mut file = Self {
            data,
            places: HashMap::new(),
            packed: Vec::new(),
            root: None,
            pages: Vec::new(),
            encrypt: None,
            id: Vec::new(),
            key,
            locked: false,
        };
        let mut at = 0;
        while let Some(found) = data.get(at..).and_then(|rest| memmem::find(rest, b"obj")) {
            let (keyword, end) = (at + found, at + found + 3);
            if budget.work(end - at).is_none() {
                break;
            }
            at = match header(data, keyword) {
                Some((id, generation)) => file.indirect(id, generation, end, budget),
                None => end,
            };
        }
        for found in memmem::find_iter(data, b"trailer") {
            if let Some(Object::Dictionary(trailer)) = Lexer::new(data, found + 7).object(budget) {
                file.trailer(&trailer);
            }
        }
        file
    }

    fn trailer(&mut self, trailer: &Dictionary) {
        if let Some(encrypt) = trailer.get("Encrypt").filter(|encrypt| **encrypt != Object::Null) {
            self.encrypt = Some(encrypt.clone());
        }
        if let Some(Object::Array(id)) = trailer.get("ID")
            && let Some(Object::Text(first)) = id.first()
        {
            self.id.clone_from(first);
        }
        if let Some(Object::Reference(root)) = trailer.get("Root") {
            self.root = Some(*root);
        }
    }

    /// Notes the object whose value begins at `at`; the answer is where to look for the next.
    fn indirect(&mut self, id: u32, generation: u16, at: usize, budget: &mut Budget) -> usize {
        let mut lexer = Lexer::new(self.data, at);
        let object = lexer.object(budget);
        // What cannot be read may hold the beginning of something that can.
        let Some(object) = object else { return at };
        let mut end = lexer.at;
        let mut stream = None;
        if let Object::Dictionary(dictionary) = &object {
            lexer.skip_space();
            if keyword(lexer.rest(), b"stream") {
                let (begin, stop) =
                    extent(self.data, lexer.at + 6, dictionary.get("Length").and_then(Object::count));
                stream = Some((begin, stop));
                end = stop;
            }
            if dictionary.is("Type", "XRef") {
                self.trailer(dictionary);
            }
            if dictionary.is("Type", "ObjStm")
                && let Some((begin, stop)) = stream
            {
                let raw = self.content(id, generation, (begin, stop), budget);
                self.unpack(dictionary, raw.as_deref().unwrap_or_default(), budget);
            }
        }
        self.note(id, Place::File { at, generation, stream }, &object, budget);
        end
    }

    fn note(&mut self, id: u32, place: Place, object: &Object, budget: &mut Budget) {
        if self.places.len() >= OBJECTS && !self.places.contains_key(&id) {
            budget.spent = true;
            return;
        }
        self.places.insert(id, place);
        if let Object::Dictionary(dictionary) = object {
            if dictionary.is("Type", "Catalog") && self.root.is_none() {
                self.root = Some(id);
            }
            if dictionary.is("Type", "Page") {
                self.pages.push(id);
            }
        }
    }

    /// Notes the objects of an object stream (section 7.5.7).
    fn unpack(&mut self, dictionary: &Dictionary, raw: &[u8], budget: &mut Budget) {
        let (filters, parameters) = self.filters(dictionary, budget);
        let Some(data) = filter::decode(&filters, &parameters, raw, budget) else { return };
        let Some(first) = dictionary.get("First").and_then(Object::count) else { return };
        let mut header = Lexer::new(&data, 0);
        let mut found = Vec::new();
        while header.at < first && found.len() < OBJECTS {
            let mut number = || header.object(budget).as_ref().and_then(Object::count);
            let (Some(id), Some(offset)) = (number(), number()) else { break };
            let (Ok(id), Some(at)) = (u32::try_from(id), first.checked_add(offset)) else { break };
            found.push((id, at));
        }
        let stream = self.packed.len();
        for (id, at) in found {
            let Some(object) = Lexer::new(&data, at).object(budget) else { continue };
            self.note(id, Place::Packed { stream, at }, &object, budget);
        }
        self.packed.push(data);
    }

    /// The bytes of a stream as its filters take them.
    fn content(
        &self,
        id: u32,
        generation: u16,
        (begin, stop): (usize, usize),
        budget: &mut Budget,
    ) -> Option<Cow<'d, [u8]>> {
        let raw = self.data.get(begin..stop)?;
        let Some(key) = &self.key else { return Some(Cow::Borrowed(raw)) };
        budget.work(raw.len())?;
        key.open(id, generation, raw).map(Cow::Owned)
    }

    /// The object of that number.
    fn object(&self, id: u32, budget: &mut Budget) -> Option<Object> {
        match *self.places.get(&id)? {
            Place::File { at, .. } => Lexer::new(self.data, at).object(budget),
            Place::Packed { stream, at } => Lexer::new(self.packed.get(stream)?, at).object(budget),
        }
    }

    /// What an object is or refers to.
    pub(super) fn resolve<'o>(&self, object: &'o Object, budget: &mut Budget) -> Option<Cow<'o, Object>> {
        let Object::Reference(mut id) = *object else { return Some(Cow::Borrowed(object)) };
        for _ in 0..DEPTH {
            match self.object(id, budget)? {
                Object::Reference(next) => id = next,
                object => return Some(Cow::Owned(object)),
            }
        }
        None
    }

    /// An entry of a dictionary, which may be elsewhere.
    pub(super) fn entry<'o>(
        &self,
        dictionary: &'o Dictionary,
        name: &str,
        budget: &mut Budget,
    ) -> Option<Cow<'o, Object>> {
        self.resolve(dictionary.get(name)?, budget)
    }

    pub(super) fn dictionary<'o>(
        &self,
        within: &'o Dictionary,
        name: &str,
        budget: &mut Budget,
    ) -> Option<Cow<'o, Dictionary>> {
        match self.entry(within, name, budget)? {
            Cow::Borrowed(Object::Dictionary(dictionary)) => Some(Cow::Borrowed(dictionary)),
            Cow::Owned(Object::Dictionary(dictionary)) => Some(Cow::Owned(dictionary)),
            _ => None,
        }
    }

    /// An entry that is a list.
    pub(super) fn list(&self, within: &Dictionary, name: &str, budget: &mut Budget) -> Vec<Object> {
        match self.entry(within, name, budget).map(Cow::into_owned) {
            Some(Object::Array(list)) => list,
            _ => Vec::new(),
        }
    }

    /// The stream that an object refers to: its dictionary and content.
    pub(super) fn stream(&self, object: &Object, budget: &mut Budget) -> Option<(Dictionary, Vec<u8>)> {
        let Object::Reference(id) = object else { return None };
        let Place::File { at, generation, stream: Some((begin, mut stop)) } = *self.places.get(id)? else {
            return None;
        };
        let Some(Object::Dictionary(dictionary)) = Lexer::new(self.data, at).object(budget) else {
            return None;
        };
        // A length that is elsewhere could not be known on the way through.
        if let Some(Object::Reference(_)) = dictionary.get("Length")
            && let Some(length) = self.entry(&dictionary, "Length", budget).and_then(|length| length.count())
            && ends(self.data, begin.saturating_add(length))
        {
            stop = begin + length;
        }
        let (filters, parameters) = self.filters(&dictionary, budget);
        let raw = self.content(*id, generation, (begin, stop), budget)?;
        let content = filter::decode(&filters, &parameters, &raw, budget)?;
        Some((dictionary, content))
    }

    /// Whether the dictionary at the end of a reference is of that subtype, without reading its stream.
    pub(super) fn is_of(&self, object: &Object, subtype: &str, budget: &mut Budget) -> bool {
        let found = self.resolve(object, budget);
        matches!(found.as_deref(), Some(Object::Dictionary(dictionary)) if dictionary.is("Subtype", subtype))
    }

    fn filters(
        &self,
        dictionary: &Dictionary,
        budget: &mut Budget,
    ) -> (Vec<Vec<u8>>, Vec<Option<Dictionary>>) {
        let mut list = |long: &str, short: &str| {
            let name = if dictionary.get(long).is_some() { long } else { short };
            match self.entry(dictionary, name, budget).map(Cow::into_owned) {
                Some(Object::Array(list)) => {
                    list.iter().filter_map(|o| self.resolve(o, budget).map(Cow::into_owned)).collect()
                }
                Some(one) => vec![one],
                None => Vec::new(),
            }
        };
        let filters = list("Filter", "F").into_iter().filter_map(|o| o.name().map(<[u8]>::to_vec)).collect();
        let parameters = list("DecodeParms", "DP").into_iter().map(|object| match object {
            Object::Dictionary(dictionary) => Some(dictionary),
            _ => None,
        });
        (filters, parameters.collect())
    }

    /// Goes through the pages in their order, and through those that say so themselves where the tree of pages cannot
    /// be read. The answer is how many there were.
    pub(super) fn pages(&self, budget: &mut Budget, visit: Visit<'_>) -> usize {
        let mut walk = Walk { seen: HashSet::new(), found: 0, visit };
        if let Some(Object::Dictionary(root)) = self.root.and_then(|root| self.object(root, budget))
            && let Some(tree) = root.get("Pages")
        {
            self.tree(tree, &Dictionary::default(), DEPTH, &mut walk, budget);
        }
        if walk.found == 0 {
            for id in self.pages.iter().take(PAGES) {
                if let Some(Object::Dictionary(page)) = self.object(*id, budget) {
                    walk.found += 1;
                    (walk.visit)(&page, &Dictionary::default(), budget);
                }
            }
        }
        walk.found
    }

    fn tree(
        &self,
        node: &Object,
        inherited: &Dictionary,
        depth: usize,
        walk: &mut Walk<'_>,
        budget: &mut Budget,
    ) {
        if let Object::Reference(id) = node
            && !walk.seen.insert(*id)
        {
            return;
        }
        if depth == 0 || walk.found >= PAGES {
            budget.spent = true;
            return;
        }
        let Some(node) = self.resolve(node, budget) else { return };
        let Object::Dictionary(dictionary) = &*node else { return };
        if dictionary.get("Kids").is_none() {
            walk.found += 1;
            (walk.visit)(dictionary, inherited, budget);
            return;
        }
        let resources = self.dictionary(dictionary, "Resources", budget);
        for kid in &self.list(dictionary, "Kids", budget) {
            self.tree(kid, resources.as_deref().unwrap_or(inherited), depth - 1, walk, budget);
        }
    }
}

/// A way through the tree of pages.
struct Walk<'v> {
    seen: HashSet<u32>,
    found: usize,
    visit: Visit<'v>,
}

/// Number and generation of the object whose keyword `obj` is at `at`.
fn header(data: &[u8], at: usize) -> Option<(u32, u16)> {
    let before = data.get(at.saturating_sub(32)..at)?;
    // A generation stands right before the keyword or with white space between them.
    let before = before.trim_ascii_end();
    let digits = |text: &[u8]| text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, generation) = before.split_at(before.len() - digits(before));
    let trimmed = before.trim_ascii_end();
    if generation.is_empty() || trimmed.len() == before.len() {
        return None;
    }
    let number = trimmed.get(trimmed.len() - digits(trimmed)..)?;
    let text = |digits| std::str::from_utf8(digits).ok();
    // A generation that is none is of no use but for a key.
    Some((text(number)?.parse().ok()?, text(generation)?.parse().unwrap_or_default()))
}

/// Whether a stream can end there.
fn ends(data: &[u8], at: usize) -> bool {
    let rest = data.get(at..).unwrap_or_default();
    let space = rest.iter().take(4).take_while(|b| is_space(**b)).count();
    rest.get(space..).is_some_and(|rest| rest.starts_with(b"endstream"))
}

/// Where the bytes of a stream begin and end, its keyword ending at `at`.
fn extent(data: &[u8], at: usize, length: Option<usize>) -> (usize, usize) {
    let begin = match data.get(at..) {
        Some([b'\r', b'\n', ..]) => at + 2,
        Some([b'\r' | b'\n', ..]) => at + 1,
        _ => at.min(data.len()),
    };
    if let Some(length) = length
        && ends(data, begin.saturating_add(length))
    {
        return (begin, begin + length);
    }
    let rest = data.get(begin..).unwrap_or_default();
    (begin, begin + memmem::find(rest, b"endstream").unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_from_other_text() {
        for (text, wanted) in [
            ("12 0 obj", Some((12, 0))),
            ("\n7  65535\nobj", Some((7, 65535))),
            ("endobj", None),
            ("0 obj", None),
            ("x 0 obj", None),
            ("99999999999 0 obj", None),
        ] {
            let at = text.find("obj").expect("a keyword");
            assert_eq!(header(text.as_bytes(), at), wanted, "{text}");
        }
    }

    #[test]
    fn a_stream_ends_where_it_says_or_at_its_keyword() {
        let data = b"stream\r\nendstream inside\nendstream";
        assert_eq!(extent(data, 6, Some(16)), (8, 24));
        assert_eq!(extent(data, 6, Some(5)), (8, 8));
        assert_eq!(extent(data, 6, None), (8, 8));
        assert_eq!(extent(b"stream\nabc", 6, Some(usize::MAX)), (7, 10));
    }
}
