//! The part of JSON Schema that `schemars` writes, read as a tree of keys.

use serde_json::{Map, Value};

/// References may be cyclic; a configuration never nests deeper than this.
const MAX_DEPTH: usize = 16;

/// The schema of a configuration struct.
pub(crate) struct Schema {
    root: Value,
}

/// A place in the schema: all alternatives that its references, `allOf`, `anyOf` and `oneOf` lead to.
pub(crate) struct Node<'s> {
    schema: &'s Schema,
    alternatives: Vec<&'s Map<String, Value>>,
}

/// How a key is known to its parent.
pub(crate) enum Child<'s> {
    /// A field of a struct.
    Field(Node<'s>),
    /// A key that the operator chooses, in a map.
    Entry(Node<'s>),
}

impl Schema {
    pub(crate) fn of<T: schemars::JsonSchema>() -> Self {
        Self { root: schemars::schema_for!(T).to_value() }
    }

    pub(crate) fn root(&self) -> Node<'_> {
        self.node(&self.root)
    }

    fn node<'s>(&'s self, value: &'s Value) -> Node<'s> {
        let mut alternatives = Vec::new();
        self.collect(value, 0, &mut alternatives);
        Node { schema: self, alternatives }
    }

    fn collect<'s>(&'s self, value: &'s Value, depth: usize, out: &mut Vec<&'s Map<String, Value>>) {
        let Some(object) = value.as_object().filter(|_| depth < MAX_DEPTH) else { return };
        out.push(object);
        if let Some(target) = object
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| self.root.pointer(pointer))
        {
            self.collect(target, depth + 1, out);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for part in object.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                self.collect(part, depth + 1, out);
            }
        }
    }
}

impl<'s> Node<'s> {
    fn values(&self, keyword: &'static str) -> impl Iterator<Item = &'s Value> + '_ {
        self.alternatives.iter().filter_map(move |part| part.get(keyword))
    }

    /// The first text under a keyword; the place of use comes before the referenced type.
    pub(crate) fn text(&self, keyword: &'static str) -> Option<&'s str> {
        self.values(keyword).find_map(Value::as_str)
    }

    pub(crate) fn first(&self, keyword: &'static str) -> Option<&'s Value> {
        self.values(keyword).next()
    }

    pub(crate) fn takes(&self, name: &str) -> bool {
        self.values("type").any(|kind| match kind {
            Value::String(kind) => kind == name,
            Value::Array(kinds) => kinds.iter().any(|kind| kind == name),
            _ => false,
        })
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.values("writeOnly").any(|flag| flag == &Value::Bool(true))
    }

    /// A struct, as against a value or a map.
    pub(crate) fn is_section(&self) -> bool {
        self.values("properties").next().is_some()
    }

    /// One struct, as against several variants of an enum.
    pub(crate) fn is_plain_section(&self) -> bool {
        self.values("properties").count() == 1
            && !self.alternatives.iter().any(|part| part.contains_key("oneOf"))
    }

    /// The fields of a struct in the order of the struct, each once.
    pub(crate) fn fields(&self) -> Vec<(&'s str, Node<'s>)> {
        let mut fields: Vec<(&'s str, Node<'s>)> = Vec::new();
        for (name, value) in self.values("properties").filter_map(Value::as_object).flatten() {
            if !fields.iter().any(|(known, _)| known == name) {
                fields.push((name, self.schema.node(value)));
            }
        }
        fields
    }

    pub(crate) fn child(&self, name: &str) -> Option<Child<'s>> {
        let field =
            self.values("properties").filter_map(Value::as_object).find_map(|fields| fields.get(name));
        match field {
            Some(value) => Some(Child::Field(self.schema.node(value))),
            None => self.entries().map(Child::Entry),
        }
    }

    /// The values of a map.
    pub(crate) fn entries(&self) -> Option<Node<'s>> {
        self.values("additionalProperties")
            .chain(self.values("patternProperties").filter_map(Value::as_object).flat_map(Map::values))
            .find(|value| !matches!(value, Value::Bool(false)))
            .map(|value| self.schema.node(value))
    }

    /// The elements of a list.
    pub(crate) fn items(&self) -> Option<Node<'s>> {
        self.values("items").next().map(|value| self.schema.node(value))
    }

    /// The words an enum takes.
    pub(crate) fn words(&self) -> Vec<&'s str> {
        let listed = self.values("enum").filter_map(Value::as_array).flatten();
        listed.chain(self.values("const")).filter_map(Value::as_str).collect()
    }

    /// What the key takes, for a message: `one of json, text`, `an integer from 0 to 65535`.
    pub(crate) fn expected(&self) -> String {
        if let Some(text) = self.text("x-expected") {
            return text.to_owned();
        }
        let words = self.words();
        if !words.is_empty() && !self.is_section() {
            return format!("one of `{}`", words.join("`, `"));
        }
        if self.is_section() {
            return "a section".to_owned();
        }
        if self.takes("boolean") {
            return "`true` or `false`".to_owned();
        }
        for (kind, name) in [("integer", "an integer"), ("number", "a number")] {
            if self.takes(kind) {
                return match (self.first("minimum"), self.first("maximum")) {
                    (Some(least), Some(most)) => format!("{name} from {least} to {most}"),
                    (Some(least), None) => format!("{name} of at least {least}"),
                    (None, Some(most)) => format!("{name} of at most {most}"),
                    (None, None) => name.to_owned(),
                };
            }
        }
        if self.takes("array") {
            return match self.items() {
                Some(items) if items.is_section() => "a list of tables".to_owned(),
                Some(items) => format!("a list, each {}", items.expected()),
                None => "a list".to_owned(),
            };
        }
        if let Some(entries) = self.entries() {
            return format!("a table, each entry {}", entries.expected());
        }
        match self.text("format") {
            Some("uri") => "an absolute URL".to_owned(),
            Some("uuid") => "a UUID".to_owned(),
            Some(format) => format!("a text ({format})"),
            None => "a text".to_owned(),
        }
    }
}
