//! The classify service.
