//! Products of activations with weights that are laid out for them once.

use super::simd::{Cpu, Kernel, Simd};

/// Vectors side by side in a tile of a weight matrix's product.
const WEIGHT_VECTORS: usize = 3;

/// A weight matrix, transposed and cut into panels of columns: a panel holds, for each input in turn, the weights of its
/// outputs side by side.
#[derive(Debug)]
pub(super) struct Linear {
    inputs: usize,
    outputs: usize,
    panels: Vec<f32>,
    /// As long as all panels are wide.
    bias: Vec<f32>,
}

impl Linear {
    /// From `weight[outputs][inputs]` and `bias[outputs]`, row after row.
    pub(super) fn pack(cpu: Cpu, weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        let width = WEIGHT_VECTORS * cpu.lanes();
        let mut panels = vec![0.0; outputs.div_ceil(width) * width * inputs];
        for (output, row) in weight.chunks_exact(inputs.max(1)).enumerate() {
            let panel = output / width * width * inputs;
            for (input, weight) in row.iter().enumerate() {
                panels[panel + input * width + output % width] = *weight;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(outputs.div_ceil(width) * width, 0.0);
        Self { inputs, outputs, panels, bias }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `out[rows][outputs] = x[rows][inputs] * weight + bias`.
    pub(super) fn apply(&self, cpu: Cpu, x: &[f32], out: &mut [f32]) {
        debug_assert_eq!(x.len() / self.inputs, out.len() / self.outputs);
        cpu.run(Apply { linear: self, x, out });
    }
}

struct Apply<'a> {
    linear: &'a Linear,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Linear { inputs, outputs, panels, bias } = self.linear;
        let width = WEIGHT_VECTORS * S::N;
        let panels_and_bias = panels.chunks_exact(width * inputs).zip(bias.chunks_exact(width));
        for (index, (panel, bias)) in panels_and_bias.enumerate() {
            let column = index * width;
            let columns = width.min(outputs - column);
            let rows = self.x.chunks(S::ROWS * inputs).zip(self.out.chunks_mut(S::ROWS * outputs));
            for (x, out) in rows {
                let job = Tile { x, stride: *inputs, depth: *inputs, panel, bias };
                job.rows::<S, WEIGHT_VECTORS>(simd, &mut out[column..], *outputs, columns);
            }
        }
    }
}

/// A few rows of activations times one panel.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// Rows, `stride` apart; the last may end after `depth`.
    pub(super) x: &'a [f32],
    pub(super) stride: usize,
    /// Length of the products' sums.
    pub(super) depth: usize,
    pub(super) panel: &'a [f32],
    /// As wide as the panel.
    pub(super) bias: &'a [f32],
}

impl Tile<'_> {
    /// Computes as many rows as `x` has, at most `S::ROWS`, and stores their first `columns` numbers `stride` apart.
    #[inline(always)]
    pub(super) fn rows<S: Simd, const W: usize>(
        self,
        simd: S,
        out: &mut [f32],
        stride: usize,
        columns: usize,
    ) {
        let rows = self.x.len().div_ceil(self.stride);
        if S::ROWS == 8 && rows == 8 {
            return self.exactly::<S, W, 8>(simd, out, stride, columns);
        }
        let mut tile = self;
        let mut out = out;
        let mut left = rows;
        // A remainder of rows, in powers of two: fewer variants to compile than one for each number.
        while left > 0 {
            let step = if left >= 4 {
                4
            } else if left >= 2 {
                2
            } else {
                1
            };
            match step {
                4 => tile.exactly::<S, W, 4>(simd, out, stride, columns),
                2 => tile.exactly::<S, W, 2>(simd, out, stride, columns),
                _ => tile.exactly::<S, W, 1>(simd, out, stride, columns),
            }
            left -= step;
            if left == 0 {
                break;
            }
            tile.x = &tile.x[step * tile.stride..];
            out = &mut out[step * stride..];
        }
    }

    #[inline(always)]
    fn exactly<S: Simd, const W: usize, const R: usize>(
        self,
        simd: S,
        out: &mut [f32],
        stride: usize,
        columns: usize,
    ) {
        let mut sums = [[simd.splat(0.0); W]; R];
        for row in &mut sums {
            for (vector, sum) in row.iter_mut().enumerate() {
                *sum = simd.load(&self.bias[vector * S::N..]);
            }
        }
        // Each row has the length of the loop, which therefore needs no checks.
        let depth = self.depth;
        let x: [&[f32]; R] = std::array::from_fn(|row| &self.x[row * self.stride..][..depth]);
        let panel = &self.panel[..depth * W * S::N];
        for (step, weights) in panel.chunks_exact(W * S::N).enumerate() {
            let mut vectors = [simd.splat(0.0); W];
            for (vector, weights) in vectors.iter_mut().zip(weights.chunks_exact(S::N)) {
                *vector = simd.load(weights);
            }
            for row in 0..R {
                let factor = simd.splat(x[row][step]);
                for vector in 0..W {
                    sums[row][vector] = simd.mul_add(factor, vectors[vector], sums[row][vector]);
                }
            }
        }
        // Only constants index the sums, or they would live in memory throughout the loop above.
        for row in 0..R {
            let out = &mut out[row * stride..][..columns];
            for (vector, sum) in sums[row].iter().enumerate() {
                let out = out.get_mut(vector * S::N..).unwrap_or_default();
                if out.len() >= S::N {
                    simd.store(*sum, out);
                } else {
                    simd.store_part(*sum, out);
                }
            }
        }
    }
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
            numbers in prop::collection::vec(-4f32..4.0, 64),
        ) {
            let take = |count: usize, from: usize| -> Vec<f32> {
                (0..count).map(|at| numbers[(at * 5 + from + at / 64) % 64]).collect()
            };
            let (weight, bias, x) = (take(outputs * inputs, 1), take(outputs, 2), take(rows * inputs, 3));
            for cpu in Cpu::all() {
                let linear = Linear::pack(cpu, &weight, &bias);
                let mut found = vec![f32::NAN; rows * outputs];
                linear.apply(cpu, &x, &mut found);
                for (at, found) in found.iter().enumerate() {
                    let (row, output) = (at / outputs, at % outputs);
                    let exact = f64::from(bias[output])
                        + (0..inputs)
                            .map(|k| f64::from(x[row * inputs + k]) * f64::from(weight[output * inputs + k]))
                            .sum::<f64>();
                    prop_assert!((f64::from(*found) - exact).abs() < 1e-3, "{cpu:?}: {found} is not {exact}");
                }
            }
        }
    }
}
