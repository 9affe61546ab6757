//! Resources: at the root, in Bundle entries, contained, in Parameters.

use super::bundle::BundleIndex;
use super::contained::ContainedIndex;
use super::element::Typed;
use super::{Path, Scope, Walk, suggest};
use crate::definitions::NativeType;
use crate::json::{Kind, Value};
use crate::{ErrorCode, IssueType};

/// Where a resource stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Contained,
    Embedded,
}

impl<'w> Walk<'w> {
    /// A resource as the value of an element.
    pub(super) fn inner_resource(
        &mut self,
        typed: Typed<'w>,
        value: Value<'w>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        let place = if typed.element.name() == "contained" { Place::Contained } else { Place::Embedded };
        self.within.push((typed.owner, typed.element));
        self.resource(value, Some(path), Some(scope), place);
        self.within.pop();
    }

    /// Walks a resource by its own resourceType.
    pub(super) fn resource(
        &mut self,
        value: Value<'w>,
        path: Option<&Path<'_>>,
        outer: Option<&Scope<'_, 'w>>,
        place: Place,
    ) {
        let nowhere = Path::UNKNOWN;
        let named = path.unwrap_or(&nowhere);
        if value.kind() != Kind::Object {
            let message = format!("A resource is a JSON object; this is {}.", value.kind().described());
            self.error(value, named, IssueType::Structure, ErrorCode::JsonType, message);
            return;
        }
        let Some(stated) = value.get("resourceType") else {
            let message =
                "resourceType is missing: a resource states its type, such as \"Patient\".".to_owned();
            self.error(value, named, IssueType::Required, ErrorCode::ResourceType, message);
            return;
        };
        let Some(resource_type) = stated.as_text() else {
            let message = "resourceType is a text, such as \"Patient\".".to_owned();
            self.error(stated, named, IssueType::Structure, ErrorCode::ResourceType, message);
            return;
        };
        let definitions = self.definitions;
        let Some(kind) = definitions.resource_type(&resource_type) else {
            let names = definitions.resource_types().map(|known| known.name());
            let message = match suggest::closest(&resource_type, names) {
                Some(close) => format!("FHIR R4 has no resource of this type; did you mean '{close}'?"),
                None => "FHIR R4 has no resource of this type.".to_owned(),
            };
            self.error(stated, named, IssueType::Structure, ErrorCode::ResourceType, message);
            return;
        };
        let root = Path::root(kind.name());
        let path = path.unwrap_or(&root);
        let index = (kind.native == NativeType::Bundle).then(|| BundleIndex::of(value));
        let own =
            if place == Place::Contained { ContainedIndex::default() } else { ContainedIndex::of(value) };
        let contained_in = outer.filter(|_| place == Place::Contained);
        let scope = Scope {
            resource: value,
            root: contained_in.map_or(value, |outer| outer.root),
            contained: contained_in.map_or(&own, |outer| outer.contained),
            bundle: index.as_ref().or_else(|| outer.and_then(|outer| outer.bundle)),
        };
        let outer_ids = self.ids.len();
        self.object(value, kind, path, &scope);
        // A StructureDefinition lists the same elements in two views.
        if kind.name() != "StructureDefinition" {
            self.distinct_ids(outer_ids, path);
        }
        self.ids.truncate(outer_ids);
        match kind.name() {
            "Questionnaire" => self.questionnaire(value, path),
            "CapabilityStatement" => self.supported_searches(value, path),
            "CodeSystem" => self.listed_codes(value, path),
            "SearchParameter" => self.search_parameter(value, path),
            "StructureDefinition" => self.element_definitions(value, path),
            "ValueSet" => self.included_systems(value, path),
            _ => {}
        }
        if value.get("contained").is_some() {
            self.contained(value, path, place);
        }
        if let Some(index) = &index {
            let outermost = outer.is_none_or(|outer| outer.bundle.is_none());
            self.bundle(value, index, outermost, path);
        }
        self.profiles(value, kind, path, &scope, place);
    }

    /// The ids of elements are unique within their resource (FHIR R4, 2.24.0.2).
    fn distinct_ids(&mut self, from: usize, path: &Path<'_>) {
        let tape = self.tape;
        let mut ids: Vec<_> =
            self.ids.iter().skip(from).filter_map(|&at| Some((tape.value(at)?.as_text()?, at))).collect();
        ids.sort_unstable();
        for pair in ids.windows(2) {
            if let [(left, _), (right, at)] = pair
                && left == right
                && let Some(id) = tape.value(*at)
                && !self.is_over()
            {
                let message = "Two elements of this resource have the same id.".to_owned();
                self.error(id, path, IssueType::Duplicate, ErrorCode::Format, message);
            }
        }
    }
}
