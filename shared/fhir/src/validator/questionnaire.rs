//! Questionnaire: the questions that conditions refer to.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Path, Walk};
use crate::json::Value;
use crate::{ErrorCode, IssueType};

impl<'w> Walk<'w> {
    /// `enableWhen.question` is the linkId of another item, and not of one within the item that it enables (FHIR R4,
    /// Questionnaire.item.enableWhen.question).
    pub(super) fn questionnaire(&mut self, questionnaire: Value<'w>, path: &Path<'_>) {
        let mut links = HashMap::new();
        collect(questionnaire, &mut links);
        self.conditions(questionnaire, &links, path);
    }

    fn conditions(&mut self, owner: Value<'w>, links: &HashMap<Cow<'w, str>, u32>, path: &Path<'_>) {
        let items = path.member("item");
        for (index, item) in owner.get("item").into_iter().flat_map(Value::items).enumerate() {
            if self.is_over() {
                return;
            }
            let path = items.index(index);
            let list = path.member("enableWhen");
            let own = item.get_text("linkId");
            for (index, when) in item.get("enableWhen").into_iter().flat_map(Value::items).enumerate() {
                let Some(question) = when.get("question").filter(|question| question.is_text()) else {
                    continue;
                };
                let named = question.text();
                let message = match links.get(&named) {
                    None => "The question of this condition is the linkId of no item of the questionnaire.",
                    Some(_) if own.as_ref() == Some(&named) => {
                        "The condition of an item cannot depend on the item itself."
                    }
                    Some(&place) if item.spans(place) => {
                        "The condition of an item cannot depend on a question within it."
                    }
                    Some(_) => continue,
                };
                let at = list.index(index);
                let (code, error) = (IssueType::NotFound, ErrorCode::Unresolved);
                self.error(question, &at.member("question"), code, error, message.to_owned());
            }
            self.conditions(item, links, &path);
        }
    }
}

fn collect<'t>(owner: Value<'t>, links: &mut HashMap<Cow<'t, str>, u32>) {
    for item in owner.get("item").into_iter().flat_map(Value::items) {
        if let Some(link) = item.get_text("linkId") {
            links.entry(link).or_insert(item.id());
        }
        collect(item, links);
    }
}
