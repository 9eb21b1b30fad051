// The tile instructions as our inline assembly gives them, against plain arithmetic: on the
// processor where it has AMX, else on the software that stands in for it, which is tested so.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "anemone/base/dtype.h"
#include "tests/support/amx.h"
#include "tests/support/tile_machine.h"

#if defined(__x86_64__)

#include "anemone/kernels/simd/tiles.h"

// clang assembles tile instructions only in functions that say so.
#define ANEMONE_TILE_CODE __attribute__((target("amx-tile,amx-bf16"), noinline))

namespace anemone::kernels {
namespace {

using test::TileFault;
using test::TileMachine;

// A product written from the manual's words, one number at a time.
float flush(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }
float fused(float a, float b, float c) { return flush(std::fma(flush(a), flush(b), flush(c))); }
float plain_sum(float sum, const std::vector<bf16>& a, const std::vector<bf16>& b) {
  float even = 0, odd = 0;
  for (std::size_t p = 0; p < a.size(); p += 2) {
    even = fused(to_float(a[p]), to_float(b[p]), even);
    odd = fused(to_float(a[p + 1]), to_float(b[p + 1]), odd);
  }
  return flush(flush(sum) + flush(flush(even) + flush(odd)));
}

// Bits of bf16 numbers: mostly ordinary, some subnormal, huge, infinite or NaN.
bf16 random_bf16(std::mt19937& random, bool special) {
  if (special && random() % 8 == 0) return {static_cast<std::uint16_t>(random())};
  const float scale = std::ldexp(1.0f, static_cast<int>(random() % 12) - 6);
  return bf16_from_float(scale * std::uniform_real_distribution<float>(-1, 1)(random));
}

struct Matrices {
  int m, n, pairs;
  std::vector<bf16> a, b;  // a[m][2 pairs]; b[pairs][n][2]
  std::vector<float> sum;  // [m][n]
  Matrices(int rows, int columns, int depth_pairs, std::uint32_t seed, bool special)
      : m(rows), n(columns), pairs(depth_pairs) {
    std::mt19937 random(seed);
    for (int i = 0; i < m * pairs * 2; ++i) a.push_back(random_bf16(random, special));
    for (int i = 0; i < n * pairs * 2; ++i) b.push_back(random_bf16(random, special));
    for (int i = 0; i < m * n; ++i) sum.push_back(to_float(random_bf16(random, special)));
  }
  float expected(int row, int column) const {
    std::vector<bf16> left(a.begin() + row * 2 * pairs, a.begin() + (row + 1) * 2 * pairs), right;
    for (int k = 0; k < pairs; ++k) {
      for (int i = 0; i < 2; ++i)
        right.push_back(b[static_cast<std::size_t>((k * n + column) * 2 + i)]);
    }
    return plain_sum(sum[static_cast<std::size_t>(row * n + column)], left, right);
  }
  void expect_is_product(const std::vector<float>& result) const {
    for (int row = 0; row < m; ++row) {
      for (int column = 0; column < n; ++column) {
        const float want = expected(row, column);
        const float got = result[static_cast<std::size_t>(row * n + column)];
        if (std::isnan(want)) {
          ASSERT_TRUE(std::isnan(got)) << row << ", " << column;
        } else {
          ASSERT_EQ(float_bits(got), float_bits(want))
              << row << ", " << column << ": " << got << " is not " << want;
        }
      }
    }
  }
};

TileConfig config_of(const Matrices& x) {
  TileConfig config;
  std::memset(config.row_bytes, 0, sizeof(config.row_bytes));
  std::memset(config.rows, 0, sizeof(config.rows));
  const auto set = [&config](int tile, int rows, int row_bytes) {
    config.rows[tile] = static_cast<std::uint8_t>(rows);
    config.row_bytes[tile] = static_cast<std::uint16_t>(row_bytes);
  };
  set(0, x.m, x.n * 4);
  set(1, x.m, x.pairs * 4);
  set(2, x.pairs, x.n * 4);
  return config;
}

std::vector<Matrices> all_shapes() {
  std::vector<Matrices> shapes;
  std::uint32_t seed = 0;
  for (const bool special : {false, true}) {
    for (const auto& [m, n, pairs] :
         {std::array{16, 16, 16}, {1, 1, 1}, {16, 16, 1}, {3, 16, 7}, {16, 5, 16}, {9, 2, 13}}) {
      shapes.emplace_back(m, n, pairs, ++seed, special);
    }
  }
  return shapes;
}

TEST(TileMachine, MultipliesAsTheManualSays) {
  if (!cpu_features().has(Isa::avx512)) GTEST_SKIP() << "the software needs AVX-512";
  for (const Matrices& x : all_shapes()) {
    TileMachine machine;
    const TileConfig config = config_of(x);
    ASSERT_EQ(machine.configure(&config), TileFault::none);
    const auto bytes = [](const auto& values) {
      return reinterpret_cast<const std::byte*>(values.data());
    };
    ASSERT_EQ(machine.load(0, bytes(x.sum), x.n * 4), TileFault::none);
    ASSERT_EQ(machine.load(1, bytes(x.a), x.pairs * 4), TileFault::none);
    ASSERT_EQ(machine.load(2, bytes(x.b), x.n * 4), TileFault::none);
    ASSERT_EQ(machine.multiply_bf16(0, 1, 2), TileFault::none);
    std::vector<float> result(x.sum.size());
    ASSERT_EQ(machine.store(0, reinterpret_cast<std::byte*>(result.data()), x.n * 4),
              TileFault::none);
    x.expect_is_product(result);
  }
}

TEST(TileMachine, RefusesWhatTheProcessorRefuses) {
  TileMachine machine;
  alignas(64) std::byte memory[1024] = {};
  EXPECT_EQ(machine.zero(0), TileFault::undefined) << "not configured";
  EXPECT_EQ(machine.load(0, memory, 64), TileFault::undefined);
  const auto outcome = [&machine](auto change) {
    TileConfig config;
    change(config);
    return machine.configure(&config);
  };
  EXPECT_EQ(outcome([](TileConfig& c) { c.palette = 2; }), TileFault::protection);
  EXPECT_EQ(outcome([](TileConfig& c) { c.reserved[13] = 1; }), TileFault::protection);
  EXPECT_EQ(outcome([](TileConfig& c) { c.rows[3] = 17; }), TileFault::protection);
  EXPECT_EQ(outcome([](TileConfig& c) { c.row_bytes[7] = 65; }), TileFault::protection);
  EXPECT_EQ(outcome([](TileConfig& c) { c.rows[0] = 0; }), TileFault::protection);
  EXPECT_EQ(outcome([](TileConfig& c) { c.rows[8] = 1; }), TileFault::protection);
  EXPECT_EQ(outcome([](TileConfig& c) { c.rows[2] = 8; }), TileFault::none);
  EXPECT_EQ(machine.multiply_bf16(0, 1, 2), TileFault::undefined) << "8 rows, 16 pairs";
  EXPECT_EQ(machine.multiply_bf16(2, 1, 0), TileFault::undefined) << "8 rows of sums, 16 of A";
  EXPECT_EQ(machine.multiply_bf16(0, 1, 1), TileFault::undefined) << "a tile twice";
  EXPECT_EQ(machine.multiply_bf16(0, 1, 8), TileFault::undefined) << "no such tile";
  EXPECT_EQ(outcome([](TileConfig& c) { c.palette = 0; }), TileFault::none);
  EXPECT_EQ(machine.zero(0), TileFault::undefined) << "palette 0 releases";
}

// ---- the instructions ----

class Tiles : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::amx_features().has(Isa::amx)) GTEST_SKIP() << "neither AMX nor AVX-512 with bf16";
  }
};

ANEMONE_TILE_CODE void multiply_with(const TileConfig& config, const Matrices& x, float* result) {
  configure_tiles(config);
  load_tile<0>(x.sum.data(), x.n * 4);
  load_tile<1>(x.a.data(), x.pairs * 4);
  stream_tile<2>(x.b.data(), x.n * 4);
  multiply_bf16_tiles<0, 1, 2>();
  store_tile_to<0>(result, x.n * 4);
  release_tiles();
}

TEST_F(Tiles, Multiply) {
  for (const Matrices& x : all_shapes()) {
    std::vector<float> result(x.sum.size());
    multiply_with(config_of(x), x, result.data());
    x.expect_is_product(result);
  }
}

// A load clears what lies beyond its rows and columns, which a product must not see.
ANEMONE_TILE_CODE void load_twice(const std::byte* from, std::byte* to) {
  TileConfig wide, narrow;
  narrow.rows[5] = 3;
  narrow.row_bytes[5] = 8;
  configure_tiles(narrow);
  load_tile<5, 64>(from, 128);
  store_tile_to<5, -64>(to + 64, 64);
  configure_tiles(wide);
  store_tile_to<5>(to + 1024, 64);  // a configuration clears all tiles
  load_tile<5>(from, 64);
  zero_tile<6>();
  store_tile_to<5>(to + 2048, 64);
  store_tile_to<6>(to + 3072, 64);
  release_tiles();
}

TEST_F(Tiles, LoadAndStoreRowsByStride) {
  std::vector<std::byte> from(2048), to(4096, std::byte{0xee});
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 7 % 251 + 1);
  load_twice(from.data(), to.data());
  for (std::size_t i = 0; i < 1024; ++i) {
    const std::size_t row = i / 64, column = i % 64;
    const bool stored = row < 3 && column < 8;
    EXPECT_EQ(to[i], stored ? from[64 + row * 128 + column] : std::byte{0xee}) << i;
    EXPECT_EQ(to[1024 + i], std::byte{0});
    EXPECT_EQ(to[2048 + i], from[i]);
    EXPECT_EQ(to[3072 + i], std::byte{0});
  }
}

alignas(64) const TileConfig global_config;

// Every form of address the compiler may choose, and some that it would not.
ANEMONE_TILE_CODE void copy_by_other_addresses(const std::byte* from, std::byte* to) {
  asm volatile(
      "ldtilecfg %[config]\n\t"
      "mov %[from], %%r12\n\t mov $32, %%r9\n\t"
      "tileloadd 0x40(%%r12,%%r9,2), %%tmm1\n\t"
      "mov %[from], %%r13\n\t mov $64, %%rsi\n\t"
      "tileloaddt1 0x400(%%r13,%%rsi,1), %%tmm7\n\t"
      "mov $8, %%rax\n\t"
      "tilestored %%tmm1, (%[to],%%rax,8)\n\t"
      "mov $16, %%r15\n\t"
      "tilestored %%tmm7, 0x400(%[to],%%r15,4)\n\t"
      "tileloadd (%[from]), %%tmm2\n\t"  // no index: sixteen times the same row
      "mov $64, %%r8\n\t"
      "tilestored %%tmm2, 0x800(%[to],%%r8)\n\t"
      "sttilecfg 0xc00(%[to])\n\t"
      "tilerelease"
      :
      : [config] "m"(global_config), [from] "b"(from), [to] "D"(to)
      : "rax", "r8", "r9", "r12", "r13", "r15", "rsi", "memory");
}

TEST_F(Tiles, TakeEveryFormOfAddress) {
  std::vector<std::byte> from(4096), to(4096);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i % 253);
  copy_by_other_addresses(from.data(), to.data());
  EXPECT_EQ(std::memcmp(to.data(), from.data() + 0x40, 1024), 0);
  EXPECT_EQ(std::memcmp(to.data() + 0x400, from.data() + 0x400, 1024), 0);
  for (std::size_t row = 0; row < 16; ++row)
    EXPECT_EQ(std::memcmp(to.data() + 0x800 + row * 64, from.data(), 64), 0);
  EXPECT_EQ(std::memcmp(to.data() + 0xc00, &global_config, 64), 0);
}

ANEMONE_TILE_CODE void keep_and_store(const std::byte* from, std::byte* to, std::byte* others) {
  configure_tiles(global_config);
  load_tile<3>(from, 64);
  std::thread([others] {
    configure_tiles(global_config);
    store_tile_to<3>(others, 64);
    release_tiles();
  }).join();
  store_tile_to<3>(to, 64);
  release_tiles();
}

TEST_F(Tiles, BelongToAThread) {
  std::vector<std::byte> from(1024, std::byte{5}), to(1024), others(1024, std::byte{1});
  keep_and_store(from.data(), to.data(), others.data());
  EXPECT_EQ(to, from);
  EXPECT_EQ(others, std::vector<std::byte>(1024));
}

ANEMONE_TILE_CODE void use_released_tile() {
  configure_tiles(global_config);
  release_tiles();
  zero_tile<0>();
}

ANEMONE_TILE_CODE void configure_wrongly() {
  TileConfig config;
  config.rows[0] = 17;
  configure_tiles(config);
}

TEST_F(Tiles, DieAsOnTheProcessor) {
  EXPECT_DEATH(use_released_tile(), "");
  EXPECT_DEATH(configure_wrongly(), "");
  EXPECT_DEATH(asm volatile("ud2"), "") << "another illegal instruction is not ours";
}

TEST(DecodeTileInstruction, KnowsItsInstructionsOnly) {
  using Kind = test::TileInstruction::Kind;
  std::uint64_t registers[16];
  for (std::uint64_t i = 0; i < 16; ++i) registers[i] = i << 32;
  const auto decode = [&](std::array<std::uint8_t, 10> code) {
    return test::decode_tile_instruction(code.data(), registers);
  };
  // tileloadd -8(%r11,%rdi,4), %tmm6
  const auto load = decode({0xc4, 0xc2, 0x7b, 0x4b, 0x74, 0xbb, 0xf8});
  ASSERT_TRUE(load);
  EXPECT_EQ(load->kind, Kind::load);
  EXPECT_EQ(load->tile, 6);
  EXPECT_EQ(load->length, 7);
  EXPECT_EQ(load->address, (std::uint64_t{11} << 32) - 8);
  EXPECT_EQ(load->stride, std::uint64_t{7} << 34);
  // tdpbf16ps %tmm5, %tmm4, %tmm3
  const auto multiply = decode({0xc4, 0xe2, 0x52, 0x5c, 0xdc});
  ASSERT_TRUE(multiply);
  EXPECT_EQ(multiply->kind, Kind::multiply_bf16);
  EXPECT_EQ(multiply->tile, 3);
  EXPECT_EQ(multiply->a, 4);
  EXPECT_EQ(multiply->b, 5);
  EXPECT_EQ(multiply->length, 5);
  EXPECT_FALSE(decode({0xc4, 0xe2, 0x53, 0x5c, 0xdc})) << "F2: another product";
  EXPECT_FALSE(decode({0xc4, 0xe2, 0xd2, 0x5c, 0xdc})) << "W is set";
  EXPECT_FALSE(decode({0xc4, 0xe2, 0x56, 0x5c, 0xdc})) << "256 bits";
  EXPECT_FALSE(decode({0xc4, 0x62, 0x52, 0x5c, 0xdc})) << "tile 11";
  EXPECT_FALSE(decode({0xc4, 0xc2, 0x7b, 0x4b, 0x73, 0xf8})) << "a load without SIB byte";
  EXPECT_FALSE(decode({0x0f, 0x0b}));
}

}  // namespace
}  // namespace anemone::kernels

#endif
