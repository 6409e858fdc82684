// Sixteen floats at a time: one AVX-512 register, two AVX ones, or an array that the compiler vectorises.
//
// One vocabulary with three meanings, chosen by the instruction set that the file is compiled for.
#pragma once

namespace splats {

// 2^f = 1 + Σ c_k f^k for f in [0, 1], exact at both ends, elsewhere to 3.3e-6 of itself (minimax by linear programming).
constexpr float EXP2_C1 = 0.693032442f, EXP2_C2 = 0.241377745f, EXP2_C3 = 0.0520348974f, EXP2_C4 = 0.0135549154f;

}  // namespace splats

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#include "simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "simd_avx2.h"
#include "simd_blocks.h"
#else
#include "simd_generic.h"
#include "simd_blocks.h"
#endif

namespace splats {

inline Lanes operator-(Lanes a) { return all(0.0f) - a; }
inline Lanes square(Lanes a) { return a * a; }
inline Lanes clamp(Lanes a, Lanes low, Lanes high) { return min(max(a, low), high); }

// 1 / (1 + exp(-x)).
inline Lanes sigmoid(Lanes x) {
    constexpr float log2_e = 1.4426950408889634f;
    return all(1.0f) / (all(1.0f) + exp2(x * all(-log2_e)));
}

inline Lanes exp(Lanes x) { return exp2(x * all(1.4426950408889634f)); }

// Base-2 logarithm of positive normal numbers, to 1e-7 of max(1, |log2 x|): the exponent, and the series of
// atanh((m - 1) / (m + 1)) for the mantissa m in [√½, √2).
inline Lanes log2(Lanes x) {
    Lanes exponent, mantissa;
    split(x, exponent, mantissa);
    const Lanes s = (mantissa - all(1.0f)) / (mantissa + all(1.0f)), ss = s * s;
    Lanes series = all(1.0f / 9);
    series = fma(series, ss, all(1.0f / 7));
    series = fma(series, ss, all(1.0f / 5));
    series = fma(series, ss, all(1.0f / 3));
    series = fma(series, ss, all(1.0f));
    return fma(s * all(2 * 1.4426950408889634f), series, exponent);
}

}  // namespace splats
