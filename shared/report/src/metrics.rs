//! How wide text is in Helvetica and Courier, which every PDF reader has and browsers imitate (Adobe Core 14 metrics).

/// A typeface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Regular,
    Bold,
    Mono,
}

/// Of ASCII from the space on, in thousandths of the size.
const REGULAR: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278,
    500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469,
    556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
const BOLD: [u16; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278,
    556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584,
    556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556,
    333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
];

/// The width of a text in points.
pub(crate) fn width(text: &str, face: Face, size: f32) -> f32 {
    let of = |c: char| {
        let at = (c as usize).checked_sub(32).filter(|at| *at < REGULAR.len());
        match (face, at) {
            (Face::Mono, _) => 600,
            (Face::Regular, Some(at)) => REGULAR[at],
            (Face::Bold, Some(at)) => BOLD[at],
            // Letters beyond ASCII, as a rule.
            (_, None) => 611,
        }
    };
    text.chars().map(|c| f32::from(of(c))).sum::<f32>() * size / 1000.0
}

/// Text in lines that are no wider: at spaces, and within words that are wider alone.
pub(crate) fn wrapped(text: &str, face: Face, size: f32, limit: f32) -> Vec<String> {
    // A limit that was computed from this very width is no less for the rounding on the way.
    let fits = |text: &str| width(text, face, size) <= limit + 0.01;
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_inclusive(' ') {
            if !line.is_empty() && !fits(&format!("{line}{}", word.trim_end())) {
                lines.push(std::mem::take(&mut line));
            }
            for c in word.chars() {
                if !line.is_empty() && c != ' ' && !fits(&format!("{line}{c}")) {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(c);
            }
        }
        lines.push(line);
    }
    lines.iter_mut().for_each(|line| line.truncate(line.trim_end().len()));
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn lines_fit_and_lose_nothing(text in "[a-zA-Z0-9 /_é-]{0,200}", limit in 12.0_f32..200.0) {
            let lines = wrapped(&text, Face::Bold, 9.0, limit);
            for line in &lines {
                prop_assert!(width(line, Face::Bold, 9.0) <= limit + 0.01 || line.chars().count() == 1, "{line:?}");
            }
            let bare = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }
}
