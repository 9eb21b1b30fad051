// What the processor can do, found at run time, and the cap that tests put on it.
//
// A plain header (kernels include it). The environment variable ANEMONE_ISA (plain, avx2, avx512,
// avx512bf16, amx, neon) caps what is reported; it is read once, at the first call.
#pragma once

#include <cstdint>

namespace anemone {

// ISA(enumerator, name), each x86 level including the ones before it. A kernel table's rows name
// one of these.
#define ANEMONE_ISAS(ISA)       \
  ISA(plain, "plain")           \
  ISA(avx2, "avx2")             \
  ISA(avx512, "avx512")         \
  ISA(avx512bf16, "avx512bf16") \
  ISA(amx, "amx")               \
  ISA(neon, "neon")

enum class Isa : std::uint8_t {
#define ANEMONE_ENUMERATOR(name, text) name,
  ANEMONE_ISAS(ANEMONE_ENUMERATOR)
#undef ANEMONE_ENUMERATOR
};

struct CpuFeatures {
  // Bit i set: Isa(i) can run here. plain is always set. avx2 means AVX2 + FMA + F16C; avx512 means
  // F, BW, VL, DQ; amx means AMX-TILE + AMX-BF16 with the kernel's permission granted.
  std::uint32_t isa_bits = 1;

  bool has(Isa isa) const { return (isa_bits >> static_cast<unsigned>(isa)) & 1u; }
  CpuFeatures capped(Isa highest) const;  // for tests: what a lesser machine would report
};

const CpuFeatures& cpu_features();
const char* isa_name(Isa isa);
const char* cpu_model_name();  // "AMD EPYC …", "Apple M4"; "unknown" if the system does not say

}  // namespace anemone
