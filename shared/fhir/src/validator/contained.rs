//! Contained resources (FHIR R4, 2.30.4).

use std::collections::HashSet;

use super::resource::Place;
use super::{Path, Walk};
use crate::json::Value;
use crate::{ErrorCode, IssueType};

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
        // Every text that starts with # may be a reference to a contained resource: reference, canonical, uri and url.
        let mut referenced: HashSet<String> = HashSet::new();
        let mut to_container: Vec<Value<'w>> = Vec::new();
        for text in container.texts().filter(|text| text.raw().starts_with('#')) {
            if text.raw() == "#" {
                to_container.push(text);
            } else {
                referenced.insert(text.text().trim_start_matches('#').to_owned());
            }
        }
        let mut ids = HashSet::new();
        for (index, resource) in list.items().enumerate() {
            let path = path.index(index);
            let Some(id) = resource.get("id").and_then(Value::as_text) else {
                let message = "A contained resource needs an id, so that it can be referred to.".to_owned();
                self.error(resource, &path, IssueType::Required, ErrorCode::Contained, message);
                continue;
            };
            let points_out = to_container.iter().any(|text| resource.contains(*text));
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
