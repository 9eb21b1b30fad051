// AMX for tests on every machine that has AVX-512 with bf16: where the processor has no tiles, its
// illegal-instruction signal is caught and the instruction done in software, some microseconds
// each. Only a program that calls amx_features() has that handler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "anemone/base/cpu_features.h"

namespace anemone::test {

// This machine's features and AMX, by emulation if need be. Without AMX where the vector
// instructions of the AMX kernels are missing too, or where ANEMONE_ISA says so.
const CpuFeatures& amx_features();
bool amx_is_emulated();  // whether amx_features() had to install the handler

// A tile instruction as it stands in memory.
struct TileInstruction {
  enum class Kind : std::uint8_t {
    load_config,
    store_config,
    release,
    zero,
    load,
    store,
    multiply_bf16
  };
  Kind kind = Kind::release;
  int length = 0;  // bytes
  int tile = 0, a = 0, b = 0;
  std::uint64_t address = 0;  // with a memory operand
  std::uint64_t stride = 0;   // bytes; 0 without an index
};
// `registers`: the sixteen general ones, in the order of their encoding. Nothing if it is another
// instruction.
std::optional<TileInstruction> decode_tile_instruction(const std::uint8_t* code,
                                                       const std::uint64_t (&registers)[16]);

}  // namespace anemone::test
