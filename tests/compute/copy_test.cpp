// Copies between layouts and types.
#include "anemone/compute/copy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/compute/pools.h"
#include "tests/support/tensors.h"

namespace anemone::compute {
namespace {

using test::Buffer;

struct CopyLayout {
  const char* name;
  Shape shape;
  Strides in, out;
};

std::vector<CopyLayout> copy_layouts() {
  const Shape cube{4, 33, 130}, matrix{150, 500}, heads{2, 12, 20, 30};
  const auto plain = [](const Shape& s) { return contiguous_strides(s); };
  return {{"scalar", {}, {}, {}},
          {"empty", {3, 0}, plain({3, 0}), plain({3, 0})},
          {"contiguous", cube, plain(cube), plain(cube)},
          {"gaps", cube, test::padded_strides(cube, 3), test::padded_strides(cube, 1)},
          {"matrix transposed", matrix, plain(matrix), test::padded_strides(matrix, 0, 0, 1)},
          {"matrix transposed with gaps", matrix, test::padded_strides(matrix, 5, 0, 1),
           test::padded_strides(matrix, 4)},
          {"last axes exchanged", cube, plain(cube), test::padded_strides(cube, 0, 1, 2)},
          {"outer axes exchanged", cube, plain(cube), test::padded_strides(cube, 0, 0, 1)},
          {"ends exchanged", heads, test::padded_strides(heads, 0, 0, 3), plain(heads)},
          {"row broadcast", cube, {0, 0, 1}, plain(cube)},
          {"column broadcast", cube, {0, 1, 0}, plain(cube)},
          {"no unit stride", matrix, {1100, 2}, {1700, 3}}};
}

TEST(Copy, MovesEveryLayoutOfEveryType) {
  const auto pools = make_pools();
  const std::pair<DType, DType> types[] = {
      {DType::fp16, DType::fp16},    {DType::fp32, DType::fp32},   {DType::fp16, DType::fp32},
      {DType::fp32, DType::fp16},    {DType::int32, DType::fp16},  {DType::fp32, DType::int32},
      {DType::boolean, DType::fp32}, {DType::int64, DType::int64}, {DType::uint8, DType::uint8},
      {DType::fp32, DType::bf16}};
  for (const CpuFeatures& features : test::runnable(kernels::convert_kernels())) {
    for (const CopyLayout& layout : copy_layouts()) {
      for (const auto& type : types) {
        const DType from = type.first, to = type.second;  // clang 14 captures no bindings
        SCOPED_TRACE(std::string(layout.name) + " " + dtype_name(from) + " to " + dtype_name(to));
        ASSERT_TRUE(copy_supports(from, to));
        Buffer in(from, test::extent(layout.shape, layout.in), 1);
        in.fill_random(1, 0, 100);
        const CopyPlan plan = plan_copy({layout.shape, from, layout.in, to, layout.out}, features);
        const auto copied_by = [&](ThreadPool& pool) {
          Buffer out(to, test::extent(layout.shape, layout.out), 1);
          run(pool, plan, in.data(), out.data());
          return out;
        };
        const Buffer out = copied_by(*pools[0]);
        ASSERT_TRUE(test::only_wrote(out, layout.shape, layout.out));
        for (std::int64_t i = 0; i < layout.shape.elements(); ++i) {
          ASSERT_EQ(out.get(test::offset_of(layout.shape, layout.out, i)),
                    round_to(to, in.get(test::offset_of(layout.shape, layout.in, i))))
              << "element " << i;
        }
        for (const auto& pool : pools) EXPECT_TRUE(out.same_bytes(copied_by(*pool)));
      }
    }
  }
}

TEST(Copy, KnowsWhatItCannotConvert) {
  EXPECT_TRUE(copy_supports(DType::int64, DType::int64));
  EXPECT_FALSE(copy_supports(DType::int64, DType::fp32));
  EXPECT_FALSE(copy_supports(DType::string, DType::string));
}

}  // namespace
}  // namespace anemone::compute
