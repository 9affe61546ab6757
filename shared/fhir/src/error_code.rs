//! Stable codes for what can be wrong with a resource.

use std::fmt;

/// Class of an issue. The number is stable: runbooks, dashboards and the generated error pages refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Not JSON.
    NotJson,
    /// A name twice in one object.
    DuplicateName,
    /// `resourceType` missing or unknown.
    ResourceType,
    /// An element the type does not have.
    UnknownElement,
    /// Another JSON type than the element has.
    JsonType,
    /// A required element is absent.
    Missing,
    /// More values than allowed, or two types of one choice element.
    TooManyValues,
    /// A primitive value against its format.
    Format,
    /// An empty object, list or text.
    Empty,
    /// Misplaced `_element` or null.
    PrimitiveExtension,
    /// A code outside a required value set.
    RequiredBinding,
    /// A malformed extension.
    Extension,
    /// Narrative against the XHTML rules.
    Narrative,
    /// A malformed reference or one to a wrong type.
    Reference,
    /// A reference that must resolve and does not.
    Unresolved,
    /// Rules of contained resources.
    Contained,
    /// Rules of Bundle.
    Bundle,
    /// An invariant of the definition.
    Invariant,
    /// Larger or deeper than the bounds.
    TooCostly,
    /// Terminology that is advised, or that could not be checked here.
    Terminology,
    /// A profile demands something else.
    Profile,
    /// A profile that is not known or cannot be used.
    UnknownProfile,
}

impl ErrorCode {
    /// All codes in numeric order.
    pub const ALL: [Self; 22] = [
        Self::NotJson,
        Self::DuplicateName,
        Self::ResourceType,
        Self::UnknownElement,
        Self::JsonType,
        Self::Missing,
        Self::TooManyValues,
        Self::Format,
        Self::Empty,
        Self::PrimitiveExtension,
        Self::RequiredBinding,
        Self::Extension,
        Self::Narrative,
        Self::Reference,
        Self::Unresolved,
        Self::Contained,
        Self::Bundle,
        Self::Invariant,
        Self::TooCostly,
        Self::Terminology,
        Self::Profile,
        Self::UnknownProfile,
    ];

    /// The stable code, `FHIR-301` to `FHIR-322`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotJson => "FHIR-301",
            Self::DuplicateName => "FHIR-302",
            Self::ResourceType => "FHIR-303",
            Self::UnknownElement => "FHIR-304",
            Self::JsonType => "FHIR-305",
            Self::Missing => "FHIR-306",
            Self::TooManyValues => "FHIR-307",
            Self::Format => "FHIR-308",
            Self::Empty => "FHIR-309",
            Self::PrimitiveExtension => "FHIR-310",
            Self::RequiredBinding => "FHIR-311",
            Self::Extension => "FHIR-312",
            Self::Narrative => "FHIR-313",
            Self::Reference => "FHIR-314",
            Self::Unresolved => "FHIR-315",
            Self::Contained => "FHIR-316",
            Self::Bundle => "FHIR-317",
            Self::Invariant => "FHIR-318",
            Self::TooCostly => "FHIR-319",
            Self::Terminology => "FHIR-320",
            Self::Profile => "FHIR-321",
            Self::UnknownProfile => "FHIR-322",
        }
    }

    /// A short name for headings and metrics.
    pub const fn title(self) -> &'static str {
        match self {
            Self::NotJson => "the payload is not JSON",
            Self::DuplicateName => "an element is written twice in one object",
            Self::ResourceType => "the resource type is missing or unknown",
            Self::UnknownElement => "an element is not part of the resource",
            Self::JsonType => "an element has the wrong JSON type",
            Self::Missing => "a required element is missing",
            Self::TooManyValues => "an element has more values than allowed",
            Self::Format => "a value is not written in the format of its type",
            Self::Empty => "an element is empty",
            Self::PrimitiveExtension => "an extension of a primitive value is misplaced",
            Self::RequiredBinding => "a code is not in the required value set",
            Self::Extension => "an extension is malformed",
            Self::Narrative => "the narrative breaks the XHTML rules",
            Self::Reference => "a reference is malformed or points to a wrong type",
            Self::Unresolved => "a reference has no target",
            Self::Contained => "a contained resource breaks its rules",
            Self::Bundle => "the Bundle breaks its rules",
            Self::Invariant => "a rule of the resource is broken",
            Self::TooCostly => "the payload is beyond the bounds of validation",
            Self::Terminology => "a code could not be confirmed",
            Self::Profile => "a profile is not met",
            Self::UnknownProfile => "a profile could not be checked",
        }
    }

    /// What it means and what to do next, for the error page.
    pub const fn help(self) -> &'static str {
        match self {
            Self::NotJson => {
                "The bytes are not JSON in UTF-8 (RFC 8259). Nothing was validated. Look at the line and column of the \
                 issue; frequent causes are a truncated message, a comma too many, NaN, or a file in another encoding. \
                 Correct the sender and replay the dead letter."
            }
            Self::DuplicateName => {
                "One JSON object holds the same name twice, so it is undefined which value counts. Elements that repeat \
                 are written as a list. Correct the sender."
            }
            Self::ResourceType => {
                "Every resource states its type in resourceType, spelled as in FHIR R4 (case matters). Types of R5 or \
                 of older releases are refused. Correct the sender or convert the release first."
            }
            Self::UnknownElement => {
                "FHIR refuses elements it does not define, because a reader would overlook them. Check the spelling, \
                 the release (R4, 4.0.1) and the place; carry additional data in an extension."
            }
            Self::JsonType => {
                "The element exists, but is written as another JSON type: for example a number in quotes, one object \
                 where a list is expected, or a list where one value is expected."
            }
            Self::Missing => {
                "FHIR R4 requires this element. Fill it, or state why it is absent by an extension."
            }
            Self::TooManyValues => {
                "The element is allowed once. For elements such as value[x] only one of its types may be present."
            }
            Self::Format => {
                "The value does not follow the format of its FHIR type: dates, times with a zone, ids, URIs, numbers. \
                 The message says which format is expected; the value itself is never repeated here."
            }
            Self::Empty => {
                "FHIR has no empty elements: leave out empty texts, lists and objects (rule ele-1)."
            }
            Self::PrimitiveExtension => {
                "Extensions of a primitive value stand in a sibling named with an underscore; in lists both siblings \
                 have the same length and null fills the gaps (FHIR R4, JSON representation)."
            }
            Self::RequiredBinding => {
                "The element accepts only the codes of one value set, or the code is none of the code system it names, \
                 such as a unit that is not UCUM. Map the local code to a right one and keep the local one in an \
                 extension or a further coding."
            }
            Self::Extension => {
                "An extension has an absolute url, and either one value[x] or nested extensions, not both."
            }
            Self::Narrative => {
                "text.div is a small piece of XHTML: one div in the XHTML namespace, well formed, only formatting \
                 elements, no scripts, forms or event handlers, and not blank."
            }
            Self::Reference => {
                "A reference is Type/id, an absolute URL, urn:uuid:…, urn:oid:… or #id of a contained resource, and \
                 its target has one of the types the element allows."
            }
            Self::Unresolved => {
                "The reference must have its target in the same resource or Bundle and has not. Add the target or \
                 correct the reference."
            }
            Self::Contained => {
                "A contained resource has an id, is referred to from the resource around it, is not nested further and \
                 carries no version or security labels (rules dom-2 to dom-5)."
            }
            Self::Bundle => {
                "The entries do not fit the type of the Bundle: see the rule (bdl-…) in the message. A message starts \
                 with a MessageHeader, a document with a Composition; fullUrl is absolute and unique."
            }
            Self::Invariant => {
                "A rule that ties several elements together is broken; its id is in the message and is explained on \
                 the resource's page of the FHIR specification."
            }
            Self::TooCostly => {
                "The payload is larger, deeper or more faulty than this validator follows. Split the Bundle or move \
                 attachments out of it."
            }
            Self::Terminology => {
                "A warning, never a reject: the code is outside a value set that should be used, or cannot be checked \
                 without a terminology server."
            }
            Self::Profile => {
                "The resource is FHIR R4, but a profile that it claims in meta.profile or that is demanded of its feed \
                 asks for something else: a fixed value, a type, a kind of extension or component. The message names \
                 the profile and what it expects. Correct the sender, or take the profile off the feed's configuration."
            }
            Self::UnknownProfile => {
                "A profile was claimed or demanded that this validator does not have, or whose definition has no \
                 snapshot, so the resource was not checked against it. Load the FHIR package that defines it \
                 (validate --package-folder, or validate.package_folders of the service). A claim alone is a warning."
            }
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_ascend() {
        let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ErrorCode::ALL.iter().all(|code| !code.title().is_empty() && code.help().len() > 40));
    }
}
