//! Conformance resources: what they say of search parameters and code systems that R4 defines.

use std::collections::HashSet;

use super::{Path, Walk};
use crate::fhirpath::{Expression, SyntaxError};
use crate::json::Value;
use crate::{ErrorCode, IssueType};

impl<'w> Walk<'w> {
    /// The type of a search parameter is that of its definition (FHIR R4, CapabilityStatement.rest.resource.searchParam.type).
    pub(super) fn supported_searches(&mut self, statement: Value<'w>, path: &Path<'_>) {
        let rests = path.member("rest");
        for (index, rest) in list(statement, "rest") {
            let rest_path = rests.index(index);
            let resources = rest_path.member("resource");
            for (index, resource) in list(rest, "resource") {
                let resource_path = resources.index(index);
                let searches = resource_path.member("searchParam");
                for (index, search) in list(resource, "searchParam") {
                    if self.is_over() {
                        return;
                    }
                    let Some(url) = search.get_text("definition") else { continue };
                    self.search_type(search, &url, &searches.index(index));
                }
            }
        }
    }

    /// The expression of a search parameter is FHIRPath, and what is composite has parts (FHIR R4, SearchParameter.expression
    /// and component).
    pub(super) fn search_parameter(&mut self, search: Value<'w>, path: &Path<'_>) {
        if let Some(expression) = search.get("expression").filter(|expression| expression.is_text())
            && let Err(SyntaxError::Unexpected { .. }) = Expression::parse(&expression.text())
        {
            let message = "The expression of a search parameter is FHIRPath; this is not.".to_owned();
            let at = path.member("expression");
            self.error(expression, &at, IssueType::Value, ErrorCode::Invariant, message);
        }
        let parts = search.get("component").into_iter().flat_map(Value::items).count();
        if parts < 2 && search.get_text("type").is_some_and(|kind| kind == "composite") {
            let message = "A composite search parameter has two components or more.".to_owned();
            let at = path.member("component");
            self.error(search, &at, IssueType::Required, ErrorCode::Invariant, message);
        }
        self.derived_search(search, path);
    }

    /// A search parameter has the type of the one it is derived from, and is for no other resources (FHIR R4,
    /// SearchParameter.derivedFrom).
    fn derived_search(&mut self, search: Value<'w>, path: &Path<'_>) {
        let Some(url) = search.get_text("derivedFrom") else { return };
        self.search_type(search, &url, path);
        let Some(origin) = self.definitions.search_parameter(&url) else { return };
        let bases = path.member("base");
        for (index, base) in list(search, "base") {
            let Some(name) = base.as_text() else { continue };
            let Some(kind) = self.definitions.type_named(&name) else { continue };
            if self.is_over() || origin.bases.iter().any(|base| kind.is_a(self.definitions, base)) {
                continue;
            }
            let message = format!(
                "The search parameter this one is derived from is for other resources: {}.",
                origin.bases.join(", ")
            );
            self.error(base, &bases.index(index), IssueType::Value, ErrorCode::Invariant, message);
        }
    }

    fn search_type(&mut self, search: Value<'w>, url: &str, path: &Path<'_>) {
        let Some(stated) = search.get("type").filter(|stated| stated.is_text()) else { return };
        let Some(definition) = self.definitions.search_parameter(url) else { return };
        if stated.text() != definition.kind {
            let message =
                format!("The type of this search parameter is {} by its definition.", definition.kind);
            self.error(stated, &path.member("type"), IssueType::Value, ErrorCode::Invariant, message);
        }
    }

    /// The URL that an extension is written with is that of its definition, and a profile as a whole has no slices (FHIR R4,
    /// 2.4.1 and 5.1.0.14).
    pub(super) fn element_definitions(&mut self, definition: Value<'w>, path: &Path<'_>) {
        let url = definition.get_text("url");
        let of_extension = definition.get_text("type").is_some_and(|kind| kind == "Extension")
            && definition.get_text("derivation").is_some_and(|derivation| derivation == "constraint");
        for view in ["differential", "snapshot"] {
            let Some(view_value) = definition.get(view) else { continue };
            let view_path = path.member(view);
            let elements = view_path.member("element");
            // Only an extension has something to look at beyond the first.
            let looked_at = if of_extension { usize::MAX } else { 1 };
            for (index, element) in list(view_value, "element").take(looked_at) {
                if self.is_over() {
                    return;
                }
                let at = elements.index(index);
                let slicing = element.get("slicing").filter(|_| index == 0);
                if let Some(slicing) = slicing
                    && element.get_text("path").is_some_and(|path| !path.contains('.'))
                {
                    let message = "A resource or data type as a whole cannot be sliced.".to_owned();
                    let at = at.member("slicing");
                    self.error(slicing, &at, IssueType::Structure, ErrorCode::Invariant, message);
                }
                if let Some(fixed) = element.get("fixedUri").filter(|fixed| of_extension && fixed.is_text())
                    && element.get_text("path").is_some_and(|path| path == "Extension.url")
                    && url.as_ref().is_some_and(|url| *url != fixed.text())
                {
                    let message = "The fixed URL of an extension is the URL of its definition.".to_owned();
                    let at = at.member("fixed");
                    self.error(fixed, &at, IssueType::Value, ErrorCode::Invariant, message);
                }
            }
        }
    }

    /// A code system that says it lists no code lists none, and defines each property once (FHIR R4, value set
    /// codesystem-content-mode; CodeSystem.property.code).
    pub(super) fn listed_codes(&mut self, system: Value<'w>, path: &Path<'_>) {
        let content = system.get_text("content");
        if content.as_deref() == Some("not-present")
            && let Some(concept) = system.get("concept")
        {
            let message = "The code system says that its content is not present; then it lists no concepts.";
            let at = path.member("concept");
            self.error(concept, &at, IssueType::Structure, ErrorCode::Invariant, message.to_owned());
        }
        let mut seen = HashSet::new();
        let properties = path.member("property");
        for (index, property) in list(system, "property") {
            let Some(code) = property.get("code").filter(|code| code.is_text()) else { continue };
            if !self.is_over() && !seen.insert(code.text()) {
                let message = "Two properties of the code system have the same code.".to_owned();
                let at = properties.index(index);
                self.error(code, &at.member("code"), IssueType::Duplicate, ErrorCode::Invariant, message);
            }
        }
    }

    /// Code systems are named by their absolute URI (FHIR R4, ValueSet.compose.include.system); HL7's own examples name a
    /// contained one by `#id`, so that is let be.
    pub(super) fn included_systems(&mut self, set: Value<'w>, path: &Path<'_>) {
        let Some(compose) = set.get("compose") else { return };
        let path = path.member("compose");
        for name in ["include", "exclude"] {
            let sets = path.member(name);
            for (index, set) in list(compose, name) {
                if self.is_over() {
                    return;
                }
                let local = set.get_text("system").is_some_and(|system| system.starts_with('#'));
                if !local {
                    self.absolute_system(set, &sets.index(index));
                }
            }
        }
    }
}

fn list<'t>(owner: Value<'t>, name: &str) -> impl Iterator<Item = (usize, Value<'t>)> {
    owner.get(name).into_iter().flat_map(Value::items).enumerate()
}
