// Includes the vector wrapper of the instruction set that a source is compiled for
// (ANEMONE_KERNEL_ISA, a token set by the build), so that one text (an *_impl.h) serves them all.
#pragma once

#define ANEMONE_STRING_(text) #text
#define ANEMONE_STRING(text) ANEMONE_STRING_(text)
#define ANEMONE_JOIN_(a, b) a##_##b
#define ANEMONE_JOIN(a, b) ANEMONE_JOIN_(a, b)

// ANEMONE_KERNEL(load) is load_avx512 in a source compiled for AVX-512.
#define ANEMONE_KERNEL(name) ANEMONE_JOIN(name, ANEMONE_KERNEL_ISA)

// Before a loop with a constant count over an array of vectors: without it the array may stay in
// memory.
#if defined(__clang__)
#define ANEMONE_UNROLL _Pragma("unroll")
#else
#define ANEMONE_UNROLL _Pragma("GCC unroll 32")
#endif

// clang-format off
#define ANEMONE_SIMD_PATH_(isa) anemone/kernels/simd/simd_##isa.h
// clang-format on
#define ANEMONE_SIMD_PATH(isa) ANEMONE_SIMD_PATH_(isa)
#include ANEMONE_STRING(ANEMONE_SIMD_PATH(ANEMONE_KERNEL_ISA))
