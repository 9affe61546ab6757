//! The standalone service.

pub mod status;
