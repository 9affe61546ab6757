//! Filters of streams (ISO 32000-1, section 7.4), as far as text is behind them.

use std::io::Read;

use super::budget::Budget;
use super::lexer::{Dictionary, Object, is_space, nibble};

/// Filters one after the other; more is an attempt to make much of little.
const CHAIN: usize = 4;

/// The content of a stream; `None` for pictures, for an unknown filter and where the budget is spent.
pub(super) fn decode(
    filters: &[Vec<u8>],
    parameters: &[Option<Dictionary>],
    raw: &[u8],
    budget: &mut Budget,
) -> Option<Vec<u8>> {
    if filters.len() > CHAIN {
        return None;
    }
    budget.decoded(if filters.is_empty() { raw.len() } else { 0 })?;
    let mut data = raw.to_vec();
    for (n, filter) in filters.iter().enumerate() {
        budget.work(data.len())?;
        data = match filter.as_slice() {
            b"FlateDecode" | b"Fl" => flate(&data, budget)?,
            b"LZWDecode" | b"LZW" => {
                let early = parameters.get(n).and_then(Option::as_ref).and_then(|p| p.get("EarlyChange"));
                lzw(&data, early.and_then(Object::number) != Some(0.0), budget)?
            }
            b"ASCIIHexDecode" | b"AHx" => paid(ascii_hex(&data), budget)?,
            b"ASCII85Decode" | b"A85" => paid(ascii_85(&data), budget)?,
            b"RunLengthDecode" | b"RL" => run_length(&data, budget)?,
            _ => return None,
        };
        if let Some(parameters) = parameters.get(n).and_then(Option::as_ref) {
            data = predicted(data, parameters)?;
        }
    }
    Some(data)
}

fn paid(data: Vec<u8>, budget: &mut Budget) -> Option<Vec<u8>> {
    budget.decoded(data.len())?;
    Some(data)
}

/// What a reader gives, as far as it is sound; `None` where it is more than there may be.
fn bounded(reader: impl Read, budget: &mut Budget) -> Option<Vec<u8>> {
    let left = budget.decoded_left();
    let mut out = Vec::new();
    // A stream that was cut is read as far as it goes.
    let _ = reader.take(u64::try_from(left).ok()?.saturating_add(1)).read_to_end(&mut out);
    paid(out, budget)
}

fn flate(data: &[u8], budget: &mut Budget) -> Option<Vec<u8>> {
    let wrapped = bounded(flate2::read::ZlibDecoder::new(data), budget)?;
    if wrapped.is_empty() {
        return bounded(flate2::read::DeflateDecoder::new(data), budget);
    }
    Some(wrapped)
}

fn lzw(data: &[u8], early: bool, budget: &mut Budget) -> Option<Vec<u8>> {
    use weezl::decode::Configuration;
    let configuration = if early {
        Configuration::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
    } else {
        Configuration::new(weezl::BitOrder::Msb, 8)
    };
    let (mut decoder, mut out, mut block, mut rest) =
        (configuration.build(), Vec::new(), vec![0; 1 << 14], data);
    loop {
        let step = decoder.decode_bytes(rest, &mut block);
        budget.decoded(step.consumed_out)?;
        out.extend_from_slice(block.get(..step.consumed_out)?);
        rest = rest.get(step.consumed_in..)?;
        match step.status {
            Ok(weezl::LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            _ => return Some(out),
        }
    }
}

fn ascii_hex(data: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = data.iter().take_while(|b| **b != b'>').filter_map(|b| nibble(*b)).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect()
}

fn ascii_85(data: &[u8]) -> Vec<u8> {
    let data = data.strip_prefix(b"<~").unwrap_or(data);
    let (mut out, mut group) = (Vec::with_capacity(data.len()), Vec::with_capacity(5));
    let value = |group: &[u8]| {
        group.iter().chain([b'u'; 5].iter()).take(5).fold(0_u32, |value, digit| {
            value.wrapping_mul(85).wrapping_add(u32::from(digit.saturating_sub(b'!')))
        })
    };
    for &byte in data.iter().take_while(|b| **b != b'~') {
        match byte {
            b'z' if group.is_empty() => out.extend([0; 4]),
            b'!'..=b'u' => {
                group.push(byte);
                if group.len() == 5 {
                    out.extend(value(&group).to_be_bytes());
                    group.clear();
                }
            }
            _ => {}
        }
    }
    if group.len() > 1 {
        out.extend(value(&group).to_be_bytes().iter().take(group.len() - 1));
    }
    out
}

fn run_length(data: &[u8], budget: &mut Budget) -> Option<Vec<u8>> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&length) = data.get(at).filter(|length| **length != 128) {
        let before = out.len();
        if length < 128 {
            let end = (at + 2 + usize::from(length)).min(data.len());
            out.extend_from_slice(data.get(at + 1..end)?);
            at = end;
        } else {
            let Some(&byte) = data.get(at + 1) else { break };
            out.extend(std::iter::repeat_n(byte, 257 - usize::from(length)));
            at += 2;
        }
        budget.decoded(out.len() - before)?;
    }
    Some(out)
}

/// Undoes a PNG predictor (ISO 32000-1, section 7.4.4.4), which is before tables rather than text.
fn predicted(data: Vec<u8>, parameters: &Dictionary) -> Option<Vec<u8>> {
    let number = |name: &str, otherwise: usize| {
        parameters.get(name).map_or(Some(otherwise), Object::count).filter(|n| (1..=1 << 16).contains(n))
    };
    if number("Predictor", 1)? < 10 {
        return (number("Predictor", 1)? == 1).then_some(data);
    }
    let bits = number("Colors", 1)?.checked_mul(number("BitsPerComponent", 8)?)?;
    let width = bits.checked_mul(number("Columns", 1)?)?.div_ceil(8);
    let pixel = bits.div_ceil(8);
    let mut out: Vec<u8> = Vec::with_capacity(data.len());
    let mut above = vec![0; width];
    for row in data.chunks(width + 1) {
        let (kind, row) = row.split_first()?;
        let mut here: Vec<u8> = Vec::with_capacity(width);
        for (n, byte) in row.iter().enumerate() {
            let at = |row: &[u8], n: Option<usize>| n.and_then(|n| row.get(n)).copied().unwrap_or(0);
            let (left, up) = (at(&here, n.checked_sub(pixel)), at(&above, Some(n)));
            let corner = at(&above, n.checked_sub(pixel));
            let guess = match kind {
                1 => left,
                2 => up,
                3 => u8::midpoint(left, up),
                4 => paeth(left, up, corner),
                _ => 0,
            };
            here.push(byte.wrapping_add(guess));
        }
        out.extend_from_slice(&here);
        here.resize(width, 0);
        above = here;
    }
    Some(out)
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(corner);
    let distance = |to: u8| (estimate - i16::from(to)).abs();
    if distance(left) <= distance(up) && distance(left) <= distance(corner) {
        left
    } else if distance(up) <= distance(corner) {
        up
    } else {
        corner
    }
}

/// Whether the bytes begin with a keyword that ends there.
pub(super) fn keyword(data: &[u8], word: &[u8]) -> bool {
    data.strip_prefix(word)
        .is_some_and(|rest| rest.first().is_none_or(|b| is_space(*b) || !b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::super::lexer::Lexer;
    use super::*;

    fn through(filter: &str, data: &[u8]) -> Option<Vec<u8>> {
        decode(&[filter.into()], &[], data, &mut Budget::default())
    }

    #[test]
    fn filters_give_what_was_put_in() {
        assert_eq!(through("ASCIIHexDecode", b"48 65 6c>zz").as_deref(), Some(&b"Hel"[..]));
        assert_eq!(through("A85", b"87cURD]i,\"Ebo80~>").as_deref(), Some(&b"Hello World!"[..]));
        assert_eq!(through("RL", &[2, b'a', b'b', b'c', 254, b'd', 128]).as_deref(), Some(&b"abcddd"[..]));
        assert_eq!(
            through("LZWDecode", &[0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01]).as_deref(),
            Some(&b"-----A---B"[..])
        );
        assert_eq!(through("DCTDecode", b"x"), None);
    }

    #[test]
    fn a_cut_stream_is_read_as_far_as_it_goes() {
        use std::io::Write;
        let text: String = (0..5000).map(|n| format!("{n} ")).collect();
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text.as_bytes()).expect("memory takes it");
        let packed = encoder.finish().expect("memory takes it");
        let cut = through("Fl", &packed[..packed.len() / 2]).expect("some of it");
        assert!(cut.len() > 1000 && text.as_bytes().starts_with(&cut));
        assert_eq!(through("Fl", &packed).as_deref(), Some(text.as_bytes()));
    }

    #[test]
    fn predictors_are_undone() {
        let text = "<</Predictor 15/Columns 2>>";
        let parameters = Lexer::new(text.as_bytes(), 0).object(&mut Budget::default());
        let Some(Object::Dictionary(parameters)) = parameters else { panic!("a dictionary") };
        // Nothing, left, up, mean of left and up, and Paeth.
        let rows = [0, 1, 2, 1, 1, 1, 2, 1, 1, 3, 1, 1, 4, 1, 1].to_vec();
        assert_eq!(predicted(rows, &parameters), Some(vec![1, 2, 1, 2, 2, 3, 2, 3, 3, 4]));
    }
}
