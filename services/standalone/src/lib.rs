//! The standalone service.
