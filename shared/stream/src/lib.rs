//! The consumer runtime: consume, transform and produce exactly once on Kafka.
