//! Pieces of text at their places on a page to lines. A file may draw a page in any order; a reader goes from top to
//! bottom and from left to right, and so a name and its value in two columns of a table are one line.

/// A piece of text. Coordinates are those of a page turned so that the text runs from left to right, y upwards.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// How often the page is turned by a quarter.
    pub(super) turn: u8,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) base: f64,
    pub(super) size: f64,
    pub(super) text: String,
}

/// The text of a page.
pub(super) fn lines(mut pieces: Vec<Piece>) -> String {
    // Most of the text first, what stands along an edge behind it.
    let mut amounts = [0; 4];
    for piece in &pieces {
        if let Some(amount) = amounts.get_mut(usize::from(piece.turn)) {
            *amount += piece.text.len();
        }
    }
    let amount = |turn: u8| amounts.get(usize::from(turn)).copied().unwrap_or_default();
    pieces.sort_by(|a, b| {
        (amount(b.turn), a.turn).cmp(&(amount(a.turn), b.turn)).then(b.base.total_cmp(&a.base))
    });
    let mut out = String::new();
    let mut line: Vec<Piece> = Vec::new();
    for piece in pieces {
        if let Some(first) = line.first() {
            let down = first.base - piece.base;
            let apart = first.turn != piece.turn || down > 0.5 * first.size.max(piece.size);
            if apart {
                // More than a line between them is a paragraph.
                let gap = first.turn != piece.turn || down > 1.9 * first.size.max(piece.size);
                write(&mut line, &mut out);
                out.push_str(if gap { "\n\n" } else { "\n" });
            }
        }
        line.push(piece);
    }
    write(&mut line, &mut out);
    out
}

/// Adds the pieces of one line.
fn write(line: &mut Vec<Piece>, out: &mut String) {
    line.sort_by(|a, b| a.left.total_cmp(&b.left));
    let largest = line.iter().map(|piece| piece.size).fold(0.0, f64::max);
    let ground = line.iter().filter(|p| p.size >= largest).map(|p| p.base).fold(f64::INFINITY, f64::min);
    let mut before: Option<&Piece> = None;
    for piece in line.iter() {
        if let Some(before) = before {
            let size = before.size.min(piece.size);
            // Drawn twice, a little apart, to look bold.
            if before.text == piece.text && piece.left - before.left < 0.2 * size {
                continue;
            }
            let gap = piece.left - before.right;
            if gap > 1.5 * size {
                out.push('\t');
            } else if gap > 0.15 * size && !out.ends_with(' ') && !piece.text.starts_with(' ') {
                out.push(' ');
            }
        }
        // Without a sign a power of ten would be another number.
        let raised = piece.size < 0.85 * largest && piece.base > ground + 0.15 * largest;
        if raised
            && out.ends_with(|c: char| c.is_ascii_digit())
            && piece.text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        {
            out.push('^');
        }
        out.push_str(&piece.text);
        before = Some(piece);
    }
    line.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(left: f64, base: f64, text: &str) -> Piece {
        let right = left + 5.0 * f64::from(u8::try_from(text.len()).expect("a short text"));
        Piece { turn: 0, left, right, base, size: 10.0, text: text.to_owned() }
    }

    #[test]
    fn pieces_are_read_as_they_lie() {
        let pieces = vec![
            piece(100.0, 700.0, "6.8"),
            piece(10.0, 650.0, "End"),
            piece(10.0, 700.5, "Pot"),
            piece(25.0, 700.0, "assium"),
            piece(10.2, 650.0, "End"),
            piece(10.0, 600.0, "4.1 x10"),
            Piece { size: 6.0, ..piece(45.0, 604.0, "9") },
            piece(50.0, 600.0, "/L"),
            piece(10.0, 688.0, "Sodium 140"),
            Piece { turn: 1, ..piece(0.0, 0.0, "margin") },
        ];
        assert_eq!(lines(pieces), "Potassium\t6.8\nSodium 140\n\nEnd\n\n4.1 x10^9/L\n\nmargin");
    }

    #[test]
    fn places_that_are_no_numbers_are_places() {
        let pieces =
            vec![piece(f64::NAN, f64::INFINITY, "a"), piece(0.0, f64::NAN, "b"), piece(0.0, 0.0, "c")];
        let text = lines(pieces);
        assert!(["a", "b", "c"].iter().all(|part| text.contains(part)), "{text}");
    }
}
