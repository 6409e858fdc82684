// The random walk of MCMC splatting: Gaussians that hardly show move about within their own extent.
#include <algorithm>
#include <cmath>

#include "frame.h"

namespace splats {

namespace {

// Philox 4×32-10 (Salmon et al. 2011): four random words for every counter and key.
struct Philox {
    uint32_t word[4];

    Philox(uint64_t counter, uint64_t seed) {
        uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
        word[0] = static_cast<uint32_t>(counter);
        word[1] = static_cast<uint32_t>(counter >> 32);
        word[2] = word[3] = 0;
        for (int round = 0; round < 10; round++) {
            const uint64_t first = uint64_t{0xD2511F53} * word[0], second = uint64_t{0xCD9E8D57} * word[2];
            const uint32_t next[4] = {static_cast<uint32_t>(second >> 32) ^ word[1] ^ key[0],
                                      static_cast<uint32_t>(second),
                                      static_cast<uint32_t>(first >> 32) ^ word[3] ^ key[1],
                                      static_cast<uint32_t>(first)};
            std::copy_n(next, 4, word);
            key[0] += 0x9E3779B9;
            key[1] += 0xBB67AE85;
        }
    }

    // In (0, 1].
    float uniform(int i) const { return (static_cast<float>(word[i] >> 8) + 1) * (1.0f / (1 << 24)); }

    // Three normal numbers (Box & Muller 1958).
    void normal(float (&out)[3]) const {
        constexpr float tau = 6.283185307179586f;
        const float r0 = std::sqrt(-2 * std::log(uniform(0))), r1 = std::sqrt(-2 * std::log(uniform(2)));
        out[0] = r0 * std::cos(tau * uniform(1));
        out[1] = r0 * std::sin(tau * uniform(1));
        out[2] = r1 * std::cos(tau * uniform(3));
    }
};

constexpr float STEEPNESS = 100.0f, FAINT = 0.005f;
constexpr float NEGLIGIBLE = 1e-9f;  // of a step in units of the covariance

}  // namespace

void explore(Pool &pool, float *parameters, int64_t count, int rows, float strength, uint64_t seed) {
    const int chunks = static_cast<int>((count + CHUNK - 1) / CHUNK);
    pool.run(chunks, [&](int chunk, int) {
        const int64_t end = std::min<int64_t>(count, (chunk + 1) * int64_t{CHUNK});
        for (int64_t i = chunk * int64_t{CHUNK}; i < end; i++) {
            const int64_t lane = i % LANES;
            float *group = group_at(parameters, rows, i - lane);
            const auto at = [&](int row) -> float & { return group[row * LANES + lane]; };
            const float opacity = 1 / (1 + std::exp(-at(LOGIT)));
            const float step = strength / (1 + std::exp(-STEEPNESS * (FAINT - opacity)));
            if (!(step > NEGLIGIBLE)) continue;
            float w = at(QUATERNION), x = at(QUATERNION + 1), y = at(QUATERNION + 2), z = at(QUATERNION + 3);
            const float norm = 1 / std::sqrt(std::max(w * w + x * x + y * y + z * z, 1e-24f));
            w *= norm, x *= norm, y *= norm, z *= norm;
            const float R[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
                                2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                                2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
            float noise[3];
            Philox(static_cast<uint64_t>(i), seed).normal(noise);
            float along_axis[3];  // diag(scale)² Rᵀ noise
            for (int k = 0; k < 3; k++) {
                const float variance = std::exp(2 * at(LOG_SCALE + k));
                along_axis[k] = variance * (R[k] * noise[0] + R[3 + k] * noise[1] + R[6 + k] * noise[2]);
            }
            for (int r = 0; r < 3; r++)
                at(MEAN + r) += step * (R[3 * r] * along_axis[0] + R[3 * r + 1] * along_axis[1] + R[3 * r + 2] * along_axis[2]);
        }
    });
}

}  // namespace splats
