//! "Did you mean …?" for misspelt names.

/// The candidate closest to a name, if it is close enough to be a misspelling of it.
pub(super) fn closest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    if name.len() > 64 || !name.is_ascii() {
        return None;
    }
    let allowed = if name.len() <= 4 { 1 } else { 2 };
    let letters = letters_of(name);
    candidates
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= allowed)
        // An edit takes one letter away and puts another there, so most names need no closer look.
        .filter(|candidate| (letters_of(candidate) ^ letters).count_ones() as usize <= 2 * allowed)
        .map(|candidate| (distance(name.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A bit for each letter that occurs, case ignored.
fn letters_of(name: &str) -> u32 {
    name.bytes().fold(0, |letters, byte| letters | 1 << (byte & 0x1F))
}

/// Edits between two names, case ignored but counted as nothing; two neighbours swapped are one edit.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let same =
        |a: Option<&u8>, b: Option<&u8>| matches!((a, b), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b));
    let width = right.len() + 1;
    let mut rows = [(0..width).collect::<Vec<_>>(), vec![0; width], vec![0; width]];
    for row in 1..=left.len() {
        rows.rotate_right(1);
        let [current, last, before] = &mut rows;
        if let Some(first) = current.first_mut() {
            *first = row;
        }
        for column in 1..width {
            let equal = same(left.get(row - 1), right.get(column - 1));
            let read = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best = read(last, column - 1) + usize::from(!equal);
            best = best.min(read(last, column) + 1).min(read(current, column - 1) + 1);
            let swapped = row > 1
                && column > 1
                && same(left.get(row - 1), right.get(column - 2))
                && same(left.get(row - 2), right.get(column - 1));
            if swapped {
                best = best.min(read(before, column - 2) + 1);
            }
            if let Some(cell) = current.get_mut(column) {
                *cell = best;
            }
        }
    }
    let [last, ..] = &rows;
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_misspellings_only() {
        let names = ["birthDate", "gender", "given", "name"];
        assert_eq!(closest("brithDate", names.into_iter()), Some("birthDate"));
        assert_eq!(closest("birthdate", names.into_iter()), Some("birthDate"));
        assert_eq!(closest("genders", names.into_iter()), Some("gender"));
        assert_eq!(closest("nmae", names.into_iter()), Some("name"));
        assert_eq!(closest("telephone", names.into_iter()), None);
    }

    #[test]
    fn no_misspelling_is_overlooked() {
        let name = "birthDate";
        let mut edited = Vec::new();
        for at in 0..=name.len() {
            let (before, after) = name.split_at(at);
            edited.push(format!("{before}z{after}"));
            if let Some(rest) = after.get(1..) {
                edited.push(format!("{before}{rest}"));
                edited.push(format!("{before}z{rest}"));
                edited.push(format!("{before}{rest}q"));
                edited.push(format!("z{before}q{rest}"));
            }
            if let (Some(rest), Some(one), Some(two)) = (after.get(2..), after.get(..1), after.get(1..2)) {
                edited.push(format!("{before}{two}{one}{rest}"));
                edited.push(format!("{before}zq{rest}"));
            }
        }
        for edited in edited {
            assert_eq!(closest(&edited, [name].into_iter()), Some(name), "{edited}");
        }
    }
}
