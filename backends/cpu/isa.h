// Run-time choice of the instruction set of our own loops.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#endif

// NARU_CPU_AVX2_BEGIN ... END: functions between them may use AVX2 and FMA. Standard headers stay
// outside, so that no inline function of theirs is compiled for a machine that may not be there.
// NARU_CPU_TARGET_BEGIN("...") does so for the instruction sets that it names.
#if defined(__x86_64__)
#define NARU_CPU_AVX2 1
#define NARU_CPU_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define NARU_CPU_TARGET_BEGIN(sets) \
  NARU_CPU_PRAGMA(clang attribute push(__attribute__((target(sets))), apply_to = function))
#define NARU_CPU_AVX2_END _Pragma("clang attribute pop")
#else
#define NARU_CPU_TARGET_BEGIN(sets) _Pragma("GCC push_options") NARU_CPU_PRAGMA(GCC target(sets))
#define NARU_CPU_AVX2_END _Pragma("GCC pop_options")
#endif
#define NARU_CPU_AVX2_BEGIN NARU_CPU_TARGET_BEGIN("avx2,fma,f16c")
#else
#define NARU_CPU_AVX2 0
#endif

// Before a loop whose iterations do not depend on each other although its arrays may be the same.
#if defined(__clang__)
#define LOOP_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define LOOP_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace naru::cpu {

inline bool has_avx2() {
#if NARU_CPU_AVX2
  static const bool present = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return present;
#else
  return false;
#endif
}

/// AVX2 with dot products of bytes; the compiler knows no name for it.
inline bool has_avx_vnni() {
#if NARU_CPU_AVX2
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1u << 4)) != 0 && has_avx2();
#else
  return false;
#endif
}

/// AVX-512 with its parts for bytes, doublewords and shorter vectors, and dot products of bytes.
inline bool has_avx512_vnni() {
#if NARU_CPU_AVX2
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512vnni") != 0 && has_avx2();
#else
  return false;
#endif
}

}  // namespace naru::cpu
