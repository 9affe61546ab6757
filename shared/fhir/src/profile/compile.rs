//! From the snapshot of a StructureDefinition to a [`Profile`].

use serde_json::Value;

use super::rule::{
    Binding, Constraint, Discriminator, DiscriminatorKind, Openness, Profile, Rule, Slice, Slicing, Step,
    TypeRule, ValueRule,
};
use crate::definitions::{Definitions, Element, Strength, Type, TypeKind};
use crate::fhirpath::Expression;

const R4: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Why a profile cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// Only its differences to another profile are given.
    #[error("its definition has no snapshot")]
    NoSnapshot,
    /// The elements of the snapshot cannot be arranged.
    #[error("its snapshot is malformed")]
    Malformed,
    /// The type is none of R4.
    #[error("it is for a type that FHIR R4 does not have")]
    Type,
}

/// The text of a member, or "" where it has none.
pub(super) fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or("")
}

/// The elements of an array member, or none.
pub(super) fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A canonical URL without its version.
pub(super) fn unversioned(url: &str) -> &str {
    url.split('|').next().unwrap_or(url)
}

pub(super) fn compile(definitions: &Definitions, definition: &Value) -> Result<Profile, Unusable> {
    let type_name = text(definition, "type");
    let kind = definitions.type_named(type_name).ok_or(Unusable::Type)?;
    let elements = definition.get("snapshot").map_or(&[][..], |snapshot| list(snapshot, "element"));
    let (first, rest) = elements.split_first().ok_or(Unusable::NoSnapshot)?;
    let compiler = Compiler { definitions };
    let mut tree =
        Draft { id: text(first, "id"), definition: first, children: Vec::new(), slices: Vec::new() };
    for element in rest {
        tree.add(element)?;
    }
    let mut root = compiler.rule(&tree, None, Some(kind));
    root.name = type_name.into();
    // How often a resource may stand somewhere is no matter of its own profile.
    (root.min, root.max) = (0, None);
    root.types.clear();
    let title = [text(definition, "title"), text(definition, "name"), text(definition, "id")];
    Ok(Profile {
        url: text(definition, "url").to_owned(),
        title: title.into_iter().find(|title| !title.is_empty()).unwrap_or(type_name).to_owned(),
        type_name: type_name.to_owned(),
        root,
    })
}

/// The elements of a snapshot as a tree, by their ids: `Observation.component:systolic.code`.
struct Draft<'v> {
    id: &'v str,
    definition: &'v Value,
    children: Vec<Draft<'v>>,
    slices: Vec<Draft<'v>>,
}

impl<'v> Draft<'v> {
    fn add(&mut self, definition: &'v Value) -> Result<(), Unusable> {
        let id = text(definition, "id");
        let mut place = self;
        loop {
            // An element comes after those it is below, so the longest id that begins this one is its parent.
            let is_below = |draft: &Self| {
                id.strip_prefix(draft.id).is_some_and(|rest| rest.starts_with(['.', ':', '/']))
            };
            let slice = place.slices.iter().rposition(is_below);
            let child = place.children.iter().rposition(is_below);
            place = match (slice, child) {
                (Some(slice), _) => place.slices.get_mut(slice).ok_or(Unusable::Malformed)?,
                (None, Some(child)) => place.children.get_mut(child).ok_or(Unusable::Malformed)?,
                (None, None) => break,
            };
        }
        let rest = id.strip_prefix(place.id).ok_or(Unusable::Malformed)?;
        let draft = Draft { id, definition, children: Vec::new(), slices: Vec::new() };
        match rest.as_bytes().first() {
            Some(b'.') => place.children.push(draft),
            Some(b':' | b'/') => place.slices.push(draft),
            _ => return Err(Unusable::Malformed),
        }
        Ok(())
    }

    /// The last name of the id: of `Patient.extension:race`, `extension` of the element and `race` of the slice.
    fn names(&self) -> (&'v str, &'v str) {
        let last = self.id.rsplit('.').next().unwrap_or(self.id);
        last.split_once(':').unwrap_or((last, ""))
    }
}

struct Compiler<'d> {
    definitions: &'d Definitions,
}

impl<'d> Compiler<'d> {
    /// `base` is the element of R4, `kind` the type whose children follow, if there is one only.
    fn rule(&self, draft: &Draft<'_>, base: Option<&'d Element>, kind: Option<&'d Type>) -> Rule {
        let definition = draft.definition;
        let (name, slice) = draft.names();
        let is_slice = !slice.is_empty();
        let mut rule = Rule { name: name.strip_suffix("[x]").unwrap_or(name).into(), ..Rule::default() };
        let min = definition.get("min").and_then(Value::as_u64).unwrap_or(0);
        let min = u32::try_from(min).unwrap_or(u32::MAX);
        let max: Option<u32> = text(definition, "max").parse().ok();
        rule.min = if is_slice || base.is_none_or(|base| base.min() < min) { min } else { 0 };
        let allowed = if is_slice { None } else { base.and_then(Element::max) };
        rule.max = max.filter(|max| allowed.is_none_or(|allowed| *max < allowed));
        rule.types = self.types(definition, base);
        rule.value = value_rule(definition);
        rule.max_length = definition
            .get("maxLength")
            .and_then(Value::as_u64)
            .and_then(|length| usize::try_from(length).ok());
        rule.bindings = self.bindings(definition, base);
        rule.constraints = self.constraints(definition);
        let kind = kind.or_else(|| self.child_kind(&rule, base));
        for child in &draft.children {
            let name = child.names().0;
            let base = kind.and_then(|kind| element(kind, name));
            let compiled = self.rule(child, base, None);
            if !compiled.is_idle() {
                rule.children.push(compiled);
            }
        }
        for child in &draft.slices {
            // A slice of a slice is called `a/b`.
            let full = child.names().1;
            let name = full.rsplit('/').next().unwrap_or(full);
            let compiled = self.rule(child, base, None);
            rule.slices.push(Slice { name: name.into(), rule: compiled });
        }
        rule.slicing = slicing(definition, name).filter(|_| !rule.slices.is_empty() || is_closed(definition));
        rule
    }

    /// The type of an element's children: that of R4 where there is one, else the only one that the profile leaves.
    fn child_kind(&self, rule: &Rule, base: Option<&'d Element>) -> Option<&'d Type> {
        let of_base = match base.map(Element::types) {
            Some([only]) => Some(self.definitions.typed(only.id)),
            _ => None,
        };
        let of_rule = || match rule.types.as_slice() {
            [only] => self.definitions.type_named(&only.code),
            _ => None,
        };
        of_base.filter(|kind| kind.kind() != TypeKind::Resource).or_else(of_rule)
    }

    fn types(&self, definition: &Value, base: Option<&Element>) -> Vec<TypeRule> {
        let mut types = Vec::new();
        for given in list(definition, "type") {
            let code = text(given, "code");
            if code.starts_with("http://hl7.org/fhirpath/") {
                continue;
            }
            let urls =
                |member: &str| list(given, member).iter().filter_map(Value::as_str).map(Box::from).collect();
            types.push(TypeRule {
                code: code.into(),
                profiles: urls("profile"),
                targets: urls("targetProfile"),
            });
        }
        let Some(base) = base else { return types };
        let same = types.len() == base.types().len()
            && types.iter().all(|given| {
                base.types().iter().any(|of_base| {
                    let quantity = of_base.name() == "SimpleQuantity" && &*given.code == "Quantity";
                    let group = self.definitions.typed(of_base.id).kind() == TypeKind::Backbone;
                    let any = of_base.targets().is_empty();
                    let targets = if any {
                        given.targets.iter().all(|target| unversioned(target) == format!("{R4}Resource"))
                    } else {
                        given.targets.len() == of_base.targets().len()
                            && given.targets.iter().all(|target| {
                                target.strip_prefix(R4).is_some_and(|name| of_base.targets().contains(&name))
                            })
                    };
                    let plain = given.profiles.is_empty() || quantity;
                    group || (plain && targets && (quantity || of_base.name() == &*given.code))
                })
            });
        if same { Vec::new() } else { types }
    }

    fn bindings(&self, definition: &Value, base: Option<&Element>) -> Vec<Binding> {
        let Some(binding) = definition.get("binding") else { return Vec::new() };
        let mut bindings = Vec::new();
        let mut add = |strength, set: &str| {
            let set = unversioned(set);
            let known = base.is_some_and(|base| {
                base.bindings.iter().any(|(held, at)| {
                    *held == strength
                        && self
                            .definitions
                            .value_sets
                            .get(usize::from(*at))
                            .is_some_and(|known| known.url == set)
                })
            });
            if !known && !set.is_empty() {
                bindings.push(Binding { strength, set: set.into() });
            }
        };
        match text(binding, "strength") {
            "required" => add(Strength::Required, text(binding, "valueSet")),
            "extensible" => add(Strength::Extensible, text(binding, "valueSet")),
            _ => {}
        }
        for extension in list(binding, "extension") {
            if text(extension, "url").ends_with("/elementdefinition-maxValueSet") {
                add(Strength::Max, text(extension, "valueCanonical"));
            }
        }
        bindings
    }

    /// Those of R4 are checked by the walk over the resource.
    fn constraints(&self, definition: &Value) -> Vec<Constraint> {
        list(definition, "constraint")
            .iter()
            .filter(|constraint| {
                let key = text(constraint, "key");
                let of_r4 = key == "ele-1" || self.definitions.invariants.iter().any(|rule| rule.key == key);
                (!of_r4 || is_redefined(constraint)) && !text(constraint, "expression").is_empty()
            })
            .map(|constraint| Constraint {
                key: text(constraint, "key").into(),
                human: text(constraint, "human").into(),
                is_error: text(constraint, "severity") == "error",
                expression: Expression::parse(text(constraint, "expression")).ok(),
            })
            .collect()
    }
}

/// Whether a constraint says that it comes from a profile although its key is one of R4's.
fn is_redefined(constraint: &Value) -> bool {
    let source = text(constraint, "source");
    !source.is_empty() && !source.starts_with(R4) && source.contains("://")
}

fn element<'d>(kind: &'d Type, name: &str) -> Option<&'d Element> {
    kind.elements.iter().find(|element| element.name() == name || element.path_name() == name)
}

fn value_rule(definition: &Value) -> Option<ValueRule> {
    let members = definition.as_object()?;
    let find = |prefix: &str| {
        members.iter().find(|(name, _)| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
        })
    };
    let (found, exact) =
        find("fixed").map(|found| (found, true)).or(find("pattern").map(|found| (found, false)))?;
    Some(ValueRule { value: found.1.clone(), exact })
}

fn is_closed(definition: &Value) -> bool {
    definition.get("slicing").is_some_and(|slicing| text(slicing, "rules") == "closed")
}

/// Extensions are sliced by their url and choices by their type, even where no slicing is written.
fn slicing(definition: &Value, name: &str) -> Option<Slicing> {
    let implied = |kind, path: &str| Slicing {
        discriminators: vec![Discriminator { kind, path: steps(path).unwrap_or_default() }],
        openness: Openness::Open,
        ordered: false,
    };
    let Some(given) = definition.get("slicing") else {
        return match name {
            "extension" | "modifierExtension" => Some(implied(DiscriminatorKind::Value, "url")),
            _ if name.ends_with("[x]") => Some(implied(DiscriminatorKind::Type, "$this")),
            _ => None,
        };
    };
    let discriminators: Option<Vec<Discriminator>> = list(given, "discriminator")
        .iter()
        .map(|discriminator| {
            let kind = match text(discriminator, "type") {
                "value" | "pattern" => DiscriminatorKind::Value,
                "exists" => DiscriminatorKind::Exists,
                "type" => DiscriminatorKind::Type,
                "profile" => DiscriminatorKind::Profile,
                _ => return None,
            };
            Some(Discriminator { kind, path: steps(text(discriminator, "path"))? })
        })
        .collect();
    Some(Slicing {
        discriminators: discriminators.unwrap_or_default(),
        openness: match text(given, "rules") {
            "closed" => Openness::Closed,
            "openAtEnd" => Openness::OpenAtEnd,
            _ => Openness::Open,
        },
        ordered: given.get("ordered").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// The restricted FHIRPath of discriminators (FHIR R4, 5.1.0.7): names, `extension(url)`, `resolve()`, `ofType(type)`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        let end = rest.find(['.', '(']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end)?;
        rest = after;
        if let Some(inner) = after.strip_prefix('(') {
            let (argument, after) = inner.split_once(')')?;
            let argument = argument.trim().trim_matches(['\'', '"']);
            steps.push(match name {
                "extension" => Step::Extension(argument.into()),
                "resolve" => Step::Resolve,
                "ofType" => Step::OfType(argument.into()),
                _ => return None,
            });
            rest = after;
        } else if name != "$this" {
            steps.push(Step::Member(name.strip_suffix("[x]").unwrap_or(name).into()));
        }
        if !rest.is_empty() {
            rest = rest.strip_prefix('.')?;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_paths_of_discriminators() {
        let url = "http://example.org/extension.with.dots";
        assert_eq!(steps("$this"), Some(Vec::new()));
        assert_eq!(
            steps("coding.code"),
            Some(vec![Step::Member("coding".into()), Step::Member("code".into())])
        );
        assert_eq!(
            steps(&format!("extension('{url}').value.ofType(Reference).resolve()")),
            Some(vec![
                Step::Extension(url.into()),
                Step::Member("value".into()),
                Step::OfType("Reference".into()),
                Step::Resolve
            ])
        );
        assert_eq!(steps("where(a)"), None);
    }
}
