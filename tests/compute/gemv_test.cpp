// Matrix-vector products, whole: orders, types, batches, constants and threads, against double.
#include "anemone/compute/gemv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tensors.h"

namespace anemone::compute {
namespace {

using test::Buffer;

struct GemvCase {
  GemvSpec spec;
  std::int64_t items = 1;
  Buffer matrix{DType::fp32, 0}, x{DType::fp32, 0}, residual{DType::fp32, 0};
  std::vector<GemvSpec::BatchDim> places;  // of the batch's items
};

// The batch of a shared matrix: [kv_heads, group].
std::vector<GemvSpec::BatchDim> places_of(const GemvSpec& spec) {
  std::vector<GemvSpec::BatchDim> places(1);
  for (int i = 0; i < spec.batch_dims; ++i) {
    const GemvSpec::BatchDim& dim = spec.batch[static_cast<std::size_t>(i)];
    std::vector<GemvSpec::BatchDim> next;
    for (const GemvSpec::BatchDim& at : places)
      for (std::int64_t j = 0; j < dim.size; ++j)
        next.push_back({1, at.matrix + j * dim.matrix, at.x + j * dim.x, at.y + j * dim.y,
                        at.residual + j * dim.residual});
    places = std::move(next);
  }
  return places;
}

double rounded(const GemvCase& c, double value) {
  return c.spec.precision == ProductPrecision::bf16 ? round_to(DType::bf16, value) : value;
}

void check(GemvCase& c, const CpuFeatures& features) {
  const GemvSpec& spec = c.spec;
  c.places = places_of(spec);
  ASSERT_EQ(gemv_refusal(spec), "");
  const GemvPlan plan = plan_gemv(spec, features);
  std::int64_t y_extent = 0;
  for (const auto& at : c.places)
    y_extent = std::max(y_extent, at.y + (spec.lanes - 1) * spec.y.stride + 1);
  std::vector<Buffer> results;
  for (int threads = 1; threads <= 3; ++threads) {
    ThreadPool pool(threads);
    AlignedBuffer workspace(plan.workspace_bytes());
    Buffer& y = results.emplace_back(spec.y.type, y_extent, 1);
    PackedLanes packed;
    GemvArgs args;
    if (spec.matrix.constant) {
      packed = PackedLanes(plan);
      EXPECT_TRUE(packed.fits(plan));
      packed.pack(pool, {c.matrix.data(), c.matrix.type(), spec.matrix.lane_stride,
                         spec.matrix.depth_stride});
      args.packed = &packed;
    } else {
      args.matrix = c.matrix.data();
    }
    args.x = c.x.data();
    args.residual = c.residual.data();
    args.y = y.data();
    run(pool, plan, {workspace.data(), workspace.size()}, args);
    EXPECT_TRUE(y.guards_intact());
    EXPECT_TRUE(y.same_bytes(results.front())) << threads << " threads";
  }
  for (const auto& at : c.places) {
    for (std::int64_t l = 0; l < spec.lanes; ++l) {
      double sum = 0, magnitude = 0;
      for (std::int64_t p = 0; p < spec.depth; ++p) {
        double m =
            c.matrix.get(at.matrix + l * spec.matrix.lane_stride + p * spec.matrix.depth_stride);
        if (spec.matrix.constant) m = rounded(c, round_to(spec.matrix.type, m));
        const double term = m * rounded(c, c.x.get(at.x + p * spec.x.stride));
        sum += term;
        magnitude += std::abs(term);
      }
      double expected = spec.alpha * sum;
      if (spec.has_residual) expected += c.residual.get(at.residual + l * spec.residual.stride);
      const double bound =
          static_cast<double>(spec.depth + 3) * 0x1p-24 * (magnitude + std::abs(expected));
      ASSERT_NEAR(results[0].get(at.y + l * spec.y.stride), expected,
                  bound + test::half_ulp(spec.y.type, std::abs(expected) + bound))
          << "lane " << l;
    }
  }
}

GemvCase make_case(DType type, std::int64_t lanes, std::int64_t depth, bool by_columns) {
  GemvCase c;
  c.spec.lanes = lanes;
  c.spec.depth = depth;
  c.spec.matrix = {type, by_columns ? 1 : depth + 2, by_columns ? lanes + 2 : 1};
  c.spec.x = c.spec.y = c.spec.residual = {type, 1};
  c.matrix = Buffer(type, (lanes + 2) * (depth + 2), 1);
  c.x = Buffer(type, 2 * depth, 1);
  c.residual = Buffer(type, 2 * lanes);
  c.matrix.fill_random(1);
  c.x.fill_random(2);
  c.residual.fill_random(3);
  return c;
}

TEST(Gemv, AgreesWithDouble) {
  for (const CpuFeatures& features : test::runnable(kernels::gemv_kernels())) {
    for (const DType type : {DType::fp16, DType::fp32}) {
      for (const bool by_columns : {true, false}) {
        for (const auto& [lanes, depth] :
             {std::pair(1, 1), std::pair(300, 77), std::pair(65, 513), std::pair(1000, 200)}) {
          SCOPED_TRACE(std::string(dtype_name(type)) + (by_columns ? " columns" : " rows"));
          GemvCase c = make_case(type, lanes, depth, by_columns);
          check(c, features);
          c.spec.alpha = 0.25F;
          c.spec.has_residual = true;
          c.spec.x.stride = 2;
          c.spec.y.stride = 2;
          c.spec.residual.stride = 2;
          check(c, features);
        }
      }
    }
  }
}

TEST(Gemv, ConstantsAreRoundedAndPacked) {
  for (const CpuFeatures& features : test::runnable(kernels::gemv_kernels())) {
    for (const DType type : {DType::fp16, DType::fp32}) {
      for (const ProductPrecision precision : {ProductPrecision::full, ProductPrecision::bf16}) {
        for (const bool by_columns : {true, false}) {
          GemvCase c = make_case(DType::fp32, 200, 130, by_columns);
          c.spec.matrix.type = type;
          c.spec.matrix.constant = true;
          c.spec.precision = precision;
          c.spec.x.type = c.spec.y.type = type;
          c.x = Buffer(type, 130);
          c.x.fill_random(5);
          check(c, features);
          const GemvPlan plan = plan_gemv(c.spec, features);
          const std::size_t size =
              type == DType::fp32 && precision == ProductPrecision::full ? 4 : 2;
          EXPECT_EQ(PackedLanes(plan).bytes(), size * 224 * 130);
        }
      }
    }
  }
}

// Keys of a cache [positions, heads * channels], seen by two queries a head.
TEST(Gemv, BatchesShareOperands) {
  constexpr std::int64_t kPositions = 90, kHeads = 3, kChannels = 24, kGroup = 2;
  for (const bool keys : {true, false}) {
    GemvCase c;
    GemvSpec& spec = c.spec;
    spec.lanes = keys ? kPositions : kChannels;
    spec.depth = keys ? kChannels : kPositions;
    spec.matrix = {DType::fp16, keys ? kHeads * kChannels : 1, keys ? 1 : kHeads * kChannels};
    spec.x = spec.y = {DType::fp16, 1};
    spec.batch[0] = {kHeads, kChannels, kGroup * spec.depth, kGroup * spec.lanes, 0};
    spec.batch[1] = {kGroup, 0, spec.depth, spec.lanes, 0};
    spec.batch_dims = 2;
    c.matrix = Buffer(DType::fp16, kPositions * kHeads * kChannels);
    c.x = Buffer(DType::fp16, kHeads * kGroup * spec.depth);
    c.matrix.fill_random(1);
    c.x.fill_random(2);
    check(c, cpu_features());
  }
}

TEST(Gemv, SaysWhatItCannotDo) {
  GemvSpec spec;
  spec.lanes = spec.depth = 4;
  spec.matrix = {DType::fp32, 8, 2};
  EXPECT_EQ(gemv_refusal(spec), "the matrix is contiguous in no direction");
  spec.matrix = {DType::int8, 4, 1};
  EXPECT_EQ(gemv_refusal(spec), "not all operands are fp16, bf16 or fp32");
}

}  // namespace
}  // namespace anemone::compute
