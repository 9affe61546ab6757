//! Why a message could not be converted.

/// Why a message could not be converted. Names segments and fields, never their content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No message map covers the type in MSH-9.
    #[error("MSH-9 names a message type that has no map: {message_type}")]
    UnsupportedMessageType {
        /// `code^event`, or `unreadable` where MSH-9 does not hold two HL7 codes.
        message_type: String,
    },
    /// The message map needs a segment that the message lacks.
    #[error("{message_type} lacks the required segment {segment}")]
    MissingSegment {
        /// `code^event` of the message.
        message_type: String,
        /// Name of the absent segment.
        segment: String,
    },
    /// A field without which no valid bundle exists is empty.
    #[error("required field {segment}-{field} is empty")]
    MissingField {
        /// Segment that holds the field.
        segment: String,
        /// Number of the field, from 1.
        field: usize,
    },
    /// The message holds more than one conversion will take.
    #[error("message has {segments} segments, more than the {limit} that one conversion takes")]
    TooLarge {
        /// Segments in the message.
        segments: usize,
        /// The bound.
        limit: usize,
    },
}

/// One page of the error reference: a code, what it means and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorPage {
    /// Stable code, `MAP-2nn`.
    pub code: &'static str,
    /// What happened, in a line.
    pub title: &'static str,
    /// What to do about it.
    pub help: &'static str,
}

const UNSUPPORTED: ErrorPage = ErrorPage {
    code: "MAP-201",
    title: "The message type has no map",
    help: "MSH-9 names a message code and trigger event that no message map covers. Check that MSH-9.1 and MSH-9.2 \
           are what the feed means to send; if they are, add the type to `maps/messages.map`, or stop the feed from \
           sending it here.",
};
const MISSING_SEGMENT: ErrorPage = ErrorPage {
    code: "MAP-202",
    title: "A required segment is absent",
    help: "The resources of this message type cannot be built without the segment that the error names (most often \
           PID, because every clinical resource needs a patient). Correct the feed so that it sends the segment and \
           replay the message.",
};
const MISSING_FIELD: ErrorPage = ErrorPage {
    code: "MAP-203",
    title: "A required field is empty",
    help: "A bundle cannot be addressed or identified without the field that the error names: MSH-10 (message control \
           id) is what ids are derived from. Correct the feed so that it fills the field and replay the message.",
};
const TOO_LARGE: ErrorPage = ErrorPage {
    code: "MAP-204",
    title: "The message has too many segments",
    help: "One conversion is bounded so that a single message cannot exhaust memory. Split the message at the sender, \
           as the standard's continuation protocol (DSC) provides.",
};

impl Error {
    /// Stable code, `MAP-2nn`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.page().code
    }

    /// What happened, in a line.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.page().title
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        self.page().help
    }

    /// The page of the error reference for this error.
    #[must_use]
    pub fn page(&self) -> ErrorPage {
        match self {
            Self::UnsupportedMessageType { .. } => UNSUPPORTED,
            Self::MissingSegment { .. } => MISSING_SEGMENT,
            Self::MissingField { .. } => MISSING_FIELD,
            Self::TooLarge { .. } => TOO_LARGE,
        }
    }

    /// Every page of the error reference, for generated documentation.
    #[must_use]
    pub fn pages() -> &'static [ErrorPage] {
        &[UNSUPPORTED, MISSING_SEGMENT, MISSING_FIELD, TOO_LARGE]
    }
}
