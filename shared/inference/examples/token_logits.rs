//! Prints a token classifier's outputs, one line a token: byte offsets, then a number for each label, to be compared with
//! those of another runtime: `cargo run --release -p wardstream-inference --example token_logits -- FOLDER < TEXT`; with
//! `--f32` in single precision.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;
use std::io::Read;
use std::path::Path;

use wardstream_inference::{EncoderOptions, Precision, TokenClassifier};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let single = arguments.iter().any(|argument| argument == "--f32");
    let folder = arguments.iter().find(|argument| !argument.starts_with("--")).ok_or("which folder?")?;
    let precision = if single { Precision::F32 } else { Precision::Int8 };
    let options = EncoderOptions { precision, ..EncoderOptions::default() };
    let classifier = TokenClassifier::load(Path::new(folder), options)?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    for token in classifier.logits(&text)? {
        let logits: Vec<String> = token.logits.iter().map(|logit| format!("{logit:.6}")).collect();
        println!("{}\t{}\t{}", token.range.start, token.range.end, logits.join("\t"));
    }
    Ok(())
}
