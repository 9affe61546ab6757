//! The WORM log as its users meet it, in a local folder and in SeaweedFS.

mod log;
mod s3;
mod segment;
mod support;
mod tamper;
