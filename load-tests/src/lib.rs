//! A synthetic hospital, drills and benchmarks for the line.
