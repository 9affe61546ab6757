//! The FHIR R4 (4.0.1) definitions: types, elements, value sets and invariants.
//!
//! They are read once from a table embedded in the crate, which `examples/generate` writes from HL7's publication.

mod table;
mod value_set;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::OnceLock;

use crate::primitive::Primitive;
pub(crate) use value_set::{CodeSystem, Strength, ValueSet};

const TABLE: &str = include_str!("r4.tsv");

/// All definitions of one FHIR release.
#[derive(Debug)]
pub(crate) struct Definitions {
    pub(crate) types: Vec<Type>,
    /// The value sets that elements are bound to with strength required or extensible.
    pub(crate) value_sets: Vec<ValueSet>,
    pub(crate) invariants: Vec<Invariant>,
    by_name: TableMap<&'static str, TypeId>,
    code_systems: TableMap<&'static str, CodeSystem>,
    extensions: TableMap<&'static str, ExtensionDefinition>,
    search_parameters: TableMap<&'static str, SearchParameter>,
}

/// A search parameter that R4 defines.
#[derive(Debug)]
pub(crate) struct SearchParameter {
    /// Code of the value set search-param-type.
    pub(crate) kind: &'static str,
    /// The resource types it is for.
    pub(crate) bases: Vec<&'static str>,
}

/// What an extension of HL7's own may hold and where it may stand.
#[derive(Debug)]
pub(crate) struct ExtensionDefinition {
    pub(crate) is_modifier: bool,
    /// The types of its value; none where it is made of parts.
    pub(crate) types: Vec<&'static str>,
    pub(crate) bindings: Vec<(Strength, u16)>,
    /// Paths of elements, or names of types, that it may stand in.
    pub(crate) contexts: Vec<&'static str>,
    pub(crate) parts: Vec<ExtensionPart>,
}

/// A part of an extension that has no value of its own.
#[derive(Debug)]
pub(crate) struct ExtensionPart {
    pub(crate) name: &'static str,
    pub(crate) min: u32,
    pub(crate) max: Option<u32>,
    pub(crate) types: Vec<&'static str>,
    pub(crate) bindings: Vec<(Strength, u16)>,
}

/// Place of a type in [`Definitions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TypeId(pub(crate) u16);

/// What kind of type it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeKind {
    /// A single value, such as `dateTime`.
    Primitive,
    /// A data type with elements, such as `HumanName`.
    Complex,
    /// A group of elements inside another type, such as `Patient.contact`.
    Backbone,
    /// A resource.
    Resource,
}

/// A type and its elements.
#[derive(Debug)]
pub(crate) struct Type {
    name: &'static str,
    kind: TypeKind,
    /// Instances cannot have this very type.
    is_abstract: bool,
    /// The type it is derived from; empty for the roots.
    base: &'static str,
    pub(crate) primitive: Option<Primitive>,
    /// Inherited ones first.
    pub(crate) elements: Vec<Element>,
    pub(crate) invariants: Vec<u16>,
    pub(crate) native: NativeType,
    fields: TableMap<Box<str>, FieldAt>,
}

/// Types that rules beyond their elements apply to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NativeType {
    Attachment,
    Bundle,
    CodeableConcept,
    Coding,
    Extension,
    Identifier,
    Other,
    Quantity,
    Reference,
}

/// An element of a type.
#[derive(Debug)]
pub(crate) struct Element {
    name: &'static str,
    path_name: &'static str,
    min: u32,
    max: Option<u32>,
    types: Vec<ElementType>,
    pub(crate) bindings: Vec<(Strength, u16)>,
    pub(crate) invariants: Vec<u16>,
}

/// A type an element may have.
#[derive(Debug)]
pub(crate) struct ElementType {
    name: &'static str,
    pub(crate) id: TypeId,
    targets: Vec<&'static str>,
}

/// A rule of a type or element, as a FHIRPath expression.
#[derive(Debug)]
pub struct Invariant {
    /// Its id, for example `obs-6`.
    pub key: &'static str,
    /// Whether breaking it is an error (else a warning).
    pub is_error: bool,
    /// HL7's own description.
    pub human: &'static str,
    /// The FHIRPath expression that must be true.
    pub expression: &'static str,
    pub(crate) check: Option<crate::invariant::Check>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldAt {
    pub(crate) element: u16,
    pub(crate) choice: u16,
}

/// What a JSON name means in a type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'d> {
    /// The element, for example `value[x]`.
    pub(crate) element: &'d Element,
    /// The type chosen by the name, for example `Quantity`.
    pub(crate) element_type: &'d ElementType,
}

impl Definitions {
    /// FHIR R4, 4.0.1.
    pub(crate) fn r4() -> &'static Self {
        static R4: OnceLock<Definitions> = OnceLock::new();
        // The table is part of the program: a test reads it, so it can only fail while it is being regenerated.
        R4.get_or_init(|| table::read(TABLE).expect("the embedded table of definitions is well formed"))
    }

    /// The resource types that instances can have.
    pub(crate) fn resource_types(&self) -> impl Iterator<Item = &Type> {
        self.types.iter().filter(|kind| kind.kind == TypeKind::Resource && !kind.is_abstract)
    }

    /// A type by its name: `Patient`, `HumanName`, `Patient.contact`, `dateTime`.
    pub(crate) fn type_named(&self, name: &str) -> Option<&Type> {
        self.by_name.get(name).and_then(|id| self.types.get(usize::from(id.0)))
    }

    /// A resource type by its name.
    pub(crate) fn resource_type(&self, name: &str) -> Option<&Type> {
        self.type_named(name).filter(|kind| kind.kind == TypeKind::Resource && !kind.is_abstract)
    }

    pub(crate) fn typed(&self, id: TypeId) -> &Type {
        // Ids are made by the table's reader, from places in this very list.
        &self.types[usize::from(id.0)]
    }

    /// A code system that R4 publishes completely; None for others, such as LOINC.
    pub(crate) fn code_system(&self, url: &str) -> Option<&CodeSystem> {
        self.code_systems.get(url)
    }

    /// An extension of HL7's own (`http://hl7.org/fhir/StructureDefinition/…`); None if R4 does not define it.
    pub(crate) fn extension(&self, url: &str) -> Option<&ExtensionDefinition> {
        self.extensions.get(url)
    }

    /// A search parameter of R4 by its URL (`http://hl7.org/fhir/SearchParameter/…`), with or without the version.
    pub(crate) fn search_parameter(&self, url: &str) -> Option<&SearchParameter> {
        let url = url.strip_suffix("|4.0.1").unwrap_or(url);
        self.search_parameters.get(url.strip_prefix("http://hl7.org/fhir/SearchParameter/")?)
    }

    /// The URLs of HL7's own extensions.
    pub(crate) fn extension_urls(&self) -> impl Iterator<Item = &'static str> {
        self.extensions.keys().copied()
    }
}

impl Type {
    /// Its name; a group's name is its path.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Its kind.
    pub(crate) const fn kind(&self) -> TypeKind {
        self.kind
    }

    /// Whether it is a type or derived from it.
    pub(crate) fn is_a(&self, definitions: &Definitions, name: &str) -> bool {
        let mut ancestor = Some(self);
        let mut base = self.base;
        while let Some(kind) = ancestor {
            if kind.name == name {
                return true;
            }
            base = kind.base;
            ancestor = definitions.type_named(base);
        }
        base == name
    }

    /// What a JSON name without leading underscore means here.
    pub(crate) fn field(&self, json_name: &str) -> Option<Field<'_>> {
        let at = self.field_at(json_name)?;
        let element = self.elements.get(usize::from(at.element))?;
        Some(Field { element, element_type: element.types.get(usize::from(at.choice))? })
    }

    pub(crate) fn field_at(&self, json_name: &str) -> Option<FieldAt> {
        self.fields.get(json_name).copied()
    }

    /// The JSON names of all elements, one for each type of a choice element.
    pub(crate) fn json_names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(AsRef::as_ref)
    }
}

impl Element {
    /// Its name as in the definition: `birthDate`, `value[x]`.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// The name as used in FHIRPath: without `[x]`.
    pub(crate) const fn path_name(&self) -> &'static str {
        self.path_name
    }

    /// Fewest values.
    pub(crate) const fn min(&self) -> u32 {
        self.min
    }

    /// Most values; None for any number.
    pub(crate) const fn max(&self) -> Option<u32> {
        self.max
    }

    /// Whether JSON writes it as a list.
    pub(crate) const fn is_list(&self) -> bool {
        !matches!(self.max, Some(0 | 1))
    }

    /// Whether its JSON name ends in its type.
    pub(crate) const fn is_choice(&self) -> bool {
        self.path_name.len() < self.name.len()
    }

    /// The types it may have: several only for a choice.
    pub(crate) fn types(&self) -> &[ElementType] {
        &self.types
    }
}

impl ElementType {
    /// The name of the type.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// For a Reference the resource types it may point to; empty for any.
    pub(crate) fn targets(&self) -> &[&'static str] {
        &self.targets
    }
}

/// A map whose keys come from the embedded table, so that no keyed hash is needed.
pub(crate) type TableMap<K, V> = HashMap<K, V, BuildHasherDefault<NameHasher>>;

/// Multiplies eight bytes at a time: names of elements and codes are short.
#[derive(Debug, Default)]
pub(crate) struct NameHasher(u64);

impl NameHasher {
    const fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95);
    }
}

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        // The table's index is made of the low bits, the product's better ones are the high.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let tail = rest.iter().fold(rest.len() as u64, |tail, byte| (tail << 8) | u64::from(*byte));
        self.add(tail);
    }

    fn write_u8(&mut self, byte: u8) {
        // `str` ends its bytes with one that cannot occur; the length above serves the same end.
        if byte != 0xFF {
            self.add(u64::from(byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_release() {
        let r4 = Definitions::r4();
        assert_eq!(r4.resource_types().count(), 146);
        let patient = r4.resource_type("Patient").unwrap();
        let deceased = patient.field("deceasedDateTime").unwrap();
        assert_eq!((deceased.element.name(), deceased.element_type.name()), ("deceased[x]", "dateTime"));
        assert_eq!(patient.field("name").unwrap().element.max(), None);
        let link = r4.type_named("Patient.link").unwrap();
        assert_eq!(link.field("other").unwrap().element_type.targets(), ["Patient", "RelatedPerson"]);
        assert!(r4.resource_type("DomainResource").is_none());
    }

    #[test]
    fn leaves_out_what_the_package_adds_to_r4() {
        let r4 = Definitions::r4();
        assert!(r4.type_named("Meta").unwrap().field("project").is_none());
        assert!(r4.resource_type("ResearchStudy").unwrap().field("label").is_none());
        assert!(r4.resource_type("Binary").unwrap().field("url").is_none());
        assert!(r4.type_named("Quantity").unwrap().field("comparator").is_some());
        assert!(r4.resource_type("SubscriptionStatus").is_none());
    }

    #[test]
    fn holds_the_search_parameters() {
        let r4 = Definitions::r4();
        let birth_date = "http://hl7.org/fhir/SearchParameter/individual-birthdate";
        let found = r4.search_parameter(birth_date).unwrap();
        assert_eq!(
            (found.kind, found.bases.as_slice()),
            ("date", ["Patient", "Person", "RelatedPerson"].as_slice())
        );
        assert!(r4.search_parameter(&format!("{birth_date}|4.0.1")).is_some());
        assert!(r4.search_parameter("http://example.org/SearchParameter/individual-birthdate").is_none());
    }

    #[test]
    fn every_choice_of_a_simple_quantity_is_named_quantity() {
        let rate = Definitions::r4().type_named("Dosage.doseAndRate").unwrap().field("rateQuantity").unwrap();
        assert_eq!(rate.element_type.name(), "SimpleQuantity");
    }
}
