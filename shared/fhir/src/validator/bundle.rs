//! Bundle: the entries by their URL, and the rules that tie entries to the type of the Bundle.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::{Path, Walk};
use crate::json::Value;
use crate::primitive::is_absolute;
use crate::{ErrorCode, IssueType};

/// The resources of a Bundle by what a reference may call them.
#[derive(Debug)]
pub(crate) struct BundleIndex<'t> {
    kind: Option<Cow<'t, str>>,
    by_url: HashMap<Cow<'t, str>, Value<'t>>,
    by_id: HashMap<String, Value<'t>>,
}

impl<'t> BundleIndex<'t> {
    pub(super) fn of(bundle: Value<'t>) -> Self {
        let mut index = Self { kind: bundle.get_text("type"), by_url: HashMap::new(), by_id: HashMap::new() };
        for entry in bundle.get("entry").into_iter().flat_map(Value::items) {
            let Some(resource) = entry.get("resource") else { continue };
            if let Some(url) = entry.get_text("fullUrl") {
                index.by_url.entry(url).or_insert(resource);
            }
            if let (Some(name), Some(id)) = (resource.get_text("resourceType"), resource.get_text("id")) {
                index.by_id.entry(format!("{name}/{id}")).or_insert(resource);
            }
        }
        index
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    pub(super) fn is_transaction(&self) -> bool {
        self.is("transaction") || self.is("batch")
    }

    /// The entry a reference means: by fullUrl, or by type and id for a relative one (FHIR R4, 2.36.4.1).
    pub(super) fn resolve(&self, reference: &str) -> Option<Value<'t>> {
        let current = reference.split("/_history/").next().unwrap_or(reference);
        let by_url = self.by_url.get(reference).or_else(|| self.by_url.get(current));
        by_url.or_else(|| self.by_id.get(current)).copied()
    }
}

impl<'w> Walk<'w> {
    pub(super) fn bundle(&mut self, bundle: Value<'w>, index: &BundleIndex<'w>, path: &Path<'_>) {
        let entries = path.member("entry");
        let history = index.is("history");
        let request = index.is_transaction() || history;
        let response = index.is("batch-response") || index.is("transaction-response") || history;
        let mut seen: HashSet<(Cow<'w, str>, Option<Cow<'w, str>>)> = HashSet::new();
        for (number, entry) in bundle.get("entry").into_iter().flat_map(Value::items).enumerate() {
            if self.is_over() {
                break;
            }
            let path = entries.index(number);
            if index.kind.is_some() {
                self.exchange(entry, "request", request, "bdl-3", &path);
                self.exchange(entry, "response", response, "bdl-4", &path);
            }
            let resource = entry.get("resource");
            if resource.is_none() && entry.get("request").is_none() && entry.get("response").is_none() {
                let message = "An entry holds a resource, a request or a response";
                self.broken(entry, &path, "bdl-5", ErrorCode::Bundle, message);
            }
            let Some(full_url) = entry.get("fullUrl").filter(|url| url.is_text()) else {
                if resource.is_some() && !index.is_transaction() && !response {
                    self.no_full_url(entry, index, &path);
                }
                continue;
            };
            let version = resource
                .and_then(|resource| resource.get("meta"))
                .and_then(|meta| meta.get_text("versionId"));
            if !history && !seen.insert((full_url.text(), version)) {
                let message = "Two entries have the same fullUrl and version";
                self.broken(full_url, &path.member("fullUrl"), "bdl-7", ErrorCode::Bundle, message);
            }
            self.full_url(full_url, resource, &path.member("fullUrl"));
        }
    }

    /// `request` and `response` go with some types of Bundle and with no other.
    fn exchange(&mut self, entry: Value<'w>, name: &str, wanted: bool, rule: &'static str, path: &Path<'_>) {
        match (entry.get(name), wanted) {
            (None, true) => {
                let message = format!("An entry of this type of Bundle has a {name}");
                self.broken(entry, path, rule, ErrorCode::Bundle, &message);
            }
            (Some(held), false) => {
                let message = format!("An entry of this type of Bundle has no {name}");
                self.broken(held, &path.member(name), rule, ErrorCode::Bundle, &message);
            }
            _ => {}
        }
    }

    fn no_full_url(&mut self, entry: Value<'w>, index: &BundleIndex<'w>, path: &Path<'_>) {
        let path = path.member("fullUrl");
        let message = "An entry has a fullUrl, so that other entries can refer to it.".to_owned();
        if index.is("document") || index.is("message") {
            self.error(entry, &path, IssueType::Required, ErrorCode::Bundle, message);
        } else {
            self.warn(entry, &path, IssueType::Required, ErrorCode::Bundle, message);
        }
    }

    fn full_url(&mut self, full_url: Value<'w>, resource: Option<Value<'w>>, path: &Path<'_>) {
        let url = full_url.text();
        if url.contains("/_history/") {
            let message = "A fullUrl names the resource, not one version of it";
            self.broken(full_url, path, "bdl-8", ErrorCode::Bundle, message);
            return;
        }
        if !is_absolute(&url) {
            let message = "A fullUrl is absolute: http(s)://…, urn:uuid:… or urn:oid:….".to_owned();
            self.error(full_url, path, IssueType::Value, ErrorCode::Bundle, message);
            return;
        }
        let Some(resource) = resource else { return };
        let (Some(name), Some(id)) = (resource.get_text("resourceType"), resource.get_text("id")) else {
            return;
        };
        let mut segments = url.rsplit('/');
        let (last, before) = (segments.next().unwrap_or(""), segments.next().unwrap_or(""));
        let restful = url.starts_with("http") && self.definitions.resource_type(before).is_some();
        if restful && (last != id || before != name) {
            let message = "The fullUrl does not agree with the type and id of the resource.".to_owned();
            self.error(full_url, path, IssueType::Invalid, ErrorCode::Bundle, message);
        }
    }
}
