//! ISO 2022 designations as Japanese feeds use them (HL7 v2.9, 2.14.9.18 and 2.7.3).

use encoding_rs::{EUC_JP, EUC_KR, GBK};

/// What the 7-bit bytes after an escape sequence mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// ISO IR6 and ISO IR14 (JIS X 0201 Roman, taken as ASCII).
    Ascii,
    /// ISO IR13: half-width katakana.
    Katakana,
    /// ISO IR87.
    JisX0208,
    /// ISO IR159.
    JisX0212,
    /// ISO IR58.
    Gb2312,
    /// ISO IR149.
    KsX1001,
}

/// The set that `sequence`, the bytes after ESC, designates.
pub(crate) fn designated(sequence: &[u8]) -> Option<Set> {
    Some(match sequence {
        b"(B" | b"(J" => Set::Ascii,
        b"(I" | b")I" => Set::Katakana,
        b"$@" | b"$B" | b"$(B" => Set::JisX0208,
        b"$(D" => Set::JisX0212,
        b"$A" | b"$(A" | b"$)A" => Set::Gb2312,
        b"$(C" | b"$)C" => Set::KsX1001,
        _ => return None,
    })
}

/// Decodes `run`, bytes of one set, onto `out`; false if some of them mean nothing in it.
pub(crate) fn decode_run(run: &[u8], set: Set, out: &mut String) -> bool {
    let mut shifted = Vec::with_capacity(run.len() * 3 / 2);
    let encoding = match set {
        Set::Gb2312 => GBK,
        Set::KsX1001 => EUC_KR,
        _ => EUC_JP,
    };
    let mut rest = run;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first <= 0x20 || *first == 0x7F {
            shifted.push(*first);
            continue;
        }
        match set {
            Set::Ascii | Set::Katakana if *first >= 0xA1 && *first <= 0xDF => shifted.extend([0x8E, *first]),
            Set::Ascii => shifted.push(*first),
            Set::Katakana => shifted.extend([0x8E, *first | 0x80]),
            Set::JisX0208 | Set::JisX0212 | Set::Gb2312 | Set::KsX1001 => {
                let [second, tail @ ..] = rest else { return false };
                rest = tail;
                if set == Set::JisX0212 {
                    shifted.push(0x8F);
                }
                shifted.extend([*first | 0x80, *second | 0x80]);
            }
        }
    }
    match encoding.decode_without_bom_handling_and_without_replacement(&shifted) {
        Some(text) => {
            out.push_str(&text);
            true
        }
        None => false,
    }
}

/// Decodes one line with escape sequences in it onto `out`. The set is ASCII at the start of each line.
///
/// # Errors
/// The offset in `line` of the run that could not be decoded.
pub(crate) fn decode_line(line: &[u8], out: &mut String) -> Result<(), usize> {
    let mut set = Set::Ascii;
    let mut start = 0;
    loop {
        let end = memchr::memchr(0x1B, &line[start..]).map_or(line.len(), |at| start + at);
        if !decode_run(&line[start..end], set, out) {
            return Err(start);
        }
        if end == line.len() {
            return Ok(());
        }
        let after = &line[end + 1..];
        let Some((next, length)) =
            [2, 3].iter().find_map(|&n| after.get(..n).and_then(designated).map(|s| (s, n)))
        else {
            return Err(end);
        };
        set = next;
        start = end + 1 + length;
    }
}

/// How many bytes of `line` make the first `length` bytes of its text; escape sequences belong to what
/// follows them.
pub(crate) fn source_length(line: &[u8], length: usize) -> usize {
    let mut set = Set::Ascii;
    let mut text = String::new();
    let (mut at, mut written) = (0, 0);
    while at < line.len() && written < length {
        let after = &line[at + 1..];
        if line[at] == 0x1B
            && let Some((next, bytes)) =
                [2, 3].iter().find_map(|&n| after.get(..n).and_then(designated).map(|s| (s, n)))
        {
            set = next;
            at += 1 + bytes;
            continue;
        }
        let double = line[at] > 0x20 && !matches!(set, Set::Ascii | Set::Katakana);
        let end = (at + if double { 2 } else { 1 }).min(line.len());
        text.clear();
        decode_run(&line[at..end], set, &mut text);
        written += text.len();
        at = end;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kanji_katakana_and_back() {
        let mut out = String::new();
        decode_line(b"YAMADA^\x1b$B;3ED\x1b(B^\x1b(I1\x1b(B", &mut out).unwrap();
        assert_eq!(out, "YAMADA^山田^ｱ");
    }

    #[test]
    fn positions_in_text_lead_back() {
        let line = b"A^\x1b$B;3ED\x1b(B|x";
        assert_eq!([0, 1, 2, 5, 8, 9, 10].map(|n| source_length(line, n)), [0, 1, 2, 7, 9, 13, 14]);
    }

    #[test]
    fn halves_and_unknown_sequences_are_refused() {
        let mut out = String::new();
        assert_eq!(decode_line(b"ab\x1b$B;", &mut out), Err(5));
        assert_eq!(decode_line(b"ab\x1b%Gx", &mut out), Err(2));
    }
}
