//! What a layer does to each number or row between its matrix products.

use super::simd::{Kernel, Simd};

/// The activation of the feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// `x Φ(x)`.
    Gelu,
    /// `x Φ(x)` with the hyperbolic tangent in place of the error function (Hendrycks and Gimpel, arXiv 1606.08415).
    GeluTanh,
    Relu,
}

/// Applies an activation in place.
pub(super) struct Activate<'a> {
    pub(super) activation: Activation,
    pub(super) values: &'a mut [f32],
}

impl Kernel for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut chunks = self.values.chunks_exact_mut(S::N);
        match self.activation {
            Activation::Gelu => {
                for chunk in &mut chunks {
                    simd.store(gelu(simd, simd.load(chunk)), chunk);
                }
                let rest = chunks.into_remainder();
                simd.store_part(gelu(simd, simd.load_part(rest, 0.0)), rest);
            }
            Activation::GeluTanh => {
                for chunk in &mut chunks {
                    simd.store(gelu_tanh(simd, simd.load(chunk)), chunk);
                }
                let rest = chunks.into_remainder();
                simd.store_part(gelu_tanh(simd, simd.load_part(rest, 0.0)), rest);
            }
            Activation::Relu => {
                let zero = simd.splat(0.0);
                for chunk in &mut chunks {
                    simd.store(simd.max(simd.load(chunk), zero), chunk);
                }
                let rest = chunks.into_remainder();
                simd.store_part(simd.max(simd.load_part(rest, 0.0), zero), rest);
            }
        }
    }
}

#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::V) -> S::V {
    let half = simd.mul(x, simd.splat(0.5));
    let erf = erf(simd, simd.mul(x, simd.splat(std::f32::consts::FRAC_1_SQRT_2)));
    simd.mul_add(half, erf, half)
}

#[inline(always)]
fn gelu_tanh<S: Simd>(simd: S, x: S::V) -> S::V {
    // x (1 + tanh u) / 2 is x / (1 + exp(-2u)).
    let cube = simd.mul(simd.mul(x, x), x);
    let u = simd.mul_add(simd.splat(0.044_715), cube, x);
    let power = exp(simd, simd.mul(u, simd.splat(-2.0 * 0.797_884_6)));
    simd.div(x, simd.add(power, simd.splat(1.0)))
}

/// Numerator of the error function divided by its argument, in powers of the argument's square.
const ERF_P: [f32; 6] = [
    std::f32::consts::FRAC_2_SQRT_PI,
    0.190_390_45,
    0.052_746_475,
    0.003_764_890_4,
    0.000_284_860_1,
    2.050_131_6e-6,
];
/// Denominator.
const ERF_Q: [f32; 6] = [1.0, 0.502_061_9, 0.114_102_37, 0.014_967_772, 0.001_162_347_2, 3.809_098_3e-5];

/// The error function, within four units in the last place: a rational approximation, fitted by weighted least squares
/// for the smallest relative error where the function is not yet 1 to single precision.
#[inline(always)]
fn erf<S: Simd>(simd: S, x: S::V) -> S::V {
    let x = simd.max(simd.min(x, simd.splat(3.92)), simd.splat(-3.92));
    let square = simd.mul(x, x);
    simd.div(simd.mul(x, polynomial(simd, &ERF_P, square)), polynomial(simd, &ERF_Q, square))
}

/// Horner's scheme, coefficients from the lowest power.
#[inline(always)]
fn polynomial<S: Simd, const C: usize>(simd: S, coefficients: &[f32; C], x: S::V) -> S::V {
    let mut sum = simd.splat(coefficients[C - 1]);
    for power in (0..C - 1).rev() {
        sum = simd.mul_add(sum, x, simd.splat(coefficients[power]));
    }
    sum
}

/// The exponential function, for arguments whose result is neither subnormal nor infinite; those outside count as the
/// nearest inside.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::V) -> S::V {
    let x = simd.max(simd.min(x, simd.splat(88.0)), simd.splat(-87.0));
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the lowest bits; 127 is the bias of exponents.
    let magic = simd.splat(12_582_912.0 + 127.0);
    let shifted = simd.mul_add(x, simd.splat(std::f32::consts::LOG2_E), magic);
    let n = simd.sub(shifted, magic);
    // The logarithm of two in two parts, the first short enough for its product with n to be exact.
    let r = simd.mul_add(n, simd.splat(-0.693_359_4), x);
    let r = simd.mul_add(n, simd.splat(2.121_944_4e-4), r);
    const TAYLOR: [f32; 8] = [1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    simd.mul(polynomial(simd, &TAYLOR, r), simd.shift_to_exponent(shifted))
}

/// Replaces each number by `exp(x - largest)` and returns their sum: softmax before its division.
#[inline(always)]
pub(super) fn exponentials<S: Simd>(simd: S, row: &mut [f32]) -> f32 {
    let mut largest = simd.splat(f32::NEG_INFINITY);
    let chunks = row.chunks_exact(S::N);
    let rest = simd.load_part(chunks.remainder(), f32::NEG_INFINITY);
    for chunk in chunks {
        largest = simd.max(largest, simd.load(chunk));
    }
    let largest = simd.splat(simd.largest(simd.max(largest, rest)));
    let mut sum = simd.splat(0.0);
    let mut chunks = row.chunks_exact_mut(S::N);
    for chunk in &mut chunks {
        let power = exp(simd, simd.sub(simd.load(chunk), largest));
        simd.store(power, chunk);
        sum = simd.add(sum, power);
    }
    let rest = chunks.into_remainder();
    simd.store_part(exp(simd, simd.sub(simd.load_part(rest, 0.0), largest)), rest);
    let mut total = simd.sum(sum);
    for power in rest {
        total += *power;
    }
    total
}

/// Weight and bias of a layer normalisation.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    /// Added to the variance.
    pub(super) epsilon: f32,
}

/// Adds to each row what belongs to it and normalises it.
pub(super) struct AddNorm<'a> {
    pub(super) norm: &'a Norm,
    pub(super) rows: &'a mut [f32],
    pub(super) added: &'a [f32],
}

impl Kernel for AddNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.norm.weight.len();
        for (row, added) in self.rows.chunks_exact_mut(width).zip(self.added.chunks_exact(width)) {
            add_norm(simd, self.norm, row, added);
        }
    }
}

#[inline(always)]
fn add_norm<S: Simd>(simd: S, norm: &Norm, row: &mut [f32], added: &[f32]) {
    let width = row.len();
    let whole = width - width % S::N;
    let mut sum = simd.splat(0.0);
    for (chunk, added) in row.chunks_exact_mut(S::N).zip(added.chunks_exact(S::N)) {
        let x = simd.add(simd.load(chunk), simd.load(added));
        simd.store(x, chunk);
        sum = simd.add(sum, x);
    }
    let mut total = simd.sum(sum);
    for (x, added) in row[whole..].iter_mut().zip(&added[whole..]) {
        *x += added;
        total += *x;
    }
    let mean = total / width as f32;
    let centre = simd.splat(mean);
    let mut squares = simd.splat(0.0);
    for chunk in row.chunks_exact(S::N) {
        let x = simd.sub(simd.load(chunk), centre);
        squares = simd.mul_add(x, x, squares);
    }
    let mut variance = simd.sum(squares);
    for x in &row[whole..] {
        variance += (x - mean) * (x - mean);
    }
    let scale = 1.0 / (variance / width as f32 + norm.epsilon).sqrt();
    let factor = simd.splat(scale);
    let weights = norm.weight.chunks_exact(S::N).zip(norm.bias.chunks_exact(S::N));
    for (chunk, (weight, bias)) in row.chunks_exact_mut(S::N).zip(weights) {
        let x = simd.mul(simd.sub(simd.load(chunk), centre), factor);
        simd.store(simd.mul_add(x, simd.load(weight), simd.load(bias)), chunk);
    }
    let weights = norm.weight[whole..].iter().zip(&norm.bias[whole..]);
    for (x, (weight, bias)) in row[whole..].iter_mut().zip(weights) {
        *x = (*x - mean) * scale * weight + bias;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encoder::simd::Cpu;

    struct Exponentials<'a>(&'a mut [f32]);

    impl Kernel for Exponentials<'_> {
        type Output = f32;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> f32 {
            exponentials(simd, self.0)
        }
    }

    /// The error function in double precision: its Maclaurin series, or 1 where that is all single precision shows.
    fn erf_by_series(x: f64) -> f64 {
        if x.abs() > 4.5 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    fn expected(activation: Activation, x: f32) -> f64 {
        let x = f64::from(x);
        match activation {
            Activation::Gelu => 0.5 * x * (1.0 + erf_by_series(x * std::f64::consts::FRAC_1_SQRT_2)),
            Activation::GeluTanh => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                0.5 * x * (1.0 + u.tanh())
            }
            Activation::Relu => x.max(0.0),
        }
    }

    #[test]
    fn activations_are_exact_to_single_precision() {
        for cpu in Cpu::all() {
            for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
                let numbers: Vec<f32> = (-24_001..24_000)
                    .map(|step| step as f32 / 2000.0)
                    .chain([-1e30, -0.0, 1e-30, 1e4])
                    .collect();
                let mut found = numbers.clone();
                cpu.run(Activate { activation, values: &mut found });
                for (x, found) in numbers.iter().zip(found) {
                    let expected = expected(activation, *x);
                    let error = (f64::from(found) - expected).abs();
                    assert!(
                        error <= 4e-7 * f64::from(x.abs()),
                        "{cpu:?} {activation:?}({x}) = {found}, not {expected}"
                    );
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn softmax_of_any_row(row in prop::collection::vec(-300f32..300.0, 1..70)) {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let exact: Vec<f64> = row.iter().map(|x| f64::from(x - largest).exp()).collect();
            for cpu in Cpu::all() {
                let mut found = row.clone();
                let sum = cpu.run(Exponentials(&mut found));
                prop_assert!((f64::from(sum) / exact.iter().sum::<f64>() - 1.0).abs() < 1e-5);
                for (found, exact) in found.iter().zip(&exact) {
                    prop_assert!((f64::from(*found) - exact).abs() < 5e-7, "{found} is not {exact}");
                }
            }
        }

        #[test]
        fn normalised_rows_of_any_width(
            row in prop::collection::vec(-1000f32..1000.0, 8..70),
            scale in 1e-3f32..10.0,
        ) {
            let width = row.len();
            let norm = Norm {
                weight: (0..width).map(|at| at as f32 * 0.1 - 1.0).collect(),
                bias: (0..width).map(|at| 1.0 - at as f32 * 0.05).collect(),
                epsilon: 1e-12,
            };
            let added: Vec<f32> = row.iter().map(|x| x * 0.5).collect();
            let sums: Vec<f64> = row.iter().zip(&added).map(|(x, y)| f64::from(x * scale + y * scale)).collect();
            let mean = sums.iter().sum::<f64>() / width as f64;
            let variance = sums.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
            // Where all numbers are nearly alike, their rounding is all that is left.
            prop_assume!(variance.sqrt() > mean.abs() * 1e-2);
            for cpu in Cpu::all() {
                let mut found: Vec<f32> = row.iter().map(|x| x * scale).collect();
                let added: Vec<f32> = added.iter().map(|x| x * scale).collect();
                cpu.run(AddNorm { norm: &norm, rows: &mut found, added: &added });
                for (at, found) in found.iter().enumerate() {
                    let exact = (sums[at] - mean) / variance.sqrt() * f64::from(norm.weight[at])
                        + f64::from(norm.bias[at]);
                    prop_assert!((f64::from(*found) - exact).abs() < 2e-4, "{cpu:?} {found} is not {exact}");
                }
            }
        }
    }
}
