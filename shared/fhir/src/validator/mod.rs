//! The walk over a resource along its definition.

mod binding;
mod bundle;
mod bundle_links;
mod conformance;
mod contained;
mod data_type;
mod element;
mod extension;
mod path;
mod primitive;
mod profile;
mod questionnaire;
mod reference;
mod resource;
mod suggest;
#[cfg(test)]
mod work;

use crate::definitions::{Definitions, Element, Invariant, Type};
use crate::fhirpath::Temporal;
use crate::invariant::{self, Focus};
use crate::json::{self, Positions, Tape, Value};
use crate::profile::{Library, PackageError, Packages, Session};
use crate::{ErrorCode, Issue, IssueType, Outcome, Severity};

use bundle::BundleIndex;
use contained::ContainedIndex;
pub(crate) use path::Path;

/// Most errors listed; the walk ends there. As many warnings are listed, further ones are counted only.
const MAX_ISSUES: usize = 200;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Validates resources of one FHIR release. Made once, used from any thread.
#[derive(Debug)]
pub struct Validator {
    definitions: &'static Definitions,
    packages: Packages,
}

/// What a validation demands beyond R4 and what the resource itself claims.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand<'d> {
    /// URLs of profiles, with or without `|version`. The resource meets each; of a Bundle, each entry does that is of the
    /// type the profile is for.
    pub profiles: &'d [&'d str],
    /// The current time for rules that ask for it, as RFC 3339 writes it: `2026-11-23T04:39:49Z`. Without it such a rule
    /// gives a warning. It is passed in so that the same text always has the same outcome.
    pub now: Option<&'d str>,
}

impl Validator {
    /// The validator of FHIR R4 (4.0.1). The first call reads the embedded definitions (some milliseconds).
    pub fn r4() -> &'static Self {
        static R4: std::sync::OnceLock<Validator> = std::sync::OnceLock::new();
        R4.get_or_init(|| Self { definitions: Definitions::r4(), packages: Packages::default() })
    }

    /// The validator of FHIR R4 with what further packages define: each folder holds the JSON files of an unpacked FHIR
    /// package (StructureDefinition with snapshot, ValueSet, CodeSystem). The first of two definitions of one URL counts.
    ///
    /// # Errors
    /// A folder that cannot be read, a file that is not JSON or for another release of FHIR, a folder without definitions.
    pub fn with_packages(folders: &[impl AsRef<std::path::Path>]) -> Result<Self, PackageError> {
        let mut packages = Packages::default();
        for folder in folders {
            packages.read(folder.as_ref())?;
        }
        Ok(Self { definitions: Definitions::r4(), packages })
    }

    /// Whether a profile can be checked: it is embedded or in a package, and its definition has a snapshot.
    pub fn has_profile(&self, url: &str) -> bool {
        use crate::profile::Found;
        matches!(self.library().find(url), Some(Found::Profile(_) | Found::Type(_)))
    }

    fn library(&self) -> Library<'_> {
        Library { definitions: self.definitions, packages: &self.packages }
    }

    /// Invariants of R4 that are not evaluated: those whose FHIRPath has no compiled check. They belong to ElementDefinition,
    /// EvidenceVariable, ImplementationGuide, Measure, MeasureReport, StructureDefinition and TestScript.
    pub fn unchecked_invariants(&self) -> impl Iterator<Item = &'static Invariant> {
        self.definitions.invariants.iter().filter(|rule| !invariant::is_covered(rule))
    }

    /// Validates one resource in JSON, with the profiles it claims. Never fails: text that is not JSON gives one fatal
    /// issue, and a profile that is not known a warning.
    ///
    /// Bounds: 16 MiB, 100 levels, two million keys and values, 200 errors and 200 warnings.
    pub fn validate(&self, json: &[u8]) -> Outcome {
        self.validate_for(json, &Demand::default())
    }

    /// Validates one resource in JSON as [`Self::validate`] does, and against the profiles that are demanded.
    pub fn validate_for(&self, json: &[u8], demand: &Demand<'_>) -> Outcome {
        let marked = json.starts_with(BYTE_ORDER_MARK);
        let skipped = if marked { BYTE_ORDER_MARK.len() } else { 0 };
        let text = json.get(skipped..).unwrap_or(&[]);
        let mut issues = match json::read(text) {
            Ok(tape) => {
                let mut walk = Walk::new(self.library(), &tape, demand);
                walk.run();
                walk.issues
            }
            Err(fault) => vec![unreadable(fault)],
        };
        if marked {
            issues.push(byte_order_mark());
        }
        // A stable order by place reads best; findings about the same place keep the order they were made in.
        issues.sort_by_key(|issue| issue.offset);
        let mut positions = Positions::new(text);
        for issue in &mut issues {
            let (line, column) = positions.locate(issue.offset);
            issue.line = Some(line);
            issue.column = Some(column);
            issue.offset += skipped;
        }
        Outcome { issues }
    }
}

fn unreadable(fault: json::Fault) -> Issue {
    let bound = fault.kind.is_bound();
    Issue {
        severity: Severity::Fatal,
        code: if bound { IssueType::TooCostly } else { IssueType::Structure },
        error: if bound { ErrorCode::TooCostly } else { ErrorCode::NotJson },
        message: fault.kind.message().to_owned(),
        expression: String::new(),
        invariant: None,
        profile: None,
        profile_rule: None,
        line: None,
        column: None,
        offset: fault.offset,
    }
}

fn byte_order_mark() -> Issue {
    Issue {
        severity: Severity::Error,
        code: IssueType::Structure,
        error: ErrorCode::NotJson,
        message: "The text starts with a byte order mark; JSON is sent without one (RFC 8259, section 8.1)."
            .to_owned(),
        expression: String::new(),
        invariant: None,
        profile: None,
        profile_rule: None,
        line: None,
        column: None,
        offset: 0,
    }
}

/// Where a resource stands: what `%resource` and `%rootResource` are, and the Bundle around it.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s, 't> {
    resource: Value<'t>,
    root: Value<'t>,
    /// The contained resources of `root` by their id.
    contained: &'s ContainedIndex<'t>,
    bundle: Option<&'s BundleIndex<'t>>,
}

/// One validation under way.
pub(crate) struct Walk<'w> {
    definitions: &'w Definitions,
    tape: &'w Tape<'w>,
    issues: Vec<Issue>,
    errors: usize,
    warnings: usize,
    /// One slot for each element of each object being walked, innermost last.
    slots: Vec<element::Slot>,
    /// The elements that led to the object being walked, innermost last, each with the type it belongs to.
    within: Vec<(&'w Type, &'w Element)>,
    /// The ids of elements seen in the resource being walked and those around it: places on the tape.
    ids: Vec<u32>,
    library: Library<'w>,
    /// Profiles that were asked for.
    demanded: &'w [&'w str],
    session: Session,
    /// Whether it was said that profiles were not checked to the end.
    is_unfinished: bool,
}

impl<'w> Walk<'w> {
    fn new(library: Library<'w>, tape: &'w Tape<'w>, demand: &'w Demand<'w>) -> Self {
        Self {
            definitions: library.definitions,
            tape,
            issues: Vec::new(),
            errors: 0,
            warnings: 0,
            slots: Vec::new(),
            within: Vec::new(),
            ids: Vec::new(),
            library,
            demanded: demand.profiles,
            session: Session::new(demand.now.and_then(Temporal::parse)),
            is_unfinished: false,
        }
    }

    fn run(&mut self) {
        let tape = self.tape;
        let Some(root) = tape.root() else { return };
        self.resource(root, None, None, resource::Place::Root);
        let message = if self.is_over() {
            format!("Validation ended after {MAX_ISSUES} errors.")
        } else if self.warnings > MAX_ISSUES {
            format!("{} more warnings are not listed.", self.warnings - MAX_ISSUES)
        } else {
            return;
        };
        self.issues.push(Issue {
            severity: Severity::Information,
            code: IssueType::TooCostly,
            error: ErrorCode::TooCostly,
            message,
            expression: String::new(),
            invariant: None,
            profile: None,
            profile_rule: None,
            line: None,
            column: None,
            offset: tape.text.len(),
        });
    }

    /// Whether so many errors were found that looking further is of no use: this bounds the time of a validation.
    const fn is_over(&self) -> bool {
        self.errors >= MAX_ISSUES
    }

    /// Whether further warnings are listed, not only counted.
    const fn lists_warnings(&self) -> bool {
        self.warnings < MAX_ISSUES
    }

    fn report(
        &mut self,
        severity: Severity,
        at: Value<'_>,
        path: &Path<'_>,
        code: IssueType,
        error: ErrorCode,
        message: String,
    ) -> Option<&mut Issue> {
        let count = if severity >= Severity::Error { &mut self.errors } else { &mut self.warnings };
        *count += 1;
        if *count > MAX_ISSUES {
            return None;
        }
        self.issues.push(Issue {
            severity,
            code,
            error,
            message,
            expression: path.to_string(),
            invariant: None,
            profile: None,
            profile_rule: None,
            line: None,
            column: None,
            offset: at.offset(),
        });
        self.issues.last_mut()
    }

    fn error(&mut self, at: Value<'_>, path: &Path<'_>, code: IssueType, error: ErrorCode, message: String) {
        self.report(Severity::Error, at, path, code, error, message);
    }

    fn warn(&mut self, at: Value<'_>, path: &Path<'_>, code: IssueType, error: ErrorCode, message: String) {
        self.report(Severity::Warning, at, path, code, error, message);
    }

    /// An error that an invariant of the definition states.
    fn broken(&mut self, at: Value<'_>, path: &Path<'_>, key: &'static str, error: ErrorCode, message: &str) {
        let message = format!("{message} (rule {key}).");
        if let Some(issue) = self.report(Severity::Error, at, path, IssueType::Invariant, error, message) {
            issue.invariant = Some(key);
        }
    }

    /// Evaluates the invariants attached to a type or an element.
    fn invariants(&mut self, rules: &[u16], value: Value<'_>, path: &Path<'_>, scope: &Scope<'_, '_>) {
        let definitions = self.definitions;
        for rule in rules.iter().filter_map(|&rule| definitions.invariants.get(usize::from(rule))) {
            let Some(check) = rule.check else { continue };
            if check(&Focus { value, resource: scope.resource }) {
                continue;
            }
            let severity = if rule.is_error { Severity::Error } else { Severity::Warning };
            let message = format!("{} (rule {}).", rule.human.trim_end_matches('.'), rule.key);
            let (code, error) = (IssueType::Invariant, ErrorCode::Invariant);
            if let Some(issue) = self.report(severity, value, path, code, error, message) {
                issue.invariant = Some(rule.key);
            }
        }
    }
}

/// The name of an element as written by the sender, if it looks like a name and not like data.
fn shown(name: &str) -> String {
    let stem = name.strip_prefix('_').unwrap_or(name);
    let plain = stem.starts_with(|first: char| first.is_ascii_lowercase())
        && stem.len() <= 64
        && stem.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain || stem == "resourceType" { format!("'{name}'") } else { "An element".to_owned() }
}
