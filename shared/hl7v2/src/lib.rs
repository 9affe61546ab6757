//! HL7 v2 syntax: messages, batches, escapes, MLLP framing and acknowledgements.
