//! Typed configuration from file and environment, checked before a socket opens.
