// Detection of instruction sets, once per process.
#include "anemone/base/cpu_features.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "anemone/base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace anemone {
namespace {

constexpr std::uint32_t bit(Isa isa) { return 1u << static_cast<unsigned>(isa); }

#if defined(__x86_64__)
// Linux gives a process the 8 KiB of tile state only when asked (arch_prctl ARCH_REQ_XCOMP_PERM,
// feature 18).
bool tiles_permitted() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

std::uint32_t detect() {
  std::uint32_t bits = bit(Isa::plain);
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return bits;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_F16C)) return bits;
  bits |= bit(Isa::avx2);
  if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))) {
    return bits;
  }
  bits |= bit(Isa::avx512);
  constexpr unsigned kAvx512Bf16 = 1u << 5;
  if (!__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) || !(eax & kAvx512Bf16)) return bits;
  bits |= bit(Isa::avx512bf16);
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx & kAmxBf16) && (edx & kAmxTile) &&
      tiles_permitted()) {
    bits |= bit(Isa::amx);
  }
  return bits;
}
#elif defined(__aarch64__)
std::uint32_t detect() { return bit(Isa::plain) | bit(Isa::neon); }
#else
std::uint32_t detect() { return bit(Isa::plain); }
#endif

CpuFeatures detect_capped() {
  const CpuFeatures found{detect()};
  const char* cap = std::getenv("ANEMONE_ISA");
  if (cap == nullptr || *cap == '\0') return found;
  std::string names;
#define ANEMONE_MATCH(name, text)                                  \
  if (std::strcmp(cap, text) == 0) return found.capped(Isa::name); \
  names += names.empty() ? text : ", " text;
  ANEMONE_ISAS(ANEMONE_MATCH)
#undef ANEMONE_MATCH
  throw Error("unknown instruction set '" + std::string(cap) + "'", "ANEMONE_ISA",
              "one of " + names);
}

std::string read_cpu_model() {
#if defined(__linux__)
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos)
      return line.substr(colon + 2);
  }
#elif defined(__APPLE__)
  char name[256];
  std::size_t size = sizeof(name);
  if (::sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0) return name;
#endif
  return "unknown";
}

}  // namespace

CpuFeatures CpuFeatures::capped(Isa highest) const {
  const std::uint32_t up_to = (bit(highest) << 1) - 1;
  // NEON stands alone: capping to an x86 level removes it.
  const std::uint32_t kept = highest == Isa::neon ? bit(Isa::plain) | bit(Isa::neon) : up_to;
  return {isa_bits & kept};
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect_capped();
  return features;
}

const char* isa_name(Isa isa) {
  switch (isa) {
#define ANEMONE_CASE(name, text) \
  case Isa::name:                \
    return text;
    ANEMONE_ISAS(ANEMONE_CASE)
#undef ANEMONE_CASE
  }
  return "?";
}

const char* cpu_model_name() {
  static const std::string name = read_cpu_model();
  return name.c_str();
}

}  // namespace anemone
