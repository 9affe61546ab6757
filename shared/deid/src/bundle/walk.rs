//! Walks a resource along the policy.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::residual::{Known, Minted};
use super::{ElementSpan, PSEUDONYM_SYSTEM, attachment, identity, residual, values};
use crate::policy::{Node, Rule, Treatment};
use crate::text::Tags;
use crate::{Action, Error, Gazetteer, Kind, OnUnreadable, Redactor, Report, Withheld};

/// Deepest nesting of elements.
const DEPTH: usize = 48;

/// What became of an element.
enum Treated {
    Kept(Value),
    /// Taken out; a required primitive is replaced by the reason.
    Gone,
}

pub(super) struct Walk<'w> {
    pub(super) redactor: &'w Redactor,
    pub(super) gazetteer: &'w Gazetteer,
    pub(super) ids: HashMap<String, String>,
    pub(super) sender: Option<&'w str>,
    pub(super) days: i64,
    /// The day against which ages are counted.
    pub(super) as_of: Option<Date>,
    pub(super) tags: Tags,
    pub(super) report: Report,
    /// Every pseudonym and UUID given out.
    pub(super) minted: Minted,
    /// What may not be released without being read: the first such element.
    pub(super) refused: Option<(String, Withheld)>,
    pub(super) spans: Vec<ElementSpan>,
    pub(super) path: String,
    pub(super) depth: usize,
}

impl<'w> Walk<'w> {
    /// A resource without identifiers; none when its type is not in the policy or a required element is lost.
    pub(super) fn resource(&mut self, resource: &Map<String, Value>) -> Result<Option<Value>, Error> {
        let Some(name) = resource.get("resourceType").and_then(Value::as_str) else { return Ok(None) };
        let policy = &self.redactor.policy;
        let (Some(common), Some(own)) = (policy.section("Resource"), policy.section(name)) else {
            return Ok(None);
        };
        if matches!(name, "Resource" | "Extension") || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Ok(None);
        }
        // A data type is not a resource: it has a section, but no resource has its name.
        if matches!(
            name,
            "Annotation"
                | "CodeableConcept"
                | "Coding"
                | "Period"
                | "Range"
                | "Ratio"
                | "Timing"
                | "Dosage"
                | "SampledData"
                | "Meta"
                | "Money"
                | "Address"
        ) {
            return Ok(None);
        }
        let kept = self.object(resource, own, Some(common))?;
        Ok(kept.map(|mut object| {
            // First, as it is written everywhere.
            object.shift_insert(0, "resourceType".to_owned(), json!(name));
            Value::Object(object)
        }))
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        node: &Node,
        common: Option<&Node>,
    ) -> Result<Option<Map<String, Value>>, Error> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Error::TooDeep { limit: DEPTH, path: self.path.clone() });
        }
        let mut kept = Map::new();
        let mut lost: HashSet<u32> = HashSet::new();
        let mut satisfied: HashSet<u32> = HashSet::new();
        let length = self.path.len();
        for (name, value) in object {
            if name == "resourceType" {
                continue;
            }
            if let Some(element) = name.strip_prefix('_') {
                let known = node.rules.get(element).is_some_and(|rule| rule.treatment != Treatment::Remove);
                if known && let Some(reason) = primitive_extension(value) {
                    if let Some(group) = node.rules.get(element).and_then(|rule| rule.required) {
                        satisfied.insert(group);
                    }
                    kept.entry(name.clone()).or_insert(reason);
                }
                continue;
            }
            let rule = node.rules.get(name).or_else(|| common?.rules.get(name)).copied();
            let rule = match (rule, name.as_str()) {
                (Some(rule), _) => rule,
                (None, "extension") => Rule { treatment: Treatment::Extension, kind: None, required: None },
                (None, _) => continue,
            };
            self.path.push('.');
            self.path.push_str(name);
            let treated = self.element(value, rule, object);
            self.path.truncate(length);
            match treated? {
                Treated::Kept(value) => {
                    satisfied.extend(rule.required);
                    kept.insert(name.clone(), value);
                }
                Treated::Gone => {
                    // A required primitive that cannot be kept says why; anything else that is required takes its parent along.
                    let primitive = !value.is_object() && !value.is_array();
                    let masked = matches!(rule.treatment, Treatment::BirthYear | Treatment::Binary)
                        || (primitive && rule.required.is_some() && rule.treatment != Treatment::Remove);
                    if masked {
                        kept.insert(format!("_{name}"), values::absent("masked"));
                        satisfied.extend(rule.required);
                    } else {
                        lost.extend(rule.required);
                    }
                }
            }
        }
        self.depth -= 1;
        let broken = lost.difference(&satisfied).next().is_some();
        Ok((!broken && !kept.is_empty()).then_some(kept))
    }

    fn element(&mut self, value: &Value, rule: Rule, parent: &Map<String, Value>) -> Result<Treated, Error> {
        if let Value::Array(items) = value {
            let mut kept = Vec::with_capacity(items.len());
            let length = self.path.len();
            for (index, item) in items.iter().enumerate() {
                self.path.push_str(&format!("[{index}]"));
                // FHIR has no arrays in arrays.
                let treated = if item.is_array() { Ok(Treated::Gone) } else { self.one(item, rule, parent) };
                self.path.truncate(length);
                if let Treated::Kept(item) = treated? {
                    kept.push(item);
                }
            }
            return Ok(if kept.is_empty() { Treated::Gone } else { Treated::Kept(Value::Array(kept)) });
        }
        self.one(value, rule, parent)
    }

    fn one(&mut self, value: &Value, rule: Rule, parent: &Map<String, Value>) -> Result<Treated, Error> {
        let kept = |value: Option<Value>| value.map_or(Treated::Gone, Treated::Kept);
        let policy = &self.redactor.policy;
        // Elements with parts.
        if let Value::Object(object) = value {
            return Ok(kept(match rule.treatment {
                Treatment::Node(index) => match policy.node(index) {
                    Some(node) => self.object(object, node, None)?.map(Value::Object),
                    None => None,
                },
                Treatment::Resource => self.resource(object)?,
                Treatment::Reference => self.reference(object)?,
                Treatment::Identifier => self.identifier(object, false)?,
                Treatment::PatientIdentifier => self.identifier(object, true)?,
                Treatment::Quantity => self.quantity(object),
                Treatment::Attachment => Some(self.attachment(object)),
                Treatment::Narrative => self.narrative(object),
                Treatment::Extension => self.extension(object)?,
                _ => {
                    self.count(rule.kind, Action::Removed);
                    None
                }
            }));
        }
        if matches!(rule.treatment, Treatment::Remove) {
            self.count(rule.kind, Action::Removed);
            return Ok(Treated::Gone);
        }
        let Value::String(text) = value else {
            // Numbers and booleans identify nobody where the policy keeps them.
            let plain = rule.treatment == Treatment::Keep && !value.is_null();
            return Ok(kept(plain.then(|| value.clone())));
        };
        let kind = rule.kind.unwrap_or(Kind::Other);
        let result = match rule.treatment {
            Treatment::Keep => Some(self.checked(text)),
            Treatment::Text => Some(self.text(text)),
            Treatment::Shift => self.dated(Action::Shifted, values::shift(text, self.days)),
            Treatment::BirthYear => {
                self.dated(Action::Generalised, values::birth_year(text, self.days, self.as_of))
            }
            Treatment::Zip => {
                self.count(Some(Kind::Location), Action::Generalised);
                values::zip(text)
            }
            Treatment::State if values::is_state(text) => Some(text.to_owned()),
            Treatment::State => {
                self.count(Some(kind), Action::Removed);
                None
            }
            Treatment::Country if values::is_country_code(text) => Some(text.to_owned()),
            Treatment::Country => Some(self.text(text)),
            Treatment::Pseudonym => {
                self.count(Some(kind), Action::Pseudonymised);
                Some(self.minted.add(self.redactor.pseudonym("", text)))
            }
            Treatment::Id => Some(self.id(text, parent)),
            Treatment::Reference => Some(self.url(text)),
            Treatment::Uri => Some(self.urn(text)),
            Treatment::Oid => {
                self.count(Some(kind), Action::Pseudonymised);
                Some(self.urn(text))
            }
            Treatment::RequestUrl => self.request_url(text),
            Treatment::System if values::public_system(text) => Some(self.checked(text)),
            Treatment::System => Some(self.urn(text)),
            Treatment::Code => Some(self.code(text, parent)),
            Treatment::Mask => {
                let kind = if rule.kind == Some(Kind::Location) { Kind::Organization } else { kind };
                self.count(Some(kind), Action::Tagged);
                Some(self.tags.tag(kind, text))
            }
            Treatment::Ward => Some(values::ward(text).unwrap_or_else(|| {
                self.count(Some(kind), Action::Tagged);
                self.tags.tag(kind, text)
            })),
            Treatment::Binary => self.binary(text, parent),
            _ => None,
        };
        Ok(kept(result.filter(|text| !text.trim().is_empty()).map(Value::String)))
    }

    fn count(&mut self, kind: Option<Kind>, action: Action) {
        if let Some(kind) = kind {
            self.report.element(kind, action);
        }
    }

    fn dated(&mut self, action: Action, date: Option<String>) -> Option<String> {
        self.count(Some(Kind::Date), action);
        date
    }

    /// Free text without identifiers, or the stub that says why it is not there.
    fn text(&mut self, text: &str) -> String {
        self.readable(text).unwrap_or_else(|reason| {
            self.withhold(Kind::Other, reason, self.redactor.config.unreadable_text);
            reason.stub()
        })
    }

    fn readable(&mut self, text: &str) -> Result<String, Withheld> {
        let redacted = self.redactor.read(text, self.gazetteer, &mut self.tags)?;
        for span in redacted.spans {
            self.report.span(span.kind, span.layer);
            self.spans.push(ElementSpan { path: self.path.clone(), span });
        }
        Ok(redacted.text)
    }

    fn withhold(&mut self, kind: Kind, reason: Withheld, then: OnUnreadable) {
        self.report.withhold(kind, reason);
        if then == OnUnreadable::Refuse {
            self.refused.get_or_insert_with(|| (self.path.clone(), reason));
        }
    }

    /// Codes stay unless they hold an identity. A date is none, but where code systems count their versions by it.
    fn checked(&mut self, text: &str) -> String {
        let known = Known { gazetteer: self.gazetteer, local: &self.redactor.local };
        let date = values::is_date(text) && !self.path.ends_with(".version");
        if date || residual::look(text, &known).is_some() { self.text(text) } else { text.to_owned() }
    }

    /// The keyed UUID that stands for a URI.
    fn urn(&self, uri: &str) -> String {
        self.minted.add(format!("urn:uuid:{}", identity::uuid(self.redactor, uri)))
    }

    fn code(&mut self, text: &str, coding: &Map<String, Value>) -> String {
        let system = coding.get("system").and_then(Value::as_str).unwrap_or("");
        if values::public_system(system) { self.checked(text) } else { self.text(text).replace(' ', "_") }
    }

    fn id(&self, text: &str, resource: &Map<String, Value>) -> String {
        // "#id" does not tell the type, so that a contained resource's id cannot depend on it.
        if self.path.contains(".contained[") {
            return self.contained(text);
        }
        let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or("");
        let seed = format!("{name}/{text}");
        self.minted.add(self.ids.get(&seed).cloned().unwrap_or_else(|| identity::uuid(self.redactor, &seed)))
    }

    /// A fullUrl, or a reference as a string.
    fn url(&self, text: &str) -> String {
        if let Some(uuid) = self.ids.get(text) {
            return self.minted.add(format!("urn:uuid:{uuid}"));
        }
        // "https://server/fhir/Patient/1/_history/2" is Patient/1.
        let unversioned = text.split("/_history/").next().unwrap_or(text);
        let mut steps = unversioned.rsplit('/');
        let (id, name) = (steps.next().unwrap_or(""), steps.next().unwrap_or(""));
        let local = format!("{name}/{id}");
        if let Some(uuid) = self.ids.get(&local) {
            return self.minted.add(format!("urn:uuid:{uuid}"));
        }
        if let Some(contained) = text.strip_prefix('#') {
            return self.minted.add(format!("#{}", self.contained(contained)));
        }
        let known = self.redactor.policy.section(name).is_some()
            && name.starts_with(|c: char| c.is_ascii_uppercase());
        if known && !id.is_empty() {
            return self.minted.add(format!("{name}/{}", identity::uuid(self.redactor, &local)));
        }
        self.urn(text)
    }

    /// The new id of a contained resource.
    fn contained(&self, id: &str) -> String {
        self.minted.add(identity::uuid(self.redactor, &format!("#/{id}")))
    }

    fn reference(&mut self, reference: &Map<String, Value>) -> Result<Option<Value>, Error> {
        let mut kept = Map::new();
        if let Some(target) = reference.get("reference").and_then(Value::as_str) {
            kept.insert("reference".into(), json!(self.url(target)));
        }
        if let Some(name) = reference
            .get("type")
            .and_then(Value::as_str)
            .filter(|name| self.redactor.policy.section(name).is_some())
        {
            kept.insert("type".into(), json!(name));
        }
        if let Some(identifier) = reference.get("identifier").and_then(Value::as_object)
            && let Some(identifier) = self.identifier(identifier, names_a_patient(reference))?
        {
            kept.insert("identifier".into(), identifier);
        }
        if let Some(display) = reference.get("display").and_then(Value::as_str) {
            let target = reference
                .get("reference")
                .or_else(|| reference.get("type"))
                .and_then(Value::as_str)
                .unwrap_or("");
            let kind = if target.contains("Organization") {
                Kind::Organization
            } else if target.contains("Location") {
                Kind::Location
            } else {
                Kind::Name
            };
            // Alone it keeps a required reference from being empty.
            let alone = !kept.contains_key("reference") && !kept.contains_key("identifier");
            self.count(Some(kind), if alone { Action::Tagged } else { Action::Removed });
            if alone {
                kept.insert("display".into(), json!(self.tags.tag(kind, display)));
            }
        }
        Ok((!kept.is_empty()).then_some(Value::Object(kept)))
    }

    fn identifier(
        &mut self,
        identifier: &Map<String, Value>,
        of_patient: bool,
    ) -> Result<Option<Value>, Error> {
        let code = identity::identifier_type(identifier);
        let civil = identity::CIVIL.contains(&code);
        let kind = match code {
            "SS" | "SB" => Kind::Ssn,
            "DL" | "PPN" | "LN" | "NPI" | "DEA" | "MD" => Kind::License,
            "AN" | "ANC" => Kind::Account,
            "MR" | "PI" | "PT" => Kind::MedicalRecord,
            "MB" | "NH" | "MC" | "MA" => Kind::HealthPlan,
            "SNO" | "UDI" => Kind::Device,
            _ if of_patient => Kind::MedicalRecord,
            _ => Kind::Other,
        };
        let parts = identity::authority_and_value(identifier);
        // A hospital that configures a format says what its numbers are.
        let kind = parts.and_then(|(_, value)| self.redactor.local.kind_in(value)).unwrap_or(kind);
        let parts = parts.filter(|_| !civil);
        self.count(Some(kind), if parts.is_some() { Action::Pseudonymised } else { Action::Removed });
        let Some((authority, value)) = parts else { return Ok(None) };
        let mut kept = Map::new();
        if let Some(usage @ ("usual" | "official" | "temp" | "secondary" | "old")) =
            identifier.get("use").and_then(Value::as_str)
        {
            kept.insert("use".into(), json!(usage));
        }
        let policy = &self.redactor.policy;
        for (element, section) in [("type", "CodeableConcept"), ("period", "Period")] {
            if let (Some(part), Some(node)) =
                (identifier.get(element).and_then(Value::as_object), policy.section(section))
            {
                let length = self.path.len();
                self.path.push('.');
                self.path.push_str(element);
                let treated = self.object(part, node, None);
                self.path.truncate(length);
                kept.extend(treated?.map(|part| (element.to_owned(), Value::Object(part))));
            }
        }
        kept.insert("system".into(), json!(PSEUDONYM_SYSTEM));
        let pseudonym = if of_patient {
            identity::patient_pseudonym(self.redactor, authority, value, self.sender)
        } else {
            self.redactor.pseudonym(authority, value)
        };
        kept.insert("value".into(), json!(self.minted.add(pseudonym)));
        Ok(Some(Value::Object(kept)))
    }

    fn quantity(&mut self, quantity: &Map<String, Value>) -> Option<Value> {
        let mut kept = Map::new();
        for (name, value) in quantity {
            match (name.as_str(), value) {
                ("value", Value::Number(_)) => {
                    kept.insert(name.clone(), value.clone());
                }
                ("comparator" | "currency", Value::String(text)) => {
                    let text = self.checked(text);
                    kept.insert(name.clone(), json!(text));
                }
                // Units are short; text long enough to hold more is treated as such.
                ("unit" | "code", Value::String(text)) => {
                    let text = if text.len() <= 24 { self.checked(text) } else { self.text(text) };
                    kept.insert(name.clone(), json!(text));
                }
                ("system", Value::String(system)) if values::public_system(system) => {
                    kept.insert(name.clone(), json!(system));
                }
                _ => {}
            }
        }
        // qty-3: a code needs a system.
        if kept.contains_key("code") && !kept.contains_key("system") {
            let code = kept.remove("code");
            if let (false, Some(code)) = (kept.contains_key("unit"), code) {
                kept.insert("unit".into(), code);
            }
        }
        if values::limit_years(&mut kept) {
            self.count(Some(Kind::Age), Action::Generalised);
        }
        (!kept.is_empty()).then_some(Value::Object(kept))
    }

    fn attachment(&mut self, attachment: &Map<String, Value>) -> Value {
        let mut kept = Map::new();
        let string = |element: &str| attachment.get(element).and_then(Value::as_str);
        let content_type = string("contentType").unwrap_or("");
        if !content_type.is_empty() && content_type.len() <= 80 {
            kept.insert("contentType".into(), json!(self.checked(content_type)));
        }
        if let Some(language) = string("language").filter(|language| language.len() <= 12) {
            kept.insert("language".into(), json!(self.checked(language)));
        }
        if let Some(created) = string("creation").and_then(|created| values::shift(created, self.days)) {
            kept.insert("creation".into(), json!(created));
        }
        let text = match string("data") {
            Some(data) => attachment::text(content_type, data).and_then(|text| self.readable(&text)),
            None if attachment.contains_key("url") => Err(Withheld::Link),
            None => Err(Withheld::Format),
        };
        match text {
            Ok(text) => {
                if let Some(title) = string("title") {
                    kept.insert("title".into(), json!(self.text(title)));
                }
                attachment::with_text(&mut kept, &text);
            }
            Err(reason) => {
                if attachment.contains_key("data") || attachment.contains_key("url") {
                    let kind = if content_type.starts_with("image/") { Kind::Photo } else { Kind::Other };
                    self.withhold(kind, reason, self.redactor.config.unreadable_attachments);
                }
                attachment::withheld(&mut kept, reason);
                // att-1: data needs a content type; so does the reason for its absence.
                kept.entry("contentType").or_insert(json!("application/octet-stream"));
            }
        }
        Value::Object(kept)
    }

    fn binary(&mut self, data: &str, binary: &Map<String, Value>) -> Option<String> {
        let content_type = binary.get("contentType").and_then(Value::as_str).unwrap_or("");
        match attachment::text(content_type, data).and_then(|text| self.readable(&text)) {
            Ok(text) => {
                let mut object = Map::new();
                attachment::with_text(&mut object, &text);
                object.get("data").and_then(Value::as_str).map(str::to_owned)
            }
            Err(reason) => {
                let kind = if content_type.starts_with("image/") { Kind::Photo } else { Kind::Other };
                self.withhold(kind, reason, self.redactor.config.unreadable_attachments);
                None
            }
        }
    }

    fn narrative(&mut self, narrative: &Map<String, Value>) -> Option<Value> {
        let text = attachment::plain(narrative.get("div").and_then(Value::as_str)?);
        let text = self.text(&text);
        (!text.trim().is_empty())
            .then(|| json!({"status": "additional", "div": attachment::narrative(&text)}))
    }

    /// Only the type stays of "Patient?identifier=…" and "Patient/1".
    fn request_url(&self, text: &str) -> Option<String> {
        let name = text.split(['/', '?']).next().unwrap_or("");
        self.redactor.policy.section(name)?;
        Some(match text.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')) {
            Some(id) if !id.is_empty() => {
                let id = id.split(['/', '?']).next().unwrap_or("");
                let seed = format!("{name}/{id}");
                let uuid =
                    self.ids.get(&seed).cloned().unwrap_or_else(|| identity::uuid(self.redactor, &seed));
                self.minted.add(format!("{name}/{uuid}"))
            }
            _ => name.to_owned(),
        })
    }

    fn extension(&mut self, extension: &Map<String, Value>) -> Result<Option<Value>, Error> {
        let Some(url) = extension.get("url").and_then(Value::as_str) else { return Ok(None) };
        let listed =
            self.redactor.policy.section("Extension").is_some_and(|node| node.rules.contains_key(url));
        if !listed {
            return Ok(None);
        }
        self.extension_value(extension, url)
    }

    fn extension_value(&mut self, extension: &Map<String, Value>, url: &str) -> Result<Option<Value>, Error> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Error::TooDeep { limit: DEPTH, path: self.path.clone() });
        }
        let mut kept = Map::from_iter([("url".to_owned(), json!(url))]);
        for (name, value) in extension {
            let value = match (name.as_str(), value) {
                ("valueCode", Value::String(text)) => Some(json!(self.checked(text))),
                ("valueString", Value::String(text)) => Some(json!(self.text(text))),
                ("valueBoolean", Value::Bool(_)) => Some(value.clone()),
                ("valueCoding" | "valueCodeableConcept", Value::Object(object)) => {
                    match self.redactor.policy.section(name.trim_start_matches("value")) {
                        Some(node) => self.object(object, node, None)?.map(Value::Object),
                        None => None,
                    }
                }
                // The parts of a listed extension have names of their own ("ombCategory", "text").
                ("extension", Value::Array(parts)) => {
                    let mut all = Vec::new();
                    for part in parts.iter().filter_map(Value::as_object) {
                        let part_url = part.get("url").and_then(Value::as_str).unwrap_or("");
                        if !part_url.contains(':')
                            && part_url.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                        {
                            all.extend(self.extension_value(part, part_url)?);
                        }
                    }
                    (!all.is_empty()).then_some(Value::Array(all))
                }
                _ => None,
            };
            kept.extend(value.map(|value| (name.clone(), value)));
        }
        self.depth -= 1;
        Ok((kept.len() > 1).then_some(Value::Object(kept)))
    }
}

/// Whether a logical reference is one to a patient.
fn names_a_patient(reference: &Map<String, Value>) -> bool {
    let string = |element: &str| reference.get(element).and_then(Value::as_str).unwrap_or("");
    string("type") == "Patient" || string("reference").contains("Patient/")
}

/// The codes of the value set data-absent-reason.
const REASONS: [&str; 15] = [
    "unknown",
    "asked-unknown",
    "temp-unknown",
    "not-asked",
    "asked-declined",
    "masked",
    "not-applicable",
    "unsupported",
    "as-text",
    "error",
    "not-a-number",
    "negative-infinity",
    "positive-infinity",
    "not-performed",
    "not-permitted",
];

/// The reason for the absence of a primitive is all that stays of its extensions.
fn primitive_extension(value: &Value) -> Option<Value> {
    let extensions = value.get("extension")?.as_array()?;
    extensions
        .iter()
        .filter(|extension| {
            extension.get("url").and_then(Value::as_str)
                == Some("http://hl7.org/fhir/StructureDefinition/data-absent-reason")
        })
        .find_map(|extension| extension.get("valueCode")?.as_str())
        .filter(|reason| REASONS.contains(reason))
        .map(values::absent)
}
