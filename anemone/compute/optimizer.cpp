// The optimizer's passes over threads. Parts are cut by size alone, so results are the same for any
// number of threads.
#include "anemone/compute/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "anemone/base/error.h"
#include "anemone/compute/slots.h"
#include "anemone/kernels/reduce/reduce.h"

namespace anemone::compute {
namespace {

constexpr std::int64_t kOptimizerTaskElements = 16 * 1024;
constexpr std::int64_t kMaxParts = 256;

}  // namespace

void adam_update(ThreadPool& pool, const AdamOptions& options, std::span<float> weights,
                 std::span<float> m, std::span<float> v, std::span<const float> gradient,
                 const CpuFeatures& features) {
  const std::size_t size = weights.size();
  ANEMONE_CHECK(m.size() == size && v.size() == size && gradient.size() == size,
                "Adam needs moments and a gradient as long as the weights");
  ANEMONE_CHECK(options.t >= 1, "Adam counts its steps from 1");
  const double lr = options.learning_rate, decay = options.weight_decay;
  const double beta1 = options.beta1, beta2 = options.beta2;
  const auto t = static_cast<double>(options.t);
  kernels::AdamArgs all;
  all.gradient_scale = options.gradient_scale;
  all.coupled_decay = options.decoupled_decay ? 0.0f : options.weight_decay;
  all.decoupled_decay = options.decoupled_decay ? static_cast<float>(lr * decay) : 0.0f;
  all.beta1 = options.beta1;
  all.one_minus_beta1 = static_cast<float>(1 - beta1);
  all.beta2 = options.beta2;
  all.one_minus_beta2 = static_cast<float>(1 - beta2);
  all.step = static_cast<float>(lr / (1 - std::pow(beta1, t)));
  all.v_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, t)));
  all.epsilon = options.epsilon;
  const kernels::OptimizerKernel& kernel = kernels::pick_optimizer(features);
  const auto n = static_cast<std::int64_t>(size);
  pool.run(static_cast<int>(divide_up(n, kOptimizerTaskElements)), [&](int task, int) {
    const std::int64_t begin = task * kOptimizerTaskElements;
    kernels::AdamArgs args = all;
    args.weights = weights.data() + begin;
    args.m = m.data() + begin;
    args.v = v.data() + begin;
    args.gradient = gradient.data() + begin;
    args.n = std::min(kOptimizerTaskElements, n - begin);
    kernel.adam(args);
  });
}

GradientSummary summarize_gradient(ThreadPool& pool, std::span<const float> gradient,
                                   const CpuFeatures& features) {
  const auto n = static_cast<std::int64_t>(gradient.size());
  const std::int64_t part_elements = std::max(kOptimizerTaskElements, divide_up(n, kMaxParts));
  const std::int64_t parts = divide_up(n, part_elements);
  kernels::GradientPart results[kMaxParts];
  const kernels::OptimizerKernel& kernel = kernels::pick_optimizer(features);
  pool.run(static_cast<int>(parts), [&](int part, int) {
    const std::int64_t begin = part * part_elements;
    results[part] = kernel.summarize(gradient.data() + begin, std::min(part_elements, n - begin));
  });
  GradientSummary summary;
  for (std::int64_t part = 0; part < parts; ++part) {
    summary.sum_of_squares += results[part].sum_of_squares;
    summary.finite = summary.finite && results[part].finite;
    summary.zero = summary.zero && results[part].zero;
  }
  return summary;
}

void fill_zero(ThreadPool& pool, std::span<float> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  pool.run(static_cast<int>(divide_up(n, 4 * kOptimizerTaskElements)), [&](int task, int) {
    const std::int64_t begin = task * 4 * kOptimizerTaskElements;
    std::memset(
        values.data() + begin, 0,
        static_cast<std::size_t>(std::min(4 * kOptimizerTaskElements, n - begin)) * sizeof(float));
  });
}

void add_in_order(ThreadPool& pool, std::span<float> sum,
                  std::span<const std::span<const float>> parts, const CpuFeatures& features) {
  const auto n = static_cast<std::int64_t>(sum.size());
  for (const std::span<const float> part : parts)
    ANEMONE_CHECK(part.size() == sum.size(), "the parts of a sum have its size");
  const kernels::ReduceKernel& kernel = kernels::pick_reduce(features);
  pool.run(static_cast<int>(divide_up(n, kOptimizerTaskElements)), [&](int task, int) {
    const std::int64_t begin = task * kOptimizerTaskElements;
    const std::int64_t end = std::min(n, begin + kOptimizerTaskElements);
    const std::int64_t whole =
        begin + (end - begin) / kernels::kSlotMultiple * kernels::kSlotMultiple;
    for (const std::span<const float> part : parts) {
      kernel.accumulate(kernels::ReduceOp::sum, sum.data() + begin, part.data() + begin,
                        whole - begin);
      for (std::int64_t i = whole; i < end; ++i)
        sum[static_cast<std::size_t>(i)] += part[static_cast<std::size_t>(i)];
    }
  });
}

}  // namespace anemone::compute
