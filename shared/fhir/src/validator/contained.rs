//! Contained resources (FHIR R4, 2.30.4).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::resource::Place;
use super::{Path, Walk};
use crate::json::Value;
use crate::{ErrorCode, IssueType};

/// The contained resources of one resource by their id; the first of an id counts.
#[derive(Debug, Default)]
pub(crate) struct ContainedIndex<'t> {
    by_id: HashMap<Cow<'t, str>, Value<'t>>,
}

impl<'t> ContainedIndex<'t> {
    pub(super) fn of(container: Value<'t>) -> Self {
        let mut index = Self::default();
        for resource in container.get("contained").into_iter().flat_map(Value::items) {
            if let Some(id) = resource.get_text("id") {
                index.by_id.entry(id).or_insert(resource);
            }
        }
        index
    }

    pub(super) fn get(&self, id: &str) -> Option<Value<'t>> {
        self.by_id.get(id).copied()
    }
}

impl<'w> Walk<'w> {
    pub(super) fn contained(&mut self, container: Value<'w>, path: &Path<'_>, place: Place) {
        let Some(list) = container.get("contained") else { return };
        let path = path.member("contained");
        if place == Place::Contained {
            self.broken(
                list,
                &path,
                "dom-2",
                ErrorCode::Contained,
                "A contained resource contains no further ones",
            );
            return;
        }
        // Every text that starts with # may be a reference to a contained resource: reference, canonical, uri and url;
        // a narrative refers to an image by the src or href of an element (FHIR R4, 2.4.0).
        let mut referenced: HashSet<String> = HashSet::new();
        let mut to_container: Vec<u32> = Vec::new();
        for value in container.texts() {
            let text = value.text();
            match text.strip_prefix('#') {
                Some("") => to_container.push(value.id()),
                Some(id) => {
                    referenced.insert(id.to_owned());
                }
                None if text.starts_with("<div") => referenced.extend(narrative_links(&text)),
                None => {}
            }
        }
        to_container.sort_unstable();
        let mut ids = HashSet::new();
        for (index, resource) in list.items().enumerate() {
            if self.is_over() {
                break;
            }
            let path = path.index(index);
            let Some(id) = resource.get("id").and_then(Value::as_text) else {
                let message = "A contained resource needs an id, so that it can be referred to.".to_owned();
                self.error(resource, &path, IssueType::Required, ErrorCode::Contained, message);
                continue;
            };
            let first = to_container.partition_point(|&text| text < resource.id());
            let points_out = to_container.get(first).is_some_and(|&text| resource.spans(text));
            if !referenced.contains(&*id) && !points_out {
                let message = "A contained resource must be referred to from the resource around it";
                self.broken(resource, &path, "dom-3", ErrorCode::Contained, message);
            }
            if !ids.insert(id.into_owned()) {
                let message = "Two contained resources have the same id.".to_owned();
                self.error(resource, &path, IssueType::Duplicate, ErrorCode::Contained, message);
            }
            let Some(meta) = resource.get("meta") else { continue };
            if meta.get("versionId").is_some() || meta.get("lastUpdated").is_some() {
                let message = "A contained resource has no version and no time of update";
                self.broken(meta, &path.member("meta"), "dom-4", ErrorCode::Contained, message);
            }
            if meta.get("security").is_some() {
                let message = "A contained resource has no security labels of its own";
                self.broken(meta, &path.member("meta"), "dom-5", ErrorCode::Contained, message);
            }
        }
    }
}

/// The ids that `src="#id"` and `href="#id"` of a narrative name.
fn narrative_links(narrative: &str) -> impl Iterator<Item = String> + use<'_> {
    let attributes = ["src", "href"].into_iter().flat_map(move |name| {
        narrative.match_indices(name).filter_map(move |(at, _)| narrative.get(at + name.len()..))
    });
    attributes.filter_map(|rest| {
        let value = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, _) = value.get(1..)?.split_once(quote)?;
        value.strip_prefix('#').map(str::to_owned)
    })
}
