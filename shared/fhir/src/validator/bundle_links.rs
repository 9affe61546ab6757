//! What ties a Bundle together: its links, and the way from its first entry to the others.

use std::collections::HashMap;

use super::bundle::BundleIndex;
use super::{Path, Walk};
use crate::json::Value;
use crate::{ErrorCode, IssueType, Severity};

const PAGES: [&str; 4] = ["first", "previous", "next", "last"];

impl<'w> Walk<'w> {
    pub(super) fn links(&mut self, bundle: Value<'w>, index: &BundleIndex<'w>, path: &Path<'_>) {
        let paged = index.is("searchset") || index.is("history");
        let list = path.member("link");
        let mut seen: Vec<&str> = Vec::new();
        for (number, link) in bundle.get("link").into_iter().flat_map(Value::items).enumerate() {
            let Some(relation) = link.get("relation").filter(|relation| relation.is_text()) else { continue };
            let text = relation.text();
            let known = PAGES.into_iter().chain(["self"]).find(|known| *known == text);
            let Some(known) = known else { continue };
            let message = if seen.contains(&known) {
                "A Bundle has one link of this relation."
            } else if !paged && known != "self" {
                "Only results of a search and histories come in pages; this Bundle is of another type."
            } else {
                seen.push(known);
                continue;
            };
            let at = list.index(number);
            let at = at.member("relation");
            self.error(relation, &at, IssueType::Invalid, ErrorCode::Bundle, message.to_owned());
        }
    }

    /// In a document every entry is linked with the Composition, in a message with the MessageHeader, on whatever way and
    /// in either direction (FHIR R4, 3.3.1 and 2.5.4).
    pub(super) fn reachable(&mut self, bundle: Value<'w>, index: &BundleIndex<'w>, path: &Path<'_>) {
        let entries: Vec<(usize, Value<'w>)> = bundle
            .get("entry")
            .into_iter()
            .flat_map(Value::items)
            .enumerate()
            .filter_map(|(number, entry)| Some((number, entry.get("resource")?)))
            .collect();
        let nodes: HashMap<u32, usize> =
            entries.iter().enumerate().map(|(node, (_, resource))| (resource.id(), node)).collect();
        let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); entries.len()];
        let mut connect = |from: usize, to: usize| {
            for (from, to) in [(from, to), (to, from)] {
                if let Some(list) = neighbours.get_mut(from) {
                    list.push(to);
                }
            }
        };
        for (from, (_, resource)) in entries.iter().enumerate() {
            for text in resource.texts().filter(|text| text.raw().contains(['/', ':'])) {
                let target = index.resolve(&text.text()).and_then(|target| nodes.get(&target.id()));
                if let Some(&to) = target.filter(|&&to| to != from) {
                    connect(from, to);
                }
            }
        }
        for url in
            bundle.get("link").into_iter().flat_map(Value::items).filter_map(|link| link.get_text("url"))
        {
            if let Some(&to) = index.resolve(&url).and_then(|target| nodes.get(&target.id())) {
                connect(0, to);
            }
        }
        let mut seen = vec![false; entries.len()];
        let mut open = vec![0];
        while let Some(node) = open.pop() {
            if seen.get(node) == Some(&false) {
                seen[node] = true;
                open.extend(neighbours.get(node).into_iter().flatten());
            }
        }
        let severity = if index.is("document") { Severity::Error } else { Severity::Warning };
        let list = path.member("entry");
        for ((number, resource), _) in entries.iter().zip(seen).filter(|(_, seen)| !seen) {
            let message = "No reference links this entry with the first one, on any way.".to_owned();
            let at = list.index(*number);
            self.report(severity, *resource, &at, IssueType::Invalid, ErrorCode::Bundle, message);
        }
    }
}
