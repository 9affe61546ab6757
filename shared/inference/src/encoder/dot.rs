//! Sums of products of eight-bit integers, four at a time, with what instructions processors have for them.
//!
//! All give the same integers.

#![expect(
    unsafe_code,
    reason = "std::arch has no safe way to call an instruction that not every processor has"
)]

/// Vectors of `N` 32-bit sums.
pub(super) trait Dot: Copy {
    /// A vector of sums.
    type V: Copy;
    /// Sums in a vector.
    const N: usize;
    /// Rows of a tile of sums that the registers hold beside its operands.
    const ROWS: usize;
    /// What is added to each activation: some instructions take unsigned ones. Its product with the weights is
    /// subtracted from the sums in the end.
    const OFFSET: u8;

    fn zero(self) -> Self::V;
    /// Adds to each sum the products of four activations with its four weights. Panics when there are fewer than `N`
    /// quadruples of weights. Weights are in -127 to 127, activations before the offset as well.
    fn dot<const W: usize>(self, sums: &mut [Self::V; W], activations: [u8; 4], weights: &[Self::V; W]);
    /// The first `N` quadruples of weights. Panics when there are fewer.
    fn load(self, from: &[[i8; 4]]) -> Self::V;
    /// Writes to the first `N` places. Panics when there are fewer.
    fn store(self, v: Self::V, to: &mut [i32]);
}

/// A computation that is compiled for every [`Dot`]. Its `run` and all that it calls must be `#[inline(always)]`, or
/// they are compiled without the instructions.
pub(super) trait DotKernel {
    type Output;
    fn run<D: Dot>(self, dot: D) -> Self::Output;
}

/// The instructions that this process uses for integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dots {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(x86::Avx512Vnni),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(x86::AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    Portable(Portable),
}

impl Dots {
    /// The fastest that the processor has.
    pub(super) fn best() -> Self {
        Self::all().next().unwrap_or(Self::Portable(Portable))
    }

    /// Everything that the processor has, the fastest first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let fast = [
            x86::Avx512Vnni::detect().map(Self::Avx512Vnni),
            x86::AvxVnni::detect().map(Self::AvxVnni),
            x86::Avx2::detect().map(Self::Avx2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let fast = [None; 0];
        fast.into_iter().flatten().chain([Self::Portable(Portable)])
    }

    /// Runs a kernel with these instructions.
    pub(super) fn run<K: DotKernel>(self, kernel: K) -> K::Output {
        match self {
            // SAFETY: the value exists only where `detect` found what the function enables.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(dot) => unsafe { x86::with_avx512_vnni(dot, kernel) },
            // SAFETY: the value exists only where `detect` found what the function enables.
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(dot) => unsafe { x86::with_avx_vnni(dot, kernel) },
            // SAFETY: the value exists only where `detect` found what the function enables.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(dot) => unsafe { x86::with_avx2(dot, kernel) },
            Self::Portable(dot) => kernel.run(dot),
        }
    }

    /// Sums in a vector.
    pub(super) fn lanes(self) -> usize {
        self.run(Lanes)
    }
}

struct Lanes;

impl DotKernel for Lanes {
    type Output = usize;

    #[inline(always)]
    fn run<D: Dot>(self, _dot: D) -> usize {
        D::N
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Dot, DotKernel};

    /// 512-bit vectors and one instruction for four products.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in super::super) struct Avx512Vnni(());

    /// 256-bit vectors and one instruction for four products.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in super::super) struct AvxVnni(());

    /// 256-bit vectors.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in super::super) struct Avx2(());

    impl Avx512Vnni {
        pub(super) fn detect() -> Option<Self> {
            let found = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni");
            (found && Avx2::detect().is_some()).then_some(Self(()))
        }
    }

    impl AvxVnni {
        pub(super) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("avxvnni") && Avx2::detect().is_some()).then_some(Self(()))
        }
    }

    impl Avx2 {
        pub(super) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
    pub(super) fn with_avx512_vnni<K: DotKernel>(dot: Avx512Vnni, kernel: K) -> K::Output {
        kernel.run(dot)
    }

    #[target_feature(enable = "avxvnni,avx2,fma")]
    pub(super) fn with_avx_vnni<K: DotKernel>(dot: AvxVnni, kernel: K) -> K::Output {
        kernel.run(dot)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn with_avx2<K: DotKernel>(dot: Avx2, kernel: K) -> K::Output {
        kernel.run(dot)
    }

    /// What differs between vectors only by their width.
    macro_rules! width {
        ($vector:ty, $sums:literal, $load:ident, $store:ident, $zero:ident) => {
            type V = $vector;
            const N: usize = $sums;

            #[inline(always)]
            fn zero(self) -> $vector {
                // SAFETY: a value of this type exists only where the processor has the instruction.
                unsafe { $zero() }
            }

            #[inline(always)]
            fn load(self, from: &[[i8; 4]]) -> $vector {
                assert!(from.len() >= Self::N);
                // SAFETY: a vector's bytes are there, the load needs no alignment, and the processor has it.
                unsafe { $load(from.as_ptr().cast()) }
            }

            #[inline(always)]
            fn store(self, v: $vector, to: &mut [i32]) {
                assert!(to.len() >= Self::N);
                // SAFETY: there is room for a vector, the store needs no alignment, and the processor has it.
                unsafe { $store(to.as_mut_ptr().cast(), v) }
            }
        };
    }

    impl Dot for Avx512Vnni {
        width!(__m512i, 16, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_setzero_si512);
        const ROWS: usize = 8;
        const OFFSET: u8 = 128;

        #[inline(always)]
        fn dot<const W: usize>(self, sums: &mut [__m512i; W], activations: [u8; 4], weights: &[__m512i; W]) {
            // SAFETY: a value of this type exists only where the processor has AVX-512 VNNI.
            unsafe {
                let factor = _mm512_set1_epi32(i32::from_ne_bytes(activations));
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_dpbusd_epi32(*sum, factor, *weights);
                }
            }
        }
    }

    impl Dot for AvxVnni {
        width!(__m256i, 8, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_setzero_si256);
        const ROWS: usize = 4;
        const OFFSET: u8 = 128;

        #[inline(always)]
        fn dot<const W: usize>(self, sums: &mut [__m256i; W], activations: [u8; 4], weights: &[__m256i; W]) {
            // SAFETY: a value of this type exists only where the processor has AVX-VNNI.
            unsafe {
                let factor = _mm256_set1_epi32(i32::from_ne_bytes(activations));
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm256_dpbusd_avx_epi32(*sum, factor, *weights);
                }
            }
        }
    }

    impl Dot for Avx2 {
        width!(__m256i, 8, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_setzero_si256);
        const ROWS: usize = 2;
        // Two products of unsigned activations could exceed sixteen bits; two of signed ones cannot.
        const OFFSET: u8 = 0;

        #[inline(always)]
        fn dot<const W: usize>(self, sums: &mut [__m256i; W], activations: [u8; 4], weights: &[__m256i; W]) {
            // SAFETY: a value of this type exists only where the processor has AVX2.
            unsafe {
                let factor = _mm256_set1_epi32(i32::from_ne_bytes(activations));
                let ones = _mm256_set1_epi16(1);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    // The instruction multiplies unsigned by signed: the weight's sign goes to the activation.
                    let signed = _mm256_sign_epi8(factor, *weights);
                    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(*weights), signed);
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                }
            }
        }
    }
}

/// Eight sums, number by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portable;

impl Dot for Portable {
    /// Sums, or four weights in the bytes of each number.
    type V = [i32; 8];
    const N: usize = 8;
    const ROWS: usize = 2;
    const OFFSET: u8 = 0;

    #[inline(always)]
    fn zero(self) -> [i32; 8] {
        [0; 8]
    }

    #[inline(always)]
    fn dot<const W: usize>(self, sums: &mut [[i32; 8]; W], activations: [u8; 4], weights: &[[i32; 8]; W]) {
        for (sums, weights) in sums.iter_mut().zip(weights) {
            for (sum, weights) in sums.iter_mut().zip(weights) {
                for (activation, weight) in activations.into_iter().zip(weights.to_ne_bytes()) {
                    *sum += i32::from(activation.cast_signed()) * i32::from(weight.cast_signed());
                }
            }
        }
    }

    #[inline(always)]
    fn load(self, from: &[[i8; 4]]) -> [i32; 8] {
        std::array::from_fn(|lane| i32::from_ne_bytes(from[lane].map(i8::cast_unsigned)))
    }

    #[inline(always)]
    fn store(self, v: [i32; 8], to: &mut [i32]) {
        to[..8].copy_from_slice(&v);
    }
}
