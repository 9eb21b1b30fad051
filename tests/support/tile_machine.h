// The tile unit of AMX in software, as Intel's manual (volume 2, "Intel AMX") describes it: what
// one thread holds, and what each instruction does to it. For tests on machines without AMX.
#pragma once

#include <cstddef>
#include <cstdint>

namespace anemone::test {

// What the processor raises instead of executing: #UD (SIGILL) or #GP (SIGSEGV).
enum class TileFault : std::uint8_t { none, undefined, protection };

// A plain struct, so that a thread's own copy exists without construction (signal handlers use it).
struct TileMachine {
  static constexpr int kTiles = 8, kMaxRows = 16, kMaxRowBytes = 64;

  TileFault configure(const void* config);                                 // ldtilecfg: 64 bytes
  TileFault store_configuration(void* to) const;                           // sttilecfg
  TileFault release();                                                     // tilerelease
  TileFault zero(int tile);                                                // tilezero
  TileFault load(int tile, const std::byte* from, std::ptrdiff_t stride);  // tileloadd(t1)
  TileFault store(int tile, std::byte* to, std::ptrdiff_t stride);         // tilestored
  TileFault multiply_bf16(int sum, int a, int b);                          // tdpbf16ps

  bool valid(int tile) const {
    return palette == 1 && tile >= 0 && tile < kTiles && rows[tile] != 0;
  }

  std::uint8_t palette = 0;  // 0: not configured
  std::uint8_t start_row = 0;
  std::uint8_t rows[kTiles] = {};
  std::uint16_t row_bytes[kTiles] = {};
  alignas(64) std::byte data[kTiles][kMaxRows][kMaxRowBytes] = {};
};

}  // namespace anemone::test
