//! Self-attention of one sequence, head by head, so that a head's scores stay in the nearest cache.

use super::matmul::Tile;
use super::simd::{Kernel, Simd};

/// Vectors side by side in a tile: fewer than for weights, because heads are narrow.
const HEAD_VECTORS: usize = 2;
const NO_BIAS: [f32; 32] = [0.0; 32];

/// Keys, values and scores of one head; grows to the longest sequence it has seen.
#[derive(Debug, Default)]
pub(super) struct HeadScratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
}

/// Attention of some of a sequence's rows to all of them.
pub(super) struct Attend<'a> {
    /// Queries (already divided by the root of a head's size), keys and values of the whole sequence, side by side in
    /// each row.
    pub(super) qkv: &'a [f32],
    pub(super) heads: usize,
    /// Numbers of one head in each query, key and value.
    pub(super) size: usize,
    /// The first row whose attention is wanted; `out` says how many.
    pub(super) first: usize,
    /// The heads' results side by side, row after row.
    pub(super) out: &'a mut [f32],
    pub(super) scratch: &'a mut HeadScratch,
}

impl Kernel for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Attend { qkv, heads, size, first, out, scratch } = self;
        let hidden = heads * size;
        let tokens = qkv.len() / (3 * hidden);
        let width = HEAD_VECTORS * S::N;
        let padded = tokens.next_multiple_of(width);
        scratch.keys.resize(padded * size, 0.0);
        scratch.values.resize(tokens * size.next_multiple_of(width), 0.0);
        scratch.scores.resize(S::ROWS * padded, 0.0);
        let HeadScratch { keys, values, scores } = scratch;
        for head in 0..heads {
            pack_keys(qkv, hidden, head * size, size, width, keys);
            pack_values(qkv, hidden, head * size, size, width, values);
            let queries = &qkv[first * 3 * hidden..][..out.len() * 3];
            let blocks = queries.chunks(S::ROWS * 3 * hidden).zip(out.chunks_mut(S::ROWS * hidden));
            for (queries, out) in blocks {
                let rows = out.len() / hidden;
                let x = &queries[head * size..];
                for (index, panel) in keys.chunks_exact(size * width).enumerate() {
                    let tile = Tile { x, stride: 3 * hidden, depth: size, panel, bias: &NO_BIAS };
                    tile.rows::<S, HEAD_VECTORS>(simd, &mut scores[index * width..], padded, width);
                }
                let mut shares = [0.0; 8];
                for (row, share) in scores.chunks_exact_mut(padded).take(rows).zip(&mut shares) {
                    *share = 1.0 / super::pointwise::exponentials(simd, &mut row[..tokens]);
                }
                for (index, panel) in values.chunks_exact(tokens * width).enumerate() {
                    let x = &scores[..rows * padded];
                    let tile = Tile { x, stride: padded, depth: tokens, panel, bias: &NO_BIAS };
                    let columns = width.min(size - index * width);
                    let out = &mut out[head * size + index * width..];
                    tile.rows::<S, HEAD_VECTORS>(simd, out, hidden, columns);
                }
                for (row, share) in out.chunks_exact_mut(hidden).zip(shares) {
                    for value in &mut row[head * size..][..size] {
                        *value *= share;
                    }
                }
            }
        }
    }
}

/// Panels of `width` keys, each dimension's numbers side by side; missing keys are zero.
#[inline(always)]
fn pack_keys(qkv: &[f32], hidden: usize, offset: usize, size: usize, width: usize, keys: &mut [f32]) {
    let mut rows = qkv.chunks_exact(3 * hidden);
    for panel in keys.chunks_exact_mut(size * width) {
        for key in 0..width {
            match rows.next() {
                Some(row) => {
                    let from = &row[hidden + offset..][..size];
                    for (dimensions, from) in panel.chunks_exact_mut(width).zip(from) {
                        dimensions[key] = *from;
                    }
                }
                None => panel.chunks_exact_mut(width).for_each(|dimensions| dimensions[key] = 0.0),
            }
        }
    }
}

/// Panels of `width` dimensions of all values, one value after the other.
#[inline(always)]
fn pack_values(qkv: &[f32], hidden: usize, offset: usize, size: usize, width: usize, values: &mut [f32]) {
    let tokens = qkv.len() / (3 * hidden);
    for (index, panel) in values.chunks_exact_mut(tokens * width).enumerate() {
        let columns = width.min(size - index * width);
        for (to, row) in panel.chunks_exact_mut(width).zip(qkv.chunks_exact(3 * hidden)) {
            to[..columns].copy_from_slice(&row[2 * hidden + offset + index * width..][..columns]);
            to[columns..].fill(0.0);
        }
    }
}
