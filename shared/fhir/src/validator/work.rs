//! The work of a validation grows with its text, not with its square: steps over nodes are counted, not time.

#[path = "../../tests/shapes/mod.rs"]
mod shapes;

use crate::Validator;
use crate::json::work;

fn steps(text: &str) -> usize {
    work::take();
    Validator::r4().validate(text.as_bytes());
    work::take()
}

#[test]
fn twice_the_text_is_twice_the_work() {
    let mut wrong = Vec::new();
    for ((name, small), (_, large)) in shapes::all(20_000).into_iter().zip(shapes::all(80_000)) {
        let (few, many) = (steps(&small), steps(&large));
        let grown = large.len().div_ceil(small.len()) + 1;
        if many > few * grown + 1000 {
            wrong.push(format!("{name}: {few} steps for {} bytes, {many} for {}", small.len(), large.len()));
        }
        // The costliest shapes that are linear take about one step a byte.
        if many > large.len() * 2 {
            wrong.push(format!("{name}: {many} steps for {} bytes", large.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
