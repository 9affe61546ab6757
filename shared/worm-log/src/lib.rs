//! The WORM audit log: segments, manifests and the verifier.
