//! A schema registry in process: the Confluent API over the committed schemas.
