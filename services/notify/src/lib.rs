//! The notify service.
