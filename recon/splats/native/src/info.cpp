// What this library is, and the best instruction set that the machine runs.
#include "splats.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "g++ " __VERSION__
#endif

namespace {

#if defined(__x86_64__)

// Asked of the CPU itself: __builtin_cpu_supports says no to everything where the compiler's run-time library does
// not fill its table, as zig's does not.
struct Cpuid {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;  // zeros where there is no such leaf
    explicit Cpuid(unsigned leaf) { __get_cpuid_count(leaf, 0, &eax, &ebx, &ecx, &edx); }
};

// Which registers the operating system keeps when it switches threads.
unsigned saved_state() {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

bool has(unsigned word, unsigned bits) { return (word & bits) == bits; }

constexpr unsigned SAVES_AVX = 0x06, SAVES_AVX512 = 0xe6;  // XMM and YMM; and mask registers and ZMM
constexpr unsigned AVX512 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;

const char *level() {
    const Cpuid basic(1), extended(7), amd(0x80000001);
    const bool v3 = has(basic.ecx, bit_AVX | bit_FMA | bit_F16C | bit_OSXSAVE) &&
                    has(extended.ebx, bit_AVX2 | bit_BMI | bit_BMI2) && has(amd.ecx, bit_LZCNT);
    if (!v3 || !has(saved_state(), SAVES_AVX)) return "generic";
    return has(extended.ebx, AVX512) && has(saved_state(), SAVES_AVX512) ? "x86-64-v4" : "x86-64-v3";
}

#else

const char *level() { return "generic"; }

#endif

}  // namespace

extern "C" {

int32_t splats_abi(void) { return SPLATS_ABI; }

const char *splats_build(void) { return SPLATS_INSTRUCTION_SET "; " COMPILER "; " SPLATS_SOURCE_HASH; }

const char *splats_cpu_level(void) { return level(); }

}  // extern "C"
