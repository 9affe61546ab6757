//! Vectors of single-precision numbers at the widths processors have, chosen when the program runs.
//!
//! A kernel is written once, over [`Simd`], and compiled for each set of instructions. A value of [`Avx512`] or [`Avx2`]
//! exists only where the processor has these instructions, so that its methods are safe to call.

#![expect(
    unsafe_code,
    reason = "std::arch has no safe way to call an instruction that not every processor has"
)]

/// Operations on vectors of `N` single-precision numbers.
pub(super) trait Simd: Copy {
    /// A vector.
    type V: Copy;
    /// Numbers in a vector.
    const N: usize;
    /// Rows of a tile of products that the registers hold beside its operands.
    const ROWS: usize;

    fn splat(self, x: f32) -> Self::V;
    /// The first `N` numbers. Panics when there are fewer.
    fn load(self, from: &[f32]) -> Self::V;
    /// Writes to the first `N` places. Panics when there are fewer.
    fn store(self, v: Self::V, to: &mut [f32]);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `b` where either is not a number.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `b` where either is not a number.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the processor can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The bits of each number, as integers, shifted left by 23: an integer in the lowest bits becomes an exponent.
    fn shift_to_exponent(self, a: Self::V) -> Self::V;
    /// Sum of the numbers.
    fn sum(self, a: Self::V) -> f32;
    /// Largest of the numbers.
    fn largest(self, a: Self::V) -> f32;

    /// The numbers of a slice shorter than a vector, then `fill`.
    #[inline(always)]
    fn load_part(self, from: &[f32], fill: f32) -> Self::V {
        let mut whole = [fill; 16];
        for (to, from) in whole.iter_mut().zip(from) {
            *to = *from;
        }
        self.load(&whole)
    }

    /// Writes as many numbers as the slice, shorter than a vector, has room for.
    #[inline(always)]
    fn store_part(self, v: Self::V, to: &mut [f32]) {
        let mut whole = [0.0; 16];
        self.store(v, &mut whole);
        for (to, from) in to.iter_mut().zip(whole) {
            *to = from;
        }
    }
}

/// A computation that is compiled for every [`Simd`]. Its `run` and all that it calls must be `#[inline(always)]`,
/// or they are compiled without the instructions.
pub(super) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The instructions that this process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cpu {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl Cpu {
    /// The widest that the processor has.
    pub(super) fn best() -> Self {
        Self::all().next().unwrap_or(Self::Portable(Portable))
    }

    /// Everything that the processor has, the widest first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = [Avx512::detect().map(Self::Avx512), Avx2::detect().map(Self::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let wide = [None; 0];
        wide.into_iter().flatten().chain([Self::Portable(Portable)])
    }

    /// Runs a kernel with these instructions.
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            // SAFETY: the value exists only where `detect` found what `with_avx512` enables.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => unsafe { with_avx512(simd, kernel) },
            // SAFETY: the value exists only where `detect` found what `with_avx2` enables.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => unsafe { with_avx2(simd, kernel) },
            Self::Portable(simd) => kernel.run(simd),
        }
    }

    /// Numbers in a vector.
    pub(super) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Avx512::N,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::N,
            Self::Portable(_) => Portable::N,
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn with_avx512<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
    kernel.run(simd)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
    kernel.run(simd)
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Simd;

    /// 512-bit vectors.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in super::super) struct Avx512(());

    /// 256-bit vectors with fused multiplication and addition.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in super::super) struct Avx2(());

    impl Avx512 {
        pub(super) fn detect() -> Option<Self> {
            let found = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            (found && Avx2::detect().is_some()).then_some(Self(()))
        }
    }

    impl Avx2 {
        pub(super) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
        }
    }

    /// One method an instruction.
    macro_rules! instructions {
        ($($name:ident($($argument:ident),+) = $instruction:ident;)+) => {$(
            #[inline(always)]
            fn $name(self, $($argument: Self::V),+) -> Self::V {
                // SAFETY: a value of this type exists only where the processor has the instruction.
                unsafe { $instruction($($argument),+) }
            }
        )+};
    }

    impl Simd for Avx512 {
        type V = __m512;
        const N: usize = 16;
        // 8 rows of 3 vectors, 3 vectors of weights and one of activations: 28 of 32 registers.
        const ROWS: usize = 8;

        instructions! {
            add(a, b) = _mm512_add_ps;
            sub(a, b) = _mm512_sub_ps;
            mul(a, b) = _mm512_mul_ps;
            div(a, b) = _mm512_div_ps;
            max(a, b) = _mm512_max_ps;
            min(a, b) = _mm512_min_ps;
            mul_add(a, b, c) = _mm512_fmadd_ps;
        }

        #[inline(always)]
        fn splat(self, x: f32) -> __m512 {
            // SAFETY: a value of this type exists only where the processor has AVX-512.
            unsafe { _mm512_set1_ps(x) }
        }

        #[inline(always)]
        fn load(self, from: &[f32]) -> __m512 {
            assert!(from.len() >= Self::N);
            // SAFETY: sixteen numbers are there, the load needs no alignment, and the processor has AVX-512.
            unsafe { _mm512_loadu_ps(from.as_ptr()) }
        }

        #[inline(always)]
        fn store(self, v: __m512, to: &mut [f32]) {
            assert!(to.len() >= Self::N);
            // SAFETY: there is room for sixteen numbers, the store needs no alignment, and the processor has AVX-512.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
        }

        #[inline(always)]
        fn shift_to_exponent(self, a: __m512) -> __m512 {
            // SAFETY: a value of this type exists only where the processor has AVX-512.
            unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(a))) }
        }

        #[inline(always)]
        fn sum(self, a: __m512) -> f32 {
            // SAFETY: a value of this type exists only where the processor has AVX-512.
            unsafe { _mm512_reduce_add_ps(a) }
        }

        #[inline(always)]
        fn largest(self, a: __m512) -> f32 {
            // SAFETY: a value of this type exists only where the processor has AVX-512.
            unsafe { _mm512_reduce_max_ps(a) }
        }
    }

    impl Simd for Avx2 {
        type V = __m256;
        const N: usize = 8;
        // 4 rows of 3 vectors, 3 vectors of weights and one of activations: all 16 registers.
        const ROWS: usize = 4;

        instructions! {
            add(a, b) = _mm256_add_ps;
            sub(a, b) = _mm256_sub_ps;
            mul(a, b) = _mm256_mul_ps;
            div(a, b) = _mm256_div_ps;
            max(a, b) = _mm256_max_ps;
            min(a, b) = _mm256_min_ps;
            mul_add(a, b, c) = _mm256_fmadd_ps;
        }

        #[inline(always)]
        fn splat(self, x: f32) -> __m256 {
            // SAFETY: a value of this type exists only where the processor has AVX2.
            unsafe { _mm256_set1_ps(x) }
        }

        #[inline(always)]
        fn load(self, from: &[f32]) -> __m256 {
            assert!(from.len() >= Self::N);
            // SAFETY: eight numbers are there, the load needs no alignment, and the processor has AVX2.
            unsafe { _mm256_loadu_ps(from.as_ptr()) }
        }

        #[inline(always)]
        fn store(self, v: __m256, to: &mut [f32]) {
            assert!(to.len() >= Self::N);
            // SAFETY: there is room for eight numbers, the store needs no alignment, and the processor has AVX2.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), v) }
        }

        #[inline(always)]
        fn shift_to_exponent(self, a: __m256) -> __m256 {
            // SAFETY: a value of this type exists only where the processor has AVX2.
            unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(a))) }
        }

        #[inline(always)]
        fn sum(self, a: __m256) -> f32 {
            let mut numbers = [0.0; 8];
            self.store(a, &mut numbers);
            let [a, b, c, d, e, f, g, h] = numbers;
            ((a + e) + (c + g)) + ((b + f) + (d + h))
        }

        #[inline(always)]
        fn largest(self, a: __m256) -> f32 {
            let mut numbers = [0.0; 8];
            self.store(a, &mut numbers);
            let [a, b, c, d, e, f, g, h] = numbers;
            a.max(e).max(c.max(g)).max(b.max(f).max(d.max(h)))
        }
    }
}

/// Eight numbers in an array, which compilers turn into what vectors the target always has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portable;

impl Portable {
    #[inline(always)]
    fn zip(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
        std::array::from_fn(|lane| f(a[lane], b[lane]))
    }
}

impl Simd for Portable {
    type V = [f32; 8];
    const N: usize = 8;
    const ROWS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 8] {
        [x; 8]
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> [f32; 8] {
        std::array::from_fn(|lane| from[lane])
    }

    #[inline(always)]
    fn store(self, v: [f32; 8], to: &mut [f32]) {
        to[..8].copy_from_slice(&v);
    }

    #[inline(always)]
    fn add(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn max(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn mul_add(self, a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        // `f32::mul_add` is a call of the C library where the target has no such instruction.
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn shift_to_exponent(self, a: [f32; 8]) -> [f32; 8] {
        a.map(|x| f32::from_bits(x.to_bits() << 23))
    }

    #[inline(always)]
    fn sum(self, a: [f32; 8]) -> f32 {
        let [a, b, c, d, e, f, g, h] = a;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }

    #[inline(always)]
    fn largest(self, a: [f32; 8]) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}
