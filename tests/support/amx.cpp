// Decoding the tile instructions, and the signal handler that executes them.
#include "tests/support/amx.h"

#if defined(__x86_64__) && defined(__linux__)

#include <signal.h>
#include <ucontext.h>

#include <cstdlib>
#include <cstring>

#include "tests/support/tile_machine.h"

namespace anemone::test {
namespace {

using Kind = TileInstruction::Kind;

std::int64_t read_signed(const std::uint8_t* from, int bytes) {
  std::int32_t wide = 0;
  std::int8_t narrow = 0;
  std::memcpy(bytes == 1 ? static_cast<void*>(&narrow) : &wide, from,
              static_cast<std::size_t>(bytes));
  return bytes == 1 ? narrow : wide;
}

// The three-byte VEX prefix C4: inverted R, X, B and the opcode map; W, inverted vvvv, L and the
// implied prefix.
struct Vex {
  bool r, x, b, w, l;
  int map, vvvv, prefix;
  explicit Vex(const std::uint8_t* code)
      : r(!(code[1] & 0x80)),
        x(!(code[1] & 0x40)),
        b(!(code[1] & 0x20)),
        w(code[2] & 0x80),
        l(code[2] & 0x04),
        map(code[1] & 0x1f),
        vvvv(~(code[2] >> 3) & 0xf),
        prefix(code[2] & 3) {}
};

// ModRM with a memory operand, its SIB byte and displacement. Sets address, stride, length.
void decode_memory(const std::uint8_t* code, const Vex& vex, const std::uint64_t (&registers)[16],
                   TileInstruction& made) {
  const int mod = code[4] >> 6, rm = code[4] & 7;
  const std::uint8_t* at = code + 5;
  std::uint64_t base = 0;
  int displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;
  bool rip_relative = false;
  if (rm == 4) {
    const int sib = *at++;
    const int index = (sib >> 3 & 7) + (vex.x ? 8 : 0);
    constexpr int kNoIndex = 4;
    if (index != kNoIndex) made.stride = registers[index] << (sib >> 6);
    if ((sib & 7) == 5 && mod == 0) {
      displacement = 4;
    } else {
      base = registers[(sib & 7) + (vex.b ? 8 : 0)];
    }
  } else if (rm == 5 && mod == 0) {
    displacement = 4;
    rip_relative = true;
  } else {
    base = registers[rm + (vex.b ? 8 : 0)];
  }
  if (displacement != 0) base += static_cast<std::uint64_t>(read_signed(at, displacement));
  at += displacement;
  made.length = static_cast<int>(at - code);
  made.address = base;
  if (rip_relative) made.address += reinterpret_cast<std::uint64_t>(at);
}

}  // namespace

std::optional<TileInstruction> decode_tile_instruction(const std::uint8_t* code,
                                                       const std::uint64_t (&registers)[16]) {
  if (code[0] != 0xc4) return std::nullopt;
  const Vex vex(code);
  constexpr int kMap0F38 = 2;
  if (vex.map != kMap0F38 || vex.w || vex.l) return std::nullopt;
  const int opcode = code[3], mod = code[4] >> 6, reg = code[4] >> 3 & 7, rm = code[4] & 7;
  const bool in_memory = mod != 3;
  // 256 · opcode + the implied prefix (none, 66, F3, F2).
  enum : int { kNone, k66, kF3, kF2 };
  TileInstruction made;
  made.tile = reg;
  made.length = 5;
  const int key = opcode << 2 | vex.prefix;
  if (key == (0x49 << 2 | kNone) && in_memory && reg == 0) {
    made.kind = Kind::load_config;
  } else if (key == (0x49 << 2 | k66) && in_memory && reg == 0) {
    made.kind = Kind::store_config;
  } else if (key == (0x49 << 2 | kNone) && code[4] == 0xc0) {
    made.kind = Kind::release;
  } else if (key == (0x49 << 2 | kF2) && !in_memory && rm == 0) {
    made.kind = Kind::zero;
  } else if ((key == (0x4b << 2 | kF2) || key == (0x4b << 2 | k66)) && in_memory && rm == 4) {
    made.kind = Kind::load;
  } else if (key == (0x4b << 2 | kF3) && in_memory && rm == 4) {
    made.kind = Kind::store;
  } else if (key == (0x5c << 2 | kF3) && !in_memory) {
    made.kind = Kind::multiply_bf16;
    made.a = rm + (vex.b ? 8 : 0);
    made.b = vex.vvvv;
  } else {
    return std::nullopt;
  }
  if (vex.r || (made.kind != Kind::multiply_bf16 && vex.vvvv != 0)) return std::nullopt;
  if (in_memory) decode_memory(code, vex, registers, made);
  return made;
}

namespace {

thread_local constinit TileMachine this_threads_tiles;

TileFault execute(const TileInstruction& instruction) {
  TileMachine& machine = this_threads_tiles;
  auto* memory = reinterpret_cast<std::byte*>(instruction.address);
  const auto stride = static_cast<std::ptrdiff_t>(instruction.stride);
  switch (instruction.kind) {
    case Kind::load_config:
      return machine.configure(memory + stride);
    case Kind::store_config:
      return machine.store_configuration(memory + stride);
    case Kind::release:
      return machine.release();
    case Kind::zero:
      return machine.zero(instruction.tile);
    case Kind::load:
      return machine.load(instruction.tile, memory, stride);
    case Kind::store:
      return machine.store(instruction.tile, memory, stride);
    case Kind::multiply_bf16:
      return machine.multiply_bf16(instruction.tile, instruction.a, instruction.b);
  }
  return TileFault::undefined;
}

struct sigaction action_before;

void on_illegal_instruction(int, siginfo_t*, void* context) {
  auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
  constexpr int kOrder[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};
  std::uint64_t registers[16];
  for (int i = 0; i < 16; ++i) registers[i] = static_cast<std::uint64_t>(machine.gregs[kOrder[i]]);
  const auto* code = reinterpret_cast<const std::uint8_t*>(machine.gregs[REG_RIP]);
  const auto instruction = decode_tile_instruction(code, registers);
  const TileFault fault = instruction ? execute(*instruction) : TileFault::undefined;
  if (fault == TileFault::none) {
    machine.gregs[REG_RIP] += instruction->length;
  } else if (fault == TileFault::protection) {
    ::raise(SIGSEGV);
  } else {
    // It is executed again and dies as it would have without us.
    ::sigaction(SIGILL, &action_before, nullptr);
  }
}

bool emulated = false;

CpuFeatures find_amx() {
  CpuFeatures features = cpu_features();
  const char* cap = std::getenv("ANEMONE_ISA");
  const bool is_capped = cap != nullptr && *cap != '\0';
  if (features.has(Isa::amx) || !features.has(Isa::avx512bf16) || is_capped) return features;
  struct sigaction action = {};
  action.sa_sigaction = on_illegal_instruction;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGILL, &action, &action_before);
  emulated = true;
  features.isa_bits |= 1u << static_cast<unsigned>(Isa::amx);
  return features;
}

}  // namespace

const CpuFeatures& amx_features() {
  static const CpuFeatures features = find_amx();
  return features;
}

bool amx_is_emulated() {
  amx_features();
  return emulated;
}

}  // namespace anemone::test

#else

namespace anemone::test {

const CpuFeatures& amx_features() { return cpu_features(); }
bool amx_is_emulated() { return false; }

}  // namespace anemone::test

#endif
