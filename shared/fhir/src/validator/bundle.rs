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
    /// Resources that state a version, by URL or type and id, and that version.
    by_version: HashMap<(Cow<'t, str>, Cow<'t, str>), Value<'t>>,
}

impl<'t> BundleIndex<'t> {
    pub(super) fn of(bundle: Value<'t>) -> Self {
        let mut index = Self {
            kind: bundle.get_text("type"),
            by_url: HashMap::new(),
            by_id: HashMap::new(),
            by_version: HashMap::new(),
        };
        for entry in bundle.get("entry").into_iter().flat_map(Value::items) {
            let Some(resource) = entry.get("resource") else { continue };
            let url = entry.get_text("fullUrl");
            let named = resource.get_text("resourceType").zip(resource.get_text("id"));
            let relative = named.map(|(name, id)| format!("{name}/{id}"));
            // A relative reference leads to a URL of a server, never to a urn: (FHIR R4, 2.36.4.1).
            let relative = relative.filter(|relative| url.as_ref().is_none_or(|url| ends_in(url, relative)));
            if let Some(version) = resource.get("meta").and_then(|meta| meta.get_text("versionId")) {
                let names = [url.clone(), relative.clone().map(Cow::Owned)];
                for name in names.into_iter().flatten() {
                    index.by_version.entry((name, version.clone())).or_insert(resource);
                }
            }
            if let Some(url) = url {
                index.by_url.entry(url).or_insert(resource);
            }
            if let Some(relative) = relative {
                index.by_id.entry(relative).or_insert(resource);
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

    /// The entry a reference means: by fullUrl, or by type and id for a relative one; one that names a version means the
    /// resource with that `meta.versionId` (FHIR R4, 2.36.4.1).
    pub(super) fn resolve(&self, reference: &str) -> Option<Value<'t>> {
        if let Some((current, version)) = reference.split_once("/_history/") {
            let key = (Cow::Borrowed(current), Cow::Borrowed(version));
            return self.by_version.get(&key).copied();
        }
        self.by_url.get(reference).or_else(|| self.by_id.get(reference)).copied()
    }
}

/// Whether a URL is a server's, with a type and id at its end.
fn ends_in(url: &str, relative: &str) -> bool {
    url.strip_suffix(relative).is_some_and(|server| server.is_empty() || server.ends_with('/'))
}

impl<'w> Walk<'w> {
    pub(super) fn bundle(
        &mut self,
        bundle: Value<'w>,
        index: &BundleIndex<'w>,
        outermost: bool,
        path: &Path<'_>,
    ) {
        self.links(bundle, index, path);
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
            if index.is("searchset") {
                self.found(entry, &path);
            }
            if let Some(request) = entry.get("request") {
                self.request(request, resource, &path.member("request"));
            }
            if let Some(response) = entry.get("response") {
                self.response(response, &path.member("response"));
            }
            let Some(full_url) = entry.get("fullUrl").filter(|url| url.is_text()) else {
                let exchange = index.is_transaction() || (response && !history);
                if !exchange && entry.get("_fullUrl").is_none() {
                    self.no_full_url(entry, resource, &path);
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
        // A Bundle in a Bundle is content: looking through each again would take time by its depth.
        if outermost && (index.is("document") || index.is("message")) {
            self.reachable(bundle, index, path);
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

    /// Results of operations may hold resources that nothing can refer to: OperationOutcomes (FHIR R4, 2.36.4).
    fn no_full_url(&mut self, entry: Value<'w>, resource: Option<Value<'w>>, path: &Path<'_>) {
        let name = resource.and_then(|resource| resource.get_text("resourceType"));
        if resource.is_none() || name.is_some_and(|name| name == "OperationOutcome") {
            return;
        }
        let message = "An entry has a fullUrl, so that other entries can refer to it.".to_owned();
        self.error(entry, &path.member("fullUrl"), IssueType::Required, ErrorCode::Bundle, message);
    }

    /// An entry of a search result.
    fn found(&mut self, entry: Value<'w>, path: &Path<'_>) {
        let Some(resource) = entry.get("resource") else {
            let message = "An entry of a search result has a resource.".to_owned();
            self.error(entry, path, IssueType::Required, ErrorCode::Bundle, message);
            return;
        };
        let mode = entry.get("search").and_then(|search| search.get_text("mode"));
        let outcome = resource.get_text("resourceType").is_some_and(|name| name == "OperationOutcome");
        let message = match mode.as_deref() {
            Some("outcome") if !outcome => "A search result of mode outcome is an OperationOutcome.",
            Some("match" | "include") if resource.get("id").is_none() => {
                "A resource found by a search has an id."
            }
            _ => return,
        };
        self.error(
            resource,
            &path.member("resource"),
            IssueType::Invalid,
            ErrorCode::Bundle,
            message.to_owned(),
        );
    }

    /// What an entry asks a server to do.
    fn request(&mut self, request: Value<'w>, resource: Option<Value<'w>>, path: &Path<'_>) {
        let method = request.get_text("method");
        let Some(url) = request.get("url").filter(|url| url.is_text()) else { return };
        let text = url.text();
        let addressed = text.split(['?', '/']).next().unwrap_or("");
        let name = resource.and_then(|resource| resource.get_text("resourceType"));
        let at = path.member("url");
        let message = match (method.as_deref(), &name) {
            (Some("PUT"), None) => "PUT sends a resource; this entry has none.",
            (Some("PUT" | "PATCH" | "DELETE"), _) if !text.contains(['/', '?']) => {
                "This request names a resource: Type/id, or Type?parameters for a conditional one."
            }
            (Some("PUT" | "POST"), Some(name))
                if addressed != name
                    && !text.contains('$')
                    && self.definitions.resource_type(addressed).is_some() =>
            {
                "The type in the url of the request is not that of the resource."
            }
            _ => return,
        };
        self.error(url, &at, IssueType::Invalid, ErrorCode::Bundle, message.to_owned());
    }

    /// `Bundle.entry.response.status`: "The status SHALL start with a 3 digit HTTP code".
    fn response(&mut self, response: Value<'w>, path: &Path<'_>) {
        let Some(status) = response.get("status").filter(|status| status.is_text()) else { return };
        let text = status.text();
        let (code, rest) = text.split_at_checked(3).unwrap_or(("", &text));
        if !code.bytes().all(|digit| digit.is_ascii_digit())
            || rest.starts_with(|next: char| next.is_ascii_digit())
            || code.is_empty()
        {
            let message = "The status starts with the three digits of an HTTP status, such as 201 Created.";
            self.error(
                status,
                &path.member("status"),
                IssueType::Value,
                ErrorCode::Bundle,
                message.to_owned(),
            );
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
        let Some(name) = resource.get_text("resourceType") else { return };
        let id = resource.get_text("id").unwrap_or_default();
        let mut segments = url.rsplit('/');
        let (last, before) = (segments.next().unwrap_or(""), segments.next().unwrap_or(""));
        let restful = url.starts_with("http") && self.definitions.resource_type(before).is_some();
        if restful && (last != id || before != name) {
            let message = "The fullUrl does not agree with the type and id of the resource.".to_owned();
            self.error(full_url, path, IssueType::Invalid, ErrorCode::Bundle, message);
        }
    }
}
