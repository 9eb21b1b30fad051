// Two rows by eight columns of a product are summed in registers, over all of k, while a flag per
// element watches whether a sum leaves the range. The few blocks in which one does, or in which an
// operand is infinite, are computed again by `Careful`, which follows the rules for those.
//
// fp32 is enough: the product of two fp16 numbers is exact in it, and it is what the accumulators
// of the device are known to be like.
#include "anemone/engine/ane/numerics_product.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "anemone/base/dtype.h"

namespace anemone::engine::ane {
namespace {

constexpr std::int64_t kRows = 2, kColumns = 8, kLanes = 4, kTile = 4;
constexpr float kLimit = static_cast<float>(kProductLimit);
constexpr float kSmallestNormal = 0x1p-14F;

using Floats = float __attribute__((vector_size(16)));
using Ints = std::int32_t __attribute__((vector_size(16)));

Floats all(float value) { return Floats{value, value, value, value}; }
Ints bits(Floats x) { return std::bit_cast<Ints>(x); }
Floats floats(Ints x) { return std::bit_cast<Floats>(x); }
Floats keep(Ints mask, Floats x) { return floats(mask & bits(x)); }
Floats choose(Ints mask, Floats yes, Floats no) {
  return floats((mask & bits(yes)) | (~mask & bits(no)));
}
Floats magnitude(Floats x) { return floats(bits(x) & 0x7fffffff); }
Ints beyond(Floats x) { return magnitude(x) >= all(kLimit); }
Floats load(const float* p) {
  Floats value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

// How one kind of unit multiplies and adds.
template <bool tiles, bool rounds, bool flushes>
struct Unit {
  static constexpr bool kTiles = tiles;

  static Floats product(Floats a, Floats b) {
    Floats p = a * b;
    if constexpr (flushes) p = keep(magnitude(p) >= all(kSmallestNormal), p);
    if constexpr (rounds) {  // to 11 significant bits, ties to even
      const Ints odd = (bits(p) >> 13) & 1;
      p = floats((bits(p) + 0xfff + odd) & ~0x1fff);
    }
    return p;
  }

  // The sum, cut off below 2^-11 of the power of two in the larger addend: 12 bits. Adding 1.5
  // times the power of two whose last place that is, and taking it away again, does the rounding.
  static Floats add_in_tile(Floats sum, Floats p) {
    const Floats one = magnitude(sum), other = magnitude(p);
    const Floats larger = choose(one > other, one, other);
    const Floats shift = floats(bits(larger) & 0x7f800000) * all(1.5F * 4096);
    return ((sum + p) + shift) - shift;
  }
};

// The sum of products for four elements of the result.
template <class Unit>
struct Sum {
  Floats total{}, tile{};
  Ints left{};  // all ones where a sum has left the range

  void add(Floats a, Floats b) {
    const Floats p = Unit::product(a, b);
    if constexpr (Unit::kTiles) {
      tile = Unit::add_in_tile(tile, p);
      left |= beyond(tile);
    } else {
      total += p;
      left |= beyond(total);
    }
  }
  // After every kTile products.
  void end_tile() {
    if constexpr (Unit::kTiles) {
      total += tile;
      tile = Floats{};
      left |= beyond(total);
    }
  }
  bool is_plain() const {
    const Ints odd = left | (total != total);
    return (odd[0] | odd[1] | odd[2] | odd[3]) == 0;
  }
};

// The same sum with all rules for what is not plain. Infinite products are set aside and 0·inf
// counts as 0; the sign of the first sum that leaves the range is kept.
template <class Unit>
struct Careful {
  Sum<Unit> sum;
  Ints positive{}, negative{};  // all ones where an infinite product of that sign was met
  Ints left{};                  // where a sum has left the range
  Ints interior{};              // and did so before the last product
  Floats first{};               // the first sum that did

  void add(Floats a, Floats b) {
    interior = left;
    const Floats p = a * b;
    const Ints infinite = magnitude(p) == all(std::numeric_limits<float>::infinity());
    positive |= infinite & (p > Floats{});
    negative |= infinite & (p < Floats{});
    const Ints usable = ~infinite & (p == p);
    sum.add(keep(usable, a), keep(usable, b));
    note(Unit::kTiles ? sum.tile : sum.total);
  }
  void end_tile() {
    sum.end_tile();
    note(sum.total);
  }

  double result(const NumericsProfile& profile, int lane) const;

 private:
  void note(Floats latest) {
    const Ints fresh = beyond(latest) & ~left;
    first = choose(fresh, latest, first);
    left |= fresh;
  }
};

// As the units give a sum that stayed in the range.
double rounded(Ties ties, float sum) {
  // A little more makes a tie the nearer to what is away from zero, and changes nothing else.
  const double wide = sum;
  const f16 half = f16_from_double(ties == Ties::to_even ? wide : wide * (1 + 0x1p-40));
  const double value = static_cast<double>(to_float(half));
  return std::abs(value) >= kProductLimit ? std::copysign(kInfinity, value) : value;
}

template <class Unit>
double Careful<Unit>::result(const NumericsProfile& profile, int lane) const {
  if (positive[lane] != 0 || negative[lane] != 0) {
    if (positive[lane] != 0 && negative[lane] != 0) return 0;
    return positive[lane] != 0 ? kInfinity : -kInfinity;
  }
  if (interior[lane] != 0) {
    if (profile.interior == InteriorOverflow::zero) return 0;
    return std::copysign(kInfinity, static_cast<double>(first[lane]));
  }
  return rounded(profile.ties, sum.total[lane]);
}

// c = fp16(value + c), without NaN.
void add_to(double& c, double value) {
  const double sum = value + c;
  c = std::isnan(sum) ? 0 : static_cast<double>(to_float(f16_from_double(sum)));
}

// The operands in fp32: rows of a, and eight columns of b at a time; both with zeros up to whole
// blocks.
struct Operands {
  std::int64_t m, n, k, padded;
  std::vector<float> rows, columns;

  Operands(std::int64_t m_, std::int64_t n_, std::int64_t k_, const double* a)
      : m(m_),
        n(n_),
        k(k_),
        padded((k_ + kTile - 1) / kTile * kTile),
        rows(static_cast<std::size_t>((m_ + 1) / kRows * kRows * padded)),
        columns(static_cast<std::size_t>(padded * kColumns)) {
    for (std::int64_t i = 0; i < m; ++i) {
      std::transform(a + i * k, a + (i + 1) * k, rows.begin() + i * padded,
                     [](double x) { return static_cast<float>(x); });
    }
  }
  void take_columns(const double* b, std::int64_t from) {
    const std::int64_t width = std::min(kColumns, n - from);
    std::fill(columns.begin(), columns.end(), 0.0F);
    for (std::int64_t p = 0; p < k; ++p) {
      for (std::int64_t j = 0; j < width; ++j) {
        columns[static_cast<std::size_t>(p * kColumns + j)] =
            static_cast<float>(b[p * n + from + j]);
      }
    }
  }
};

// Two rows against eight columns: element (r, 4v + lane) in sums[r][v].
template <class S>
struct Block {
  S s00, s01, s10, s11;

  void add(const float* a0, const float* a1, const float* b) {
    const Floats b0 = load(b), b1 = load(b + kLanes);
    const Floats x = all(*a0), y = all(*a1);
    s00.add(x, b0);
    s01.add(x, b1);
    s10.add(y, b0);
    s11.add(y, b1);
  }
  void end_tile() {
    s00.end_tile();
    s01.end_tile();
    s10.end_tile();
    s11.end_tile();
  }
  const S& at(std::int64_t row, std::int64_t column) const {
    return row == 0 ? (column < kLanes ? s00 : s01) : (column < kLanes ? s10 : s11);
  }
};

// `terms`: what is added up; the rest is padding, which a plain sum may as well add.
template <class S>
void multiply_block(std::int64_t terms, const float* a0, const float* a1, const float* b,
                    Block<S>& block) {
  for (std::int64_t p = 0; p < terms; p += kTile) {
    const std::int64_t end = std::min(terms, p + kTile);
    for (std::int64_t q = p; q < end; ++q) block.add(a0 + q, a1 + q, b + q * kColumns);
    block.end_tile();
  }
}

template <class Unit>
void multiply(const NumericsProfile& profile, Operands& operands, const double* b, double* c) {
  const std::int64_t n = operands.n, padded = operands.padded;
  for (std::int64_t j = 0; j < n; j += kColumns) {
    operands.take_columns(b, j);
    const std::int64_t width = std::min(kColumns, n - j);
    for (std::int64_t i = 0; i < operands.m; i += kRows) {
      const float* a0 = operands.rows.data() + i * padded;
      Block<Sum<Unit>> block;
      multiply_block(padded, a0, a0 + padded, operands.columns.data(), block);
      const bool plain = block.s00.is_plain() && block.s01.is_plain() && block.s10.is_plain() &&
                         block.s11.is_plain();
      Block<Careful<Unit>> careful;
      if (!plain) {
        multiply_block(operands.k, a0, a0 + padded, operands.columns.data(), careful);
      }
      const std::int64_t height = std::min(kRows, operands.m - i);
      for (std::int64_t r = 0; r < height; ++r) {
        for (std::int64_t column = 0; column < width; ++column) {
          const int lane = static_cast<int>(column % kLanes);
          const double value = plain ? rounded(profile.ties, block.at(r, column).total[lane])
                                     : careful.at(r, column).result(profile, lane);
          add_to(c[(i + r) * n + j + column], value);
        }
      }
    }
  }
}

// Calls visit(std::true_type) or visit(std::false_type).
template <class Visit>
void with(bool flag, Visit visit) {
  flag ? visit(std::true_type{}) : visit(std::false_type{});
}

}  // namespace

void add_product(const NumericsProfile& profile, std::int64_t m, std::int64_t n, std::int64_t k,
                 const double* a, const double* b, double* c) {
  Operands operands(m, n, k, a);
  with(profile.tiles_of_four, [&](auto tiles) {
    with(profile.rounds_products, [&](auto rounds) {
      with(profile.flushes_products, [&](auto flushes) {
        multiply<Unit<tiles.value, rounds.value, flushes.value>>(profile, operands, b, c);
      });
    });
  });
}

}  // namespace anemone::engine::ane
