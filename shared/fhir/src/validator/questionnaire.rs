//! Questionnaire: the questions that conditions refer to.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Path, Walk};
use crate::json::Value;
use crate::{ErrorCode, IssueType};

impl<'w> Walk<'w> {
    /// `enableWhen.question` is the linkId of another item (FHIR R4, Questionnaire.item.enableWhen.question).
    pub(super) fn questionnaire(&mut self, questionnaire: Value<'w>, path: &Path<'_>) {
        let mut links = HashSet::new();
        collect(questionnaire, &mut links);
        self.conditions(questionnaire, &links, path);
    }

    fn conditions(&mut self, owner: Value<'w>, links: &HashSet<Cow<'w, str>>, path: &Path<'_>) {
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
                let message = if !links.contains(&named) {
                    "The question of this condition is the linkId of no item of the questionnaire."
                } else if own.as_ref() == Some(&named) {
                    "The condition of an item cannot depend on the item itself."
                } else {
                    continue;
                };
                let at = list.index(index);
                let (code, error) = (IssueType::NotFound, ErrorCode::Unresolved);
                self.error(question, &at.member("question"), code, error, message.to_owned());
            }
            self.conditions(item, links, &path);
        }
    }
}

fn collect<'t>(owner: Value<'t>, links: &mut HashSet<Cow<'t, str>>) {
    for item in owner.get("item").into_iter().flat_map(Value::items) {
        links.extend(item.get_text("linkId"));
        collect(item, links);
    }
}
