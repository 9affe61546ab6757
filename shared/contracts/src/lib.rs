//! Topics as types: names, keys, Avro records, retention and ids.
