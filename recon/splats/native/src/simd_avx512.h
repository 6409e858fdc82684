// Sixteen lanes in one AVX-512 register; comparisons give bit masks.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace splats {

struct Lanes {
    __m512 v;
};
struct Mask {
    __mmask16 bits;
};

inline Lanes load(const float *p) { return {_mm512_loadu_ps(p)}; }
inline void store(float *p, Lanes a) { _mm512_storeu_ps(p, a.v); }
inline Lanes all(float x) { return {_mm512_set1_ps(x)}; }

inline Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Lanes operator-(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Lanes operator*(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Lanes operator/(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }    // a b + c
inline Lanes fnma(Lanes a, Lanes b, Lanes c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }  // c - a b
inline Lanes min(Lanes a, Lanes b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Lanes max(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Lanes abs(Lanes a) { return {_mm512_abs_ps(a.v)}; }
inline Lanes sqrt(Lanes a) { return {_mm512_sqrt_ps(a.v)}; }
inline float sum(Lanes a) { return _mm512_reduce_add_ps(a.v); }

// 1 / a to 2^-14 of itself.
inline Lanes rough_reciprocal(Lanes a) { return {_mm512_rcp14_ps(a.v)}; }

// 1 / a by the hardware's estimate and one step of Newton.
inline Lanes reciprocal(Lanes a) {
    const __m512 r = _mm512_rcp14_ps(a.v);
    return {_mm512_mul_ps(r, _mm512_fnmadd_ps(a.v, r, _mm512_set1_ps(2.0f)))};
}

// 2^x to 4e-6 of itself: a polynomial of the fraction, scaled by the whole part.
inline Lanes exp2(Lanes x) {
    const __m512 f = _mm512_reduce_ps(x.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_set1_ps(EXP2_C4);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(EXP2_C3));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(EXP2_C2));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(EXP2_C1));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return {_mm512_scalef_ps(p, x.v)};
}

// x = mantissa · 2^exponent with the mantissa in [√½, √2).
inline void split(Lanes x, Lanes &exponent, Lanes &mantissa) {
    const __m512 m = _mm512_getmant_ps(x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
    const __mmask16 large = _mm512_cmp_ps_mask(m, _mm512_set1_ps(1.41421356f), _CMP_GE_OQ);
    mantissa.v = _mm512_mask_mul_ps(m, large, m, _mm512_set1_ps(0.5f));
    const __m512 e = _mm512_getexp_ps(x.v);
    exponent.v = _mm512_mask_add_ps(e, large, e, _mm512_set1_ps(1.0f));
}

inline Mask mask_of(uint32_t bits) { return {static_cast<__mmask16>(bits)}; }
inline uint32_t bits_of(Mask m) { return m.bits; }
inline bool any(Mask m) { return m.bits != 0; }
inline Mask operator&(Mask a, Mask b) { return {static_cast<__mmask16>(a.bits & b.bits)}; }
inline Mask without(Mask a, Mask b) { return {static_cast<__mmask16>(a.bits & ~b.bits)}; }
inline Mask operator>(Lanes a, Lanes b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
inline Mask operator>=(Lanes a, Lanes b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
inline Mask operator<=(Lanes a, Lanes b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
inline Mask ge_among(Mask m, Lanes a, Lanes b) {
    return {_mm512_mask_cmp_ps_mask(m.bits, a.v, b.v, _CMP_GE_OQ)};
}
inline Mask le_among(Mask m, Lanes a, Lanes b) {
    return {_mm512_mask_cmp_ps_mask(m.bits, a.v, b.v, _CMP_LE_OQ)};
}
inline Lanes where(Mask m, Lanes a) { return {_mm512_maskz_mov_ps(m.bits, a.v)}; }  // else 0
inline Lanes where(Mask m, Lanes a, Lanes b) { return {_mm512_mask_mov_ps(b.v, m.bits, a.v)}; }
inline Lanes multiply_where(Mask m, Lanes a, Lanes b) { return {_mm512_maskz_mul_ps(m.bits, a.v, b.v)}; }

// Writes `first` + the number of every chosen lane, and up to 16 numbers in all; returns how many were chosen.
inline int compress_numbers(int32_t *p, Mask m, int32_t first) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i numbers = _mm512_add_epi32(_mm512_set1_epi32(first), lanes);
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi32(m.bits, numbers));
    return __builtin_popcount(m.bits);
}

// The lanes that lie `Offset` floats from p, which is aligned to 64 bytes; -16 < Offset < 16.
template <int Offset>
inline Lanes shifted(const float *p) {
    if constexpr (Offset == 0) return {_mm512_load_ps(p)};
    constexpr int turn = (Offset + 16) % 16;
    const float *low = Offset < 0 ? p - 16 : p;
    const __m512i a = _mm512_load_si512(low), b = _mm512_load_si512(low + 16);
    return {_mm512_castsi512_ps(_mm512_alignr_epi32(b, a, turn))};
}

// A block of 4 × 4 pixels, from rows that lie `stride` floats apart.
inline Lanes load_block(const float *p, size_t stride) {
    const __m256 top = _mm256_loadu2_m128(p + stride, p), bottom = _mm256_loadu2_m128(p + 3 * stride, p + 2 * stride);
    return {_mm512_insertf32x8(_mm512_castps256_ps512(top), bottom, 1)};
}
inline void store_block(float *p, size_t stride, Lanes a) {
    _mm_storeu_ps(p, _mm512_castps512_ps128(a.v));
    _mm_storeu_ps(p + stride, _mm512_extractf32x4_ps(a.v, 1));
    _mm_storeu_ps(p + 2 * stride, _mm512_extractf32x4_ps(a.v, 2));
    _mm_storeu_ps(p + 3 * stride, _mm512_extractf32x4_ps(a.v, 3));
}

// The same of pixels with three channels side by side.
inline void load_block(const float *p, size_t stride, Lanes (&channel)[3]) {
    constexpr __mmask16 row = 0x0fff;
    const __m512 r0 = _mm512_maskz_loadu_ps(row, p), r1 = _mm512_maskz_loadu_ps(row, p + stride);
    const __m512 r2 = _mm512_maskz_loadu_ps(row, p + 2 * stride), r3 = _mm512_maskz_loadu_ps(row, p + 3 * stride);
    const __m512i pick = _mm512_setr_epi32(0, 3, 6, 9, 16, 19, 22, 25, 0, 3, 6, 9, 16, 19, 22, 25);
    for (int c = 0; c < 3; c++) {
        const __m512i index = _mm512_add_epi32(pick, _mm512_set1_epi32(c));
        const __m512 top = _mm512_permutex2var_ps(r0, index, r1), bottom = _mm512_permutex2var_ps(r2, index, r3);
        channel[c].v = _mm512_mask_mov_ps(top, 0xff00, bottom);
    }
}
inline void store_block(float *p, size_t stride, const Lanes (&channel)[3]) {
    constexpr __mmask16 row = 0x0fff, third = 0x0924;  // every third lane is the third channel's
    const __m512i pair = _mm512_setr_epi32(0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 0, 0, 0, 0);
    const __m512i last = _mm512_setr_epi32(0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 0, 0);
    for (int y = 0; y < 4; y++) {
        const __m512i down = _mm512_set1_epi32(4 * y);
        const __m512 two = _mm512_permutex2var_ps(channel[0].v, _mm512_add_epi32(pair, down), channel[1].v);
        const __m512 all = _mm512_mask_permutexvar_ps(two, third, _mm512_add_epi32(last, down), channel[2].v);
        _mm512_mask_storeu_ps(p + y * stride, row, all);
    }
}

// Rows become columns.
inline void transpose(Lanes (&r)[16]) {
    __m512 t[16], u[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i].v, r[2 * i + 1].v);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i].v, r[2 * i + 1].v);
    }
    for (int i = 0; i < 4; i++) {
        const __m512d a = _mm512_castps_pd(t[4 * i]), b = _mm512_castps_pd(t[4 * i + 1]);
        const __m512d c = _mm512_castps_pd(t[4 * i + 2]), d = _mm512_castps_pd(t[4 * i + 3]);
        u[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        u[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        u[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        u[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    for (int j = 0; j < 4; j++) {
        const __m512 even_low = _mm512_shuffle_f32x4(u[j], u[4 + j], 0x88);
        const __m512 odd_low = _mm512_shuffle_f32x4(u[j], u[4 + j], 0xdd);
        const __m512 even_high = _mm512_shuffle_f32x4(u[8 + j], u[12 + j], 0x88);
        const __m512 odd_high = _mm512_shuffle_f32x4(u[8 + j], u[12 + j], 0xdd);
        r[j].v = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
        r[8 + j].v = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
        r[4 + j].v = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
        r[12 + j].v = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
    }
}

}  // namespace splats
