// Cases for tests of attention, and what they give in exact arithmetic with the errors that
// roundings can make of it.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "anemone/compute/attention.h"
#include "tests/support/amx.h"
#include "tests/support/tensors.h"

namespace anemone::compute {

using test::Buffer;

constexpr double kEps = 0x1p-24;

// How a tensor [batch…, features, positions] lies in memory.
enum class Order { features_first, positions_first, neither };

struct Case {
  std::string name;
  Shape batch;  // of queries
  std::int64_t queries = 0, keys = 0, head_dim = 0, value_dim = 0;
  bool causal = false;
  DType type = DType::fp32;
  Order order = Order::features_first;
  int shared_axis = -1;  // along which keys and values are repeated
  float scale = 0.4f;
  ProductPrecision precision = ProductPrecision::full;
  const kernels::GemmKernel* row = nullptr;  // of the table of products, if it must be that one
};

// One tensor of a case.
class Tensor {
 public:
  Tensor(const Case& c, std::int64_t positions, std::int64_t features, bool shared,
         std::uint32_t seed)
      : batch_(c.batch) {
    Shape shape = c.batch;
    if (shared && c.shared_axis >= 0) shape[c.shared_axis] = 1;
    shape.push_back(features);
    shape.push_back(positions);
    const int last = shape.rank() - 1;
    strides_ = c.order == Order::features_first    ? test::padded_strides(shape, 3)
               : c.order == Order::positions_first ? test::padded_strides(shape, 1, last - 1, last)
                                                   : test::padded_strides(shape, 2, last - 2, last);
    shape_ = shape;
    buffer_ = std::make_unique<Buffer>(c.type, test::extent(shape, strides_), 1);
    if (seed != 0) buffer_->fill_random(seed, -1.5, 1.5);
    described_.type = c.type;
    described_.feature_stride = strides_[static_cast<std::size_t>(last - 1)];
    described_.position_stride = strides_[static_cast<std::size_t>(last)];
    for (int axis = 0; axis < c.batch.rank(); ++axis) {
      const auto i = static_cast<std::size_t>(axis);
      described_.batch[i] = shape[axis] == 1 ? 0 : strides_[i];
    }
  }

  const AttentionTensor& described() const { return described_; }
  Buffer& buffer() { return *buffer_; }
  // Of the item with this number in the batch.
  double operator()(std::int64_t item, std::int64_t position, std::int64_t feature) const {
    return buffer_->get(test::offset_of(batch_, described_.batch, item) +
                        position * described_.position_stride +
                        feature * described_.feature_stride);
  }
  bool only_wrote() const { return test::only_wrote(*buffer_, shape_, strides_); }

 private:
  Shape batch_, shape_;
  Strides strides_{};
  AttentionTensor described_;
  std::unique_ptr<Buffer> buffer_;
};

// A matrix of numbers with their possible errors.
struct Bounded {
  double value = 0, error = 0;
};
using Matrix = std::vector<std::vector<Bounded>>;
inline Matrix matrix(std::int64_t rows, std::int64_t columns) {
  return Matrix(static_cast<std::size_t>(rows),
                std::vector<Bounded>(static_cast<std::size_t>(columns)));
}

// What attention gives in exact arithmetic, and how far its roundings can lead. First-order terms;
// the factor 1.01 covers their products.
class Exact {
 public:
  Exact(const Case& c, const Tensor& q, const Tensor& k, const Tensor& v)
      : c_(c),
        q_(q),
        k_(k),
        v_(v),
        // Two operands that are rounded to bf16 first, or to sums of two bf16 numbers, of whose
        // products the smallest is left out.
        operand_(c.precision == ProductPrecision::bf16
                     ? 0x1p-8
                     : (c.row != nullptr && c.row->planes == 2 ? 0x1p-15 : 0)) {}

  std::int64_t visible(std::int64_t query) const { return c_.causal ? query + 1 : c_.keys; }

  // Σ a b of `terms` exact or bounded numbers.
  template <class A, class B>
  Bounded dot(std::int64_t terms, A a, B b) const {
    Bounded sum;
    double magnitude = 0;
    for (std::int64_t i = 0; i < terms; ++i) {
      const Bounded x = a(i), y = b(i);
      sum.value += x.value * y.value;
      sum.error += std::abs(x.value) * y.error + x.error * std::abs(y.value);
      magnitude += std::abs(x.value * y.value);
    }
    sum.error += magnitude * (2 * static_cast<double>(terms) * kEps + 1.01 * operand_);
    return sum;
  }

  // Probabilities of one item: [query][key].
  Matrix probabilities(std::int64_t item) const {
    Matrix p = matrix(c_.queries, c_.keys);
    for (std::int64_t i = 0; i < c_.queries; ++i) {
      std::vector<Bounded>& row = p[static_cast<std::size_t>(i)];
      double max = -INFINITY, error = 0, sum = 0;
      const auto seen = static_cast<std::size_t>(visible(i));
      for (std::size_t j = 0; j < seen; ++j) {
        row[j] = dot(
            c_.head_dim,
            [&](std::int64_t f) {
              return Bounded{q_(item, i, f), 0};
            },
            [&](std::int64_t f) {
              return Bounded{k_(item, static_cast<std::int64_t>(j), f), 0};
            });
        row[j].value *= static_cast<double>(c_.scale);
        row[j].error *= static_cast<double>(c_.scale);
        max = std::max(max, row[j].value);
      }
      // An exponent's error is a relative one of the exponential: its own, the scale's, the
      // product's with it, the difference's to the maximum.
      for (std::size_t j = 0; j < seen; ++j) {
        row[j].error += kEps * (3 * std::abs(row[j].value) + std::abs(max));
        error = std::max(error, row[j].error);
        row[j].value = std::exp(row[j].value - max);
        sum += row[j].value;
      }
      // A power 2 ulp, the sum, the division and product.
      error = 2 * error + (2 * 4 + static_cast<double>(seen) + 3) * kEps;
      for (std::size_t j = 0; j < seen; ++j) {
        row[j].value /= sum;
        row[j].error = row[j].value * error;
      }
    }
    return p;
  }

  Bounded out(const Matrix& p, std::int64_t item, std::int64_t query, std::int64_t feature) const {
    const std::vector<Bounded>& row = p[static_cast<std::size_t>(query)];
    return dot(
        visible(query), [&](std::int64_t j) { return row[static_cast<std::size_t>(j)]; },
        [&](std::int64_t j) {
          return Bounded{v_(item, j, feature), 0};
        });
  }

  // P · (dOut Vᵀ - rowsum(P · dOut Vᵀ)) of one item.
  Matrix score_gradients(const Matrix& p, const Tensor& dout, std::int64_t item) const {
    Matrix ds = matrix(c_.queries, c_.keys);
    for (std::int64_t i = 0; i < c_.queries; ++i) {
      std::vector<Bounded>& row = ds[static_cast<std::size_t>(i)];
      const std::vector<Bounded>& weights = p[static_cast<std::size_t>(i)];
      const auto seen = static_cast<std::size_t>(visible(i));
      for (std::size_t j = 0; j < seen; ++j) {
        row[j] = dot(
            c_.value_dim,
            [&](std::int64_t f) {
              return Bounded{dout(item, i, f), 0};
            },
            [&](std::int64_t f) {
              return Bounded{v_(item, static_cast<std::int64_t>(j), f), 0};
            });
      }
      Bounded mean;
      for (std::size_t j = 0; j < seen; ++j) {
        mean.value += weights[j].value * row[j].value;
        mean.error +=
            weights[j].error * std::abs(row[j].value) + weights[j].value * row[j].error +
            (static_cast<double>(seen) + 3) * kEps * std::abs(weights[j].value * row[j].value);
      }
      for (std::size_t j = 0; j < seen; ++j) {
        const double centered = row[j].value - mean.value;
        row[j].error =
            weights[j].error * std::abs(centered) +
            weights[j].value * (row[j].error + mean.error +
                                4 * kEps * (std::abs(row[j].value) + std::abs(mean.value)));
        row[j].value = weights[j].value * centered;
      }
    }
    return ds;
  }

 private:
  const Case& c_;
  const Tensor &q_, &k_, &v_;
  double operand_;
};

inline void expect_near(double actual, const Bounded& expected, DType type,
                        const std::string& what) {
  const double error = 1.01 * expected.error + 1e-37;
  ASSERT_NEAR(actual, expected.value,
              error + test::half_ulp(type, std::abs(expected.value) + error))
      << what;
}

inline std::string place(const Case& c, std::int64_t item, std::int64_t position,
                         std::int64_t feature) {
  return c.name + ", item " + std::to_string(item) + " position " + std::to_string(position) +
         " feature " + std::to_string(feature);
}

inline AttentionSpec spec_of(const Case& c, const Tensor& q, const Tensor& k, const Tensor& v,
                             const Tensor& out) {
  AttentionSpec spec;
  spec.batch = c.batch;
  spec.queries = c.queries;
  spec.keys = c.keys;
  spec.head_dim = c.head_dim;
  spec.value_dim = c.value_dim;
  spec.scale = c.scale;
  spec.causal = c.causal;
  spec.precision = c.precision;
  spec.q = q.described();
  spec.k = k.described();
  spec.v = v.described();
  spec.out = out.described();
  return spec;
}

inline void expect_row(const Case& c, const AttentionPlan& plan) {
  EXPECT_TRUE(c.row == nullptr || c.row == plan.gemm) << c.name << " picks " << plan.gemm->name;
}

// Runs with rubbish in the workspace.
inline void run_plan(const AttentionPlan& plan, int threads, const AttentionArgs& args) {
  ThreadPool pool(threads);
  AlignedBuffer workspace(plan.workspace_bytes(threads));
  std::memset(workspace.data(), 0xff, workspace.size());
  run(pool, plan, {workspace.data(), workspace.size()}, args);
}

inline std::vector<Case> cases() {
  std::vector<Case> all;
  // Lengths around tiles and blocks, causal and not, in turn in all layouts and types.
  const Order orders[] = {Order::features_first, Order::positions_first, Order::neither};
  const DType types[] = {DType::fp32, DType::fp16, DType::bf16};
  std::size_t turn = 0;
  for (const std::int64_t length : {1, 2, 7, 14, 31, 32, 33, 65, 130}) {
    for (const bool causal : {true, false}) {
      Case c;
      c.name = "length " + std::to_string(length) + (causal ? ", causal" : "");
      c.batch = {2, 1};
      c.queries = c.keys = length;
      c.head_dim = 5 + static_cast<std::int64_t>(turn % 4);
      c.value_dim = 3 + static_cast<std::int64_t>(turn % 5);
      c.causal = causal;
      c.order = orders[turn % 3];
      c.type = types[turn / 2 % 3];
      ++turn;
      all.push_back(c);
    }
  }
  for (const std::int64_t features : {1, 16, 31, 33, 64, 80}) {
    Case c;
    c.name = "features " + std::to_string(features);
    c.batch = {1, 2};
    c.queries = c.keys = 40;
    c.head_dim = features;
    c.value_dim = 81 - features;
    c.causal = features % 2 == 0;
    c.order = orders[turn++ % 3];
    c.scale = 0.125f;
    all.push_back(c);
  }
  Case cross;
  cross.name = "more keys than queries";
  cross.batch = {3};
  cross.queries = 5;
  cross.keys = 77;
  cross.head_dim = cross.value_dim = 8;
  all.push_back(cross);
  cross.name = "more queries than keys";
  std::swap(cross.queries, cross.keys);
  all.push_back(cross);
  for (const int axis : {0, 1, 2}) {
    Case c;
    c.name = "keys shared along axis " + std::to_string(axis);
    c.batch = {2, 3, 2};
    c.shared_axis = axis;
    c.queries = c.keys = 35;
    c.head_dim = 6;
    c.value_dim = 4;
    c.causal = axis != 1;
    c.type = axis == 2 ? DType::fp16 : DType::fp32;
    all.push_back(c);
  }
  return all;
}

// Runs a check with features for which row `number` of the table of products is the one picked, if
// the case can be made one for it. False: this machine does not have the row.
inline bool check_on_row(int number, void (*check)(const Case& c, const CpuFeatures& features),
                         Case c) {
  const kernels::GemmKernel& row = kernels::gemm_kernels().rows[number];
  if (!test::amx_features().has(row.isa)) return false;
  const bool must_round = c.precision == ProductPrecision::bf16;
  if (!must_round || row.takes != kernels::GemmOperands::fp16) c.row = &row;
  if (row.takes == kernels::GemmOperands::bf16) c.precision = ProductPrecision::bf16;
  if (row.takes == kernels::GemmOperands::fp16 && c.type == DType::fp32) c.type = DType::fp16;
  c.name += std::string(" on ") + row.name;
  check(c, test::amx_features().capped(row.isa));
  return true;
}

// One head, long enough to be cut into chunks: dK and dV are sums of theirs.
inline Case long_case(bool causal) {
  Case c;
  c.name = "a long sequence";
  c.batch = {1};
  c.queries = c.keys = 530;
  c.head_dim = 8;
  c.value_dim = 6;
  c.causal = causal;
  return c;
}

// Operands are rounded to bf16 where that is asked, whatever their type.
inline Case bf16_case() {
  Case c;
  c.name = "bf16 products";
  c.batch = {2};
  c.queries = c.keys = 50;
  c.head_dim = c.value_dim = 9;
  c.type = DType::fp16;
  c.precision = ProductPrecision::bf16;
  return c;
}

}  // namespace anemone::compute
