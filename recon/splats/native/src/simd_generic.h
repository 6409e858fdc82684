// Sixteen lanes in an array: for machines that the other two do not know. Compilers turn the loops into what there is.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace splats {

struct Lanes {
    float v[16];
};
struct Mask {
    uint32_t v[16];  // all ones or zero
};

#define SPLATS_EACH(expression)                    \
    Lanes out;                                     \
    for (int i = 0; i < 16; i++) out.v[i] = (expression); \
    return out
#define SPLATS_TEST(expression)                                  \
    Mask out;                                                    \
    for (int i = 0; i < 16; i++) out.v[i] = (expression) ? ~0u : 0u; \
    return out

inline Lanes load(const float *p) {
    Lanes out;
    std::memcpy(out.v, p, sizeof out.v);
    return out;
}
inline void store(float *p, const Lanes &a) { std::memcpy(p, a.v, sizeof a.v); }
inline Lanes all(float x) { SPLATS_EACH(x); }

inline Lanes operator+(const Lanes &a, const Lanes &b) { SPLATS_EACH(a.v[i] + b.v[i]); }
inline Lanes operator-(const Lanes &a, const Lanes &b) { SPLATS_EACH(a.v[i] - b.v[i]); }
inline Lanes operator*(const Lanes &a, const Lanes &b) { SPLATS_EACH(a.v[i] * b.v[i]); }
inline Lanes operator/(const Lanes &a, const Lanes &b) { SPLATS_EACH(a.v[i] / b.v[i]); }
inline Lanes fma(const Lanes &a, const Lanes &b, const Lanes &c) { SPLATS_EACH(a.v[i] * b.v[i] + c.v[i]); }
inline Lanes fnma(const Lanes &a, const Lanes &b, const Lanes &c) { SPLATS_EACH(c.v[i] - a.v[i] * b.v[i]); }
inline Lanes min(const Lanes &a, const Lanes &b) { SPLATS_EACH(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
inline Lanes max(const Lanes &a, const Lanes &b) { SPLATS_EACH(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
inline Lanes abs(const Lanes &a) { SPLATS_EACH(std::fabs(a.v[i])); }
inline Lanes sqrt(const Lanes &a) { SPLATS_EACH(std::sqrt(a.v[i])); }
inline Lanes reciprocal(const Lanes &a) { SPLATS_EACH(1.0f / a.v[i]); }
inline Lanes rough_reciprocal(const Lanes &a) { return reciprocal(a); }
inline float sum(const Lanes &a) {
    float total = 0;
    for (float x : a.v) total += x;
    return total;
}

// 2^x to 4e-6 of itself: a polynomial of the fraction, scaled by the whole part. Past ±126 it stays at the ends.
inline float exp2_one(float x) {
    x = x > -126.0f ? (x < 126.0f ? x : 126.0f) : -126.0f;
    const int32_t cut = static_cast<int32_t>(x), whole = cut - (x < static_cast<float>(cut));
    const float f = x - static_cast<float>(whole);
    const float p = (((EXP2_C4 * f + EXP2_C3) * f + EXP2_C2) * f + EXP2_C1) * f + 1.0f;
    int32_t bits;
    std::memcpy(&bits, &p, 4);
    bits += whole * (1 << 23);
    float out;
    std::memcpy(&out, &bits, 4);
    return out;
}
inline Lanes exp2(const Lanes &a) { SPLATS_EACH(exp2_one(a.v[i])); }

// x = mantissa · 2^exponent with the mantissa in [√½, √2).
inline void split(const Lanes &x, Lanes &exponent, Lanes &mantissa) {
    for (int i = 0; i < 16; i++) {
        int32_t bits;
        std::memcpy(&bits, &x.v[i], 4);
        const int32_t one = (bits & 0x007fffff) | 0x3f800000;
        float m;
        std::memcpy(&m, &one, 4);
        const bool large = m >= 1.41421356f;
        mantissa.v[i] = large ? 0.5f * m : m;
        exponent.v[i] = static_cast<float>((bits >> 23) - 127 + large);
    }
}

inline Mask mask_of(uint32_t bits) { SPLATS_TEST(bits >> i & 1); }
inline uint32_t bits_of(const Mask &m) {
    uint32_t bits = 0;
    for (int i = 0; i < 16; i++) bits |= (m.v[i] & 1) << i;
    return bits;
}
inline bool any(const Mask &m) {
    uint32_t either = 0;
    for (uint32_t x : m.v) either |= x;
    return either != 0;
}
inline Mask operator&(const Mask &a, const Mask &b) { SPLATS_TEST(a.v[i] & b.v[i]); }
inline Mask without(const Mask &a, const Mask &b) { SPLATS_TEST(a.v[i] & ~b.v[i]); }
inline Mask operator>(const Lanes &a, const Lanes &b) { SPLATS_TEST(a.v[i] > b.v[i]); }
inline Mask operator>=(const Lanes &a, const Lanes &b) { SPLATS_TEST(a.v[i] >= b.v[i]); }
inline Mask operator<=(const Lanes &a, const Lanes &b) { SPLATS_TEST(a.v[i] <= b.v[i]); }
inline Mask ge_among(const Mask &m, const Lanes &a, const Lanes &b) { return m & (a >= b); }
inline Mask le_among(const Mask &m, const Lanes &a, const Lanes &b) { return m & (a <= b); }
inline Lanes where(const Mask &m, const Lanes &a) { SPLATS_EACH(m.v[i] ? a.v[i] : 0.0f); }
inline Lanes where(const Mask &m, const Lanes &a, const Lanes &b) { SPLATS_EACH(m.v[i] ? a.v[i] : b.v[i]); }
inline Lanes multiply_where(const Mask &m, const Lanes &a, const Lanes &b) { return where(m, a * b); }

// Writes `first` + the number of every chosen lane; returns how many.
inline int compress_numbers(int32_t *p, const Mask &m, int32_t first) {
    int count = 0;
    for (int i = 0; i < 16; i++)
        if (m.v[i]) p[count++] = first + i;
    return count;
}

// The lanes that lie `Offset` floats from p.
template <int Offset>
inline Lanes shifted(const float *p) {
    return load(p + Offset);
}

// Rows become columns.
inline void transpose(Lanes (&r)[16]) {
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < i; j++) {
            const float swap = r[i].v[j];
            r[i].v[j] = r[j].v[i];
            r[j].v[i] = swap;
        }
}

#undef SPLATS_EACH
#undef SPLATS_TEST

}  // namespace splats
