// Conversions: every fp16 and bf16 number, rounding at every boundary, integers, strides,
// transpositions.
#include "anemone/kernels/convert/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/support/tensors.h"

namespace anemone::kernels {
namespace {

class ConvertKernels : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!cpu_features().has(row().isa)) GTEST_SKIP() << "this processor has no " << row().name;
  }
  const ConvertKernel& row() const { return convert_kernels().rows[GetParam()]; }
};

INSTANTIATE_TEST_SUITE_P(, ConvertKernels, testing::Range(0, convert_kernels().count));

TEST_P(ConvertKernels, ArePickedByFeatures) {
  EXPECT_EQ(&pick_convert(cpu_features().capped(row().isa)), &row());
}

TEST_P(ConvertKernels, LoadEvery16BitFloat) {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  std::vector<float> slot(all.size());
  for (const DType type : {DType::fp16, DType::bf16}) {
    row().load(type, all.data(), 1, slot.data(), 65536);
    for (std::uint32_t i = 0; i < 65536; ++i) {
      const auto half = static_cast<std::uint16_t>(i);
      const float expected = type == DType::fp16 ? to_float(f16{half}) : to_float(bf16{half});
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(slot[i])) << i;
      } else {
        ASSERT_EQ(float_bits(slot[i]), float_bits(expected)) << i;
      }
    }
  }
}

// Both sides of the middle between every two neighbours, and the middle itself: every rounding
// decision there is.
TEST_P(ConvertKernels, StoreRoundsEveryBoundaryToNearestEven) {
  for (const DType type : {DType::fp16, DType::bf16}) {
    std::vector<float> values;
    for (std::uint32_t bits = 0; bits < 0x7f80u; ++bits) {
      if (type == DType::fp16 && bits > 0x7c00u) break;
      const auto number = [type](std::uint32_t b) {
        return static_cast<double>(type == DType::fp16
                                       ? to_float(f16{static_cast<std::uint16_t>(b)})
                                       : to_float(bf16{static_cast<std::uint16_t>(b)}));
      };
      // Above the largest finite number the next one would be 65536, or 2^128: rounding decides as
      // if it existed.
      double above = number(bits + 1);
      if (type == DType::fp16 && bits == 0x7bffu) above = 65536;
      if (!std::isfinite(above) || !std::isfinite(number(bits))) continue;
      const auto middle = static_cast<float>((number(bits) + above) / 2);
      for (const float sign : {1.0f, -1.0f}) {
        for (const float v :
             {static_cast<float>(number(bits)), std::nextafterf(middle, 0.0f), middle,
              std::nextafterf(middle, std::numeric_limits<float>::infinity())}) {
          values.push_back(sign * v);
        }
      }
    }
    for (const float v : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::max(),
                          std::numeric_limits<float>::denorm_min()}) {
      values.insert(values.end(), {v, -v});
    }
    const auto n = static_cast<std::ptrdiff_t>(values.size());
    values.resize(values.size() + 16);
    std::vector<std::uint16_t> stored(values.size());
    row().store(type, values.data(), stored.data(), 1, n);
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      const std::uint16_t expected =
          type == DType::fp16 ? f16_from_float(values[i]).bits : bf16_from_float(values[i]).bits;
      ASSERT_EQ(stored[i], expected) << dtype_name(type) << " of " << values[i];
    }
  }
}

TEST_P(ConvertKernels, KeepNaN) {
  alignas(64) float slot[16];
  for (float& v : slot) v = -std::numeric_limits<float>::quiet_NaN();
  for (const DType type : {DType::fp16, DType::bf16, DType::fp32}) {
    std::uint32_t stored[16];
    row().store(type, slot, stored, 1, 16);
    alignas(64) float back[16];
    row().load(type, stored, 1, back, 16);
    for (const float v : back) EXPECT_TRUE(std::isnan(v)) << dtype_name(type);
  }
}

constexpr DType kTypes[] = {DType::fp16,  DType::bf16,  DType::fp32,  DType::boolean, DType::int8,
                            DType::int16, DType::int32, DType::uint8, DType::uint16};

TEST_P(ConvertKernels, LoadAndStoreAnyLengthStrideAndAlignment) {
  for (const DType type : kTypes) {
    ASSERT_TRUE(converts(type));
    for (const std::ptrdiff_t n : {0, 1, 3, 15, 16, 17, 40, 100}) {
      for (const std::ptrdiff_t stride : {0, 1, 2, 7}) {
        SCOPED_TRACE(std::string(dtype_name(type)) + " n " + std::to_string(n) + " stride " +
                     std::to_string(stride));
        test::Buffer in(type, stride * n + 1, n % 3);
        in.fill_random(static_cast<std::uint32_t>(n), -3, 100);
        alignas(64) float slot[128];
        for (float& v : slot) v = -7;
        row().load(type, in.data(), stride, slot, n);
        for (std::ptrdiff_t i = 0; i < n; ++i) ASSERT_EQ(slot[i], in.get(i * stride));
        for (std::ptrdiff_t i = n; i < 128; ++i)
          ASSERT_EQ(slot[i], i < (n + 15) / 16 * 16 ? 0 : -7);
        if (stride == 0) continue;
        test::Buffer out(type, stride * n + 1, n % 2);
        row().store(type, slot, out.data(), stride, n);
        EXPECT_TRUE(out.guards_intact());
        for (std::ptrdiff_t i = 0; i < out.size(); ++i) {
          if (i % stride == 0 && i / stride < n) {
            ASSERT_EQ(out.get(i), in.get(i));
          } else {
            ASSERT_TRUE(out.untouched(i));
          }
        }
      }
    }
  }
}

TEST_P(ConvertKernels, StoreIntegersTowardZeroSaturating) {
  alignas(64) float slot[16] = {-2.9f,
                                2.9f,
                                1e20f,
                                -1e20f,
                                std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::infinity(),
                                126.99f,
                                -0.5f,
                                2147483520.0f,
                                2147483648.0f,
                                -2147483648.0f,
                                0.25f};
  for (const DType type :
       {DType::int8, DType::int16, DType::int32, DType::uint8, DType::uint16, DType::boolean}) {
    test::Buffer out(type, 16);
    row().store(type, slot, out.data(), 1, 16);
    for (int i = 0; i < 16; ++i) {
      const double expected =
          std::isnan(slot[i]) && type != DType::boolean ? 0 : round_to(type, slot[i]);
      EXPECT_EQ(out.get(i), expected) << dtype_name(type) << " of " << slot[i];
    }
  }
}

TEST_P(ConvertKernels, Transpose) {
  for (const DType type : {DType::uint8, DType::fp16, DType::fp32, DType::int64}) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {16, 16}, {17, 5}, {40, 70}, {3, 100}}) {
      const std::ptrdiff_t in_stride = columns + 3, out_stride = rows + 2;
      test::Buffer in(type, rows * in_stride, 1), out(type, columns * out_stride, 1);
      in.fill_random(3, 0, 200);
      row().transpose(
          {in.data(), out.data(), in_stride, out_stride, rows, columns, dtype_size(type)});
      EXPECT_TRUE(out.guards_intact());
      for (int c = 0; c < columns; ++c) {
        for (int r = 0; r < out_stride; ++r) {
          if (r < rows) {
            ASSERT_EQ(out.get(c * out_stride + r), in.get(r * in_stride + c));
          } else {
            ASSERT_TRUE(out.untouched(c * out_stride + r));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace anemone::kernels
