// Sixteen lanes in two AVX registers; comparisons give lanes of all ones or zeros.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace splats {

struct Lanes {
    __m256 a, b;
};
struct Mask {
    __m256 a, b;
};

inline Lanes load(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float *p, Lanes x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
inline Lanes all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }

inline Lanes operator+(Lanes x, Lanes y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline Lanes operator-(Lanes x, Lanes y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline Lanes operator*(Lanes x, Lanes y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline Lanes operator/(Lanes x, Lanes y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline Lanes fma(Lanes x, Lanes y, Lanes z) {  // x y + z
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline Lanes fnma(Lanes x, Lanes y, Lanes z) {  // z - x y
    return {_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)};
}
inline Lanes min(Lanes x, Lanes y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline Lanes max(Lanes x, Lanes y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline Lanes abs(Lanes x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
inline Lanes sqrt(Lanes x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
inline float sum(Lanes x) {
    const __m256 s = _mm256_add_ps(x.a, x.b);
    __m128 t = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    t = _mm_add_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_add_ss(t, _mm_shuffle_ps(t, t, 1)));
}

// 1 / x by the hardware's estimate and one step of Newton.
inline __m256 reciprocal(__m256 x) {
    const __m256 r = _mm256_rcp_ps(x);
    return _mm256_mul_ps(r, _mm256_fnmadd_ps(x, r, _mm256_set1_ps(2.0f)));
}
inline Lanes reciprocal(Lanes x) { return {reciprocal(x.a), reciprocal(x.b)}; }
inline Lanes rough_reciprocal(Lanes x) { return reciprocal(x); }

// 2^x to 4e-6 of itself: a polynomial of the fraction, scaled by the whole part. Past ±126 it stays at the ends.
inline __m256 exp2(__m256 x) {
    x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-126.0f)), _mm256_set1_ps(126.0f));
    const __m256 whole = _mm256_floor_ps(x), f = _mm256_sub_ps(x, whole);
    __m256 p = _mm256_set1_ps(EXP2_C4);
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(EXP2_C3));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(EXP2_C2));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(EXP2_C1));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    const __m256i scale = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), scale));
}
inline Lanes exp2(Lanes x) { return {exp2(x.a), exp2(x.b)}; }

// x = mantissa · 2^exponent with the mantissa in [√½, √2).
inline void split(__m256 x, __m256 &exponent, __m256 &mantissa) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i one = _mm256_set1_epi32(0x3f800000), fraction = _mm256_set1_epi32(0x007fffff);
    const __m256 m = _mm256_castsi256_ps(_mm256_or_si256(_mm256_and_si256(bits, fraction), one));
    const __m256 e = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127)));
    const __m256 large = _mm256_cmp_ps(m, _mm256_set1_ps(1.41421356f), _CMP_GE_OQ);
    mantissa = _mm256_blendv_ps(m, _mm256_mul_ps(m, _mm256_set1_ps(0.5f)), large);
    exponent = _mm256_add_ps(e, _mm256_and_ps(large, _mm256_set1_ps(1.0f)));
}
inline void split(Lanes x, Lanes &exponent, Lanes &mantissa) {
    split(x.a, exponent.a, mantissa.a);
    split(x.b, exponent.b, mantissa.b);
}

inline Mask mask_of(uint32_t bits) {
    const __m256i low = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128), high = _mm256_slli_epi32(low, 8);
    const __m256i spread = _mm256_set1_epi32(static_cast<int>(bits));
    return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(spread, low), low)),
            _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(spread, high), high))};
}
inline uint32_t bits_of(Mask m) {
    return static_cast<uint32_t>(_mm256_movemask_ps(m.a) | (_mm256_movemask_ps(m.b) << 8));
}
inline bool any(Mask m) {
    const __m256 either = _mm256_or_ps(m.a, m.b);
    return !_mm256_testz_ps(either, either);
}
inline Mask operator&(Mask x, Mask y) { return {_mm256_and_ps(x.a, y.a), _mm256_and_ps(x.b, y.b)}; }
inline Mask without(Mask x, Mask y) { return {_mm256_andnot_ps(y.a, x.a), _mm256_andnot_ps(y.b, x.b)}; }
inline Mask operator>(Lanes x, Lanes y) {
    return {_mm256_cmp_ps(x.a, y.a, _CMP_GT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_GT_OQ)};
}
inline Mask operator>=(Lanes x, Lanes y) {
    return {_mm256_cmp_ps(x.a, y.a, _CMP_GE_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_GE_OQ)};
}
inline Mask operator<=(Lanes x, Lanes y) { return y >= x; }
inline Mask ge_among(Mask m, Lanes x, Lanes y) { return m & (x >= y); }
inline Mask le_among(Mask m, Lanes x, Lanes y) { return m & (x <= y); }
inline Lanes where(Mask m, Lanes x) { return {_mm256_and_ps(m.a, x.a), _mm256_and_ps(m.b, x.b)}; }  // else 0
inline Lanes where(Mask m, Lanes x, Lanes y) {
    return {_mm256_blendv_ps(y.a, x.a, m.a), _mm256_blendv_ps(y.b, x.b, m.b)};
}
inline Lanes multiply_where(Mask m, Lanes x, Lanes y) { return where(m, x * y); }

// Writes `first` + the number of every chosen lane; returns how many.
inline int compress_numbers(int32_t *p, Mask m, int32_t first) {
    int count = 0;
    for (uint32_t left = bits_of(m); left; left &= left - 1) p[count++] = first + __builtin_ctz(left);
    return count;
}

// The lanes that lie `Offset` floats from p.
template <int Offset>
inline Lanes shifted(const float *p) {
    return load(p + Offset);
}

inline void transpose8(__m256 (&r)[8]) {
    __m256 t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    for (int j = 0; j < 4; j++) {
        r[j] = _mm256_permute2f128_ps(u[j], u[4 + j], 0x20);
        r[4 + j] = _mm256_permute2f128_ps(u[j], u[4 + j], 0x31);
    }
}

// Rows become columns: four quarters are turned, and two of them change places.
inline void transpose(Lanes (&r)[16]) {
    __m256 quarter[4][8];
    for (int i = 0; i < 8; i++) {
        quarter[0][i] = r[i].a;
        quarter[1][i] = r[i].b;
        quarter[2][i] = r[8 + i].a;
        quarter[3][i] = r[8 + i].b;
    }
    for (auto &q : quarter) transpose8(q);
    for (int i = 0; i < 8; i++) {
        r[i] = {quarter[0][i], quarter[2][i]};
        r[8 + i] = {quarter[1][i], quarter[3][i]};
    }
}

}  // namespace splats
