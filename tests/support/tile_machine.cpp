// What the tile instructions do.
#include "tests/support/tile_machine.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstring>

namespace anemone::test {
namespace {

// Masked, because g++ 12 takes the undefined vector inside the plain intrinsic for a mistake of
// ours.
__attribute__((target("avx512f"), always_inline)) inline __m512i upper_half(__m512i pairs) {
  return _mm512_maskz_slli_epi32(0xffff, pairs, 16);
}

// One row of a product. Even and odd depths are summed apart, fused and rounded to nearest, then
// added to each other and to the sum.
__attribute__((target("avx512f"))) void multiply_row(std::byte* sum, const std::byte* a,
                                                     const std::byte (*b)[64], int pairs,
                                                     int columns) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
  for (int k = 0; k < pairs; ++k) {
    int pair = 0;
    std::memcpy(&pair, a + 4 * k, sizeof(pair));
    const __m512i left = _mm512_set1_epi32(pair), right = _mm512_loadu_si512(b[k]);
    even = _mm512_fmadd_ps(_mm512_castsi512_ps(upper_half(left)),
                           _mm512_castsi512_ps(upper_half(right)), even);
    odd = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(left, upper)),
                          _mm512_castsi512_ps(_mm512_and_si512(right, upper)), odd);
  }
  const auto wanted = static_cast<__mmask16>((1u << columns) - 1);
  const __m512 result = _mm512_add_ps(_mm512_loadu_ps(sum), _mm512_add_ps(even, odd));
  _mm512_storeu_ps(sum, _mm512_maskz_mov_ps(wanted, result));
}

// Out of line: the compiler moves no arithmetic across the change of rounding around it.
__attribute__((noinline)) void multiply_rows(TileMachine& machine, int sum, int a, int b) {
  for (int m = 0; m < machine.rows[sum]; ++m) {
    multiply_row(machine.data[sum][m], machine.data[a][m], machine.data[b],
                 machine.row_bytes[a] / 4, machine.row_bytes[sum] / 4);
  }
}

}  // namespace

TileFault TileMachine::configure(const void* config) {
  std::uint8_t bytes[64];
  std::memcpy(bytes, config, sizeof(bytes));
  if (bytes[0] == 0) return release();
  const auto zeros = [&](int begin, int end) {
    return std::all_of(bytes + begin, bytes + end, [](std::uint8_t byte) { return byte == 0; });
  };
  // Reserved bytes, and the places of tiles 8 to 15.
  if (bytes[0] != 1 || !zeros(2, 16) || !zeros(32, 48) || !zeros(56, 64)) {
    return TileFault::protection;
  }
  TileMachine made;
  made.palette = bytes[0];
  made.start_row = bytes[1];
  std::memcpy(made.row_bytes, bytes + 16, sizeof(made.row_bytes));
  std::memcpy(made.rows, bytes + 48, sizeof(made.rows));
  for (int tile = 0; tile < kTiles; ++tile) {
    if (made.rows[tile] > kMaxRows || made.row_bytes[tile] > kMaxRowBytes ||
        (made.rows[tile] == 0) != (made.row_bytes[tile] == 0)) {
      return TileFault::protection;
    }
  }
  *this = made;
  return TileFault::none;
}

TileFault TileMachine::store_configuration(void* to) const {
  std::uint8_t bytes[64] = {palette, start_row};
  std::memcpy(bytes + 16, row_bytes, sizeof(row_bytes));
  std::memcpy(bytes + 48, rows, sizeof(rows));
  std::memcpy(to, bytes, sizeof(bytes));
  return TileFault::none;
}

TileFault TileMachine::release() {
  *this = TileMachine{};
  return TileFault::none;
}

TileFault TileMachine::zero(int tile) {
  if (!valid(tile)) return TileFault::undefined;
  std::memset(data[tile], 0, sizeof(data[tile]));
  start_row = 0;
  return TileFault::none;
}

TileFault TileMachine::load(int tile, const std::byte* from, std::ptrdiff_t stride) {
  if (!valid(tile)) return TileFault::undefined;
  for (int row = start_row; row < rows[tile]; ++row) {
    std::memset(data[tile][row], 0, kMaxRowBytes);
    std::memcpy(data[tile][row], from + row * stride, row_bytes[tile]);
  }
  for (int row = rows[tile]; row < kMaxRows; ++row) std::memset(data[tile][row], 0, kMaxRowBytes);
  start_row = 0;
  return TileFault::none;
}

TileFault TileMachine::store(int tile, std::byte* to, std::ptrdiff_t stride) {
  if (!valid(tile)) return TileFault::undefined;
  for (int row = start_row; row < rows[tile]; ++row) {
    std::memcpy(to + row * stride, data[tile][row], row_bytes[tile]);
  }
  start_row = 0;
  return TileFault::none;
}

TileFault TileMachine::multiply_bf16(int sum, int a, int b) {
  if (!valid(sum) || !valid(a) || !valid(b)) return TileFault::undefined;
  if (sum == a || sum == b || a == b) return TileFault::undefined;
  const bool whole = row_bytes[sum] % 4 == 0 && row_bytes[a] % 4 == 0 && row_bytes[b] % 4 == 0;
  if (!whole || row_bytes[sum] != row_bytes[b] || rows[sum] != rows[a] ||
      row_bytes[a] / 4 != rows[b]) {
    return TileFault::undefined;
  }
  // Subnormal numbers count as zero, going in and coming out; to nearest even; no exceptions.
  constexpr unsigned kFlushMaskedNearest = 0x9fc0;
  const unsigned before = _mm_getcsr();
  _mm_setcsr(kFlushMaskedNearest);
  multiply_rows(*this, sum, a, b);
  _mm_setcsr(before);
  for (int row = rows[sum]; row < kMaxRows; ++row) std::memset(data[sum][row], 0, kMaxRowBytes);
  start_row = 0;
  return TileFault::none;
}

}  // namespace anemone::test

#endif
