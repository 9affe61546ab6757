//! Products with weights rounded to eight bits: each output's weights have a scale of their own, and each row of
//! activations is rounded with its own scale as it comes ("dynamic" quantisation).

use super::dot::{Dot, DotKernel, Dots};

/// Vectors side by side in a tile.
const VECTORS: usize = 3;
/// Outputs of the widest tile.
const WIDEST: usize = VECTORS * 16;
/// The largest eight-bit integer, and without its sign the smallest: -128 is not used.
const LARGEST: f32 = 127.0;

/// A weight matrix in eight bits, laid out as [`super::matmul::Linear`] with four inputs side by side in place of one.
#[derive(Debug)]
pub(super) struct Int8Linear {
    dots: Dots,
    inputs: usize,
    outputs: usize,
    panels: Vec<[i8; 4]>,
    /// For each output, as wide as the panels.
    columns: Vec<Column>,
}

/// What makes a number of an integer sum.
#[derive(Debug, Clone, Copy, Default)]
struct Column {
    /// What the offset of activations adds to each sum.
    excess: i32,
    scale: f32,
    bias: f32,
}

/// Rows of activations in eight bits; grows to the most it has held.
#[derive(Debug, Default)]
pub(super) struct Int8Rows {
    numbers: Vec<[u8; 4]>,
    /// Of each row.
    scales: Vec<f32>,
}

impl Int8Linear {
    /// From `weight[outputs][inputs]` and `bias[outputs]`, row after row.
    pub(super) fn pack(dots: Dots, weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        let width = VECTORS * dots.lanes();
        let groups = inputs.div_ceil(4);
        let mut panels = vec![[0i8; 4]; outputs.div_ceil(width) * width * groups];
        let mut columns = vec![Column::default(); outputs.div_ceil(width) * width];
        let offset = dots.run(Offset);
        for (output, (row, bias)) in weight.chunks_exact(inputs.max(1)).zip(bias).enumerate() {
            let largest = row.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
            let scale = largest / LARGEST;
            let panel = output / width * width * groups;
            let mut sum = 0;
            for (input, weight) in row.iter().enumerate() {
                let rounded = if scale > 0.0 { (weight / scale).round() as i8 } else { 0 };
                panels[panel + input / 4 * width + output % width][input % 4] = rounded;
                sum += i32::from(rounded);
            }
            columns[output] = Column { excess: offset * sum, scale, bias: *bias };
        }
        Self { dots, inputs, outputs, panels, columns }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `out[rows][outputs] = x[rows][inputs] * weight + bias`, both factors rounded to eight bits.
    pub(super) fn apply(&self, x: &[f32], out: &mut [f32], rows: &mut Int8Rows) {
        debug_assert_eq!(x.len() / self.inputs, out.len() / self.outputs);
        self.dots.run(Apply { linear: self, x, out, rows });
    }
}

struct Offset;

impl DotKernel for Offset {
    type Output = i32;

    #[inline(always)]
    fn run<D: Dot>(self, _dot: D) -> i32 {
        i32::from(D::OFFSET)
    }
}

struct Apply<'a> {
    linear: &'a Int8Linear,
    x: &'a [f32],
    out: &'a mut [f32],
    rows: &'a mut Int8Rows,
}

impl DotKernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<D: Dot>(self, dot: D) {
        let Int8Linear { inputs, outputs, panels, columns, .. } = self.linear;
        let groups = inputs.div_ceil(4);
        let Int8Rows { numbers, scales } = self.rows;
        numbers.clear();
        numbers.resize(self.x.len() / inputs * groups, [D::OFFSET; 4]);
        scales.clear();
        for (row, numbers) in self.x.chunks_exact(*inputs).zip(numbers.chunks_exact_mut(groups)) {
            scales.push(round_row(row, D::OFFSET, numbers.as_flattened_mut()));
        }
        let width = VECTORS * D::N;
        let both = panels.chunks_exact(width * groups).zip(columns.chunks_exact(width));
        for (index, (panel, columns)) in both.enumerate() {
            let first = index * width;
            let columns = &columns[..width.min(outputs - first)];
            let rows = numbers.chunks(D::ROWS * groups).zip(scales.chunks(D::ROWS));
            for ((numbers, scales), out) in rows.zip(self.out.chunks_mut(D::ROWS * outputs)) {
                let mut out = &mut out[first..];
                let (mut numbers, mut scales) = (numbers, scales);
                // A remainder of rows in powers of two: fewer variants to compile than one for each number.
                loop {
                    let job = (numbers, scales, panel, columns);
                    let step = match scales.len() {
                        8.. if D::ROWS >= 8 => tile::<D, 8>(dot, job, out, *outputs),
                        4.. if D::ROWS >= 4 => tile::<D, 4>(dot, job, out, *outputs),
                        2.. => tile::<D, 2>(dot, job, out, *outputs),
                        _ => tile::<D, 1>(dot, job, out, *outputs),
                    };
                    if scales.len() <= step {
                        break;
                    }
                    numbers = &numbers[step * groups..];
                    scales = &scales[step..];
                    out = &mut out[step * outputs..];
                }
            }
        }
    }
}

/// Rounds a row to integers of at most 127 and returns the scale that undoes it.
#[inline(always)]
fn round_row(row: &[f32], offset: u8, to: &mut [u8]) -> f32 {
    let mut largest = [0.0f32; 16];
    let chunks = row.chunks_exact(16);
    for (most, x) in largest.iter_mut().zip(chunks.remainder()) {
        *most = x.abs();
    }
    for chunk in chunks {
        for (most, x) in largest.iter_mut().zip(chunk) {
            *most = if x.abs() > *most { x.abs() } else { *most };
        }
    }
    let largest = largest.into_iter().fold(0.0, f32::max);
    let factor = if largest > f32::MIN_POSITIVE * LARGEST { LARGEST / largest } else { 0.0 };
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the lowest bits.
    let magic = 12_582_912.0 + f32::from(offset);
    for (to, x) in to.iter_mut().zip(row) {
        *to = (x * factor + magic).to_bits() as u8;
    }
    largest / LARGEST
}

/// Rows of activations and their scales, a panel and what its outputs need.
type Job<'a> = (&'a [[u8; 4]], &'a [f32], &'a [[i8; 4]], &'a [Column]);

/// The first `R` rows of activations times one panel; returns `R`.
#[inline(always)]
fn tile<D: Dot, const R: usize>(
    dot: D,
    (numbers, scales, panel, columns): Job<'_>,
    out: &mut [f32],
    stride: usize,
) -> usize {
    let groups = panel.len() / (VECTORS * D::N);
    let x: [&[[u8; 4]]; R] = std::array::from_fn(|row| &numbers[row * groups..][..groups]);
    let mut sums = [[dot.zero(); VECTORS]; R];
    for (step, weights) in panel.chunks_exact(VECTORS * D::N).enumerate() {
        let mut vectors = [dot.zero(); VECTORS];
        for (vector, weights) in vectors.iter_mut().zip(weights.chunks_exact(D::N)) {
            *vector = dot.load(weights);
        }
        for row in 0..R {
            dot.dot(&mut sums[row], x[row][step], &vectors);
        }
    }
    for row in 0..R {
        let mut integers = [0; WIDEST];
        for (vector, sum) in sums[row].iter().enumerate() {
            dot.store(*sum, &mut integers[vector * D::N..]);
        }
        let scale = scales[row];
        for ((out, column), sum) in out[row * stride..].iter_mut().zip(columns).zip(integers) {
            *out = (sum - column.excess) as f32 * (scale * column.scale) + column.bias;
        }
    }
    R
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn products_of_any_size(
            rows in 1usize..20,
            inputs in 1usize..70,
            outputs in 1usize..110,
            numbers in prop::collection::vec(prop_oneof![Just(0f32), Just(4.0), Just(-4.0), -4f32..4.0], 64),
        ) {
            let take = |count: usize, from: usize| -> Vec<f32> {
                (0..count).map(|at| numbers[(at * 5 + from + at / 64) % 64]).collect()
            };
            let (weight, bias, x) = (take(outputs * inputs, 1), take(outputs, 2), take(rows * inputs, 3));
            let apply = |dots: Dots| {
                let linear = Int8Linear::pack(dots, &weight, &bias);
                let mut scratch = Int8Rows { numbers: vec![[77; 4]; 3], scales: vec![9.0] };
                let mut found = vec![f32::NAN; rows * outputs];
                linear.apply(&x, &mut found, &mut scratch);
                found
            };
            let reference = apply(Dots::Portable(super::super::dot::Portable));
            // The same integers everywhere, so the same numbers up to a fused multiplication.
            for dots in Dots::all() {
                for (found, expected) in apply(dots).iter().zip(&reference) {
                    prop_assert!((found - expected).abs() < 1e-3, "{dots:?}: {found} is not {expected}");
                }
            }
            // And near the exact product: half a step of each factor, times the other, for each input.
            let largest = |numbers: &[f32]| numbers.iter().fold(0f32, |most, x| most.max(x.abs()));
            for (at, found) in reference.iter().enumerate() {
                let x = &x[at / outputs * inputs..][..inputs];
                let weight = &weight[at % outputs * inputs..][..inputs];
                let exact: f32 = x.iter().zip(weight).map(|(x, weight)| x * weight).sum::<f32>() + bias[at % outputs];
                let bound = inputs as f32 * largest(x) * largest(weight) * (1.0 / 127.0 + 1e-4) + 1e-3;
                prop_assert!((found - exact).abs() <= bound, "{found} is not {exact}");
            }
        }
    }

    #[test]
    fn rows_without_a_scale_are_zero() {
        for x in [0.0, -0.0, f32::MIN_POSITIVE / 4.0] {
            for dots in Dots::all() {
                let linear = Int8Linear::pack(dots, &[1.0; 30], &[0.5; 5]);
                let mut out = [f32::NAN; 5];
                linear.apply(&[x; 6], &mut out, &mut Int8Rows::default());
                assert_eq!(out, [0.5; 5], "{dots:?}");
            }
        }
    }
}
