// The points of a sweep, one after the other.
#include "anemone/train/sweep_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "anemone/base/cpu_features.h"
#include "anemone/base/error.h"
#include "anemone/base/system_info.h"
#include "anemone/engine/engines.h"
#include "anemone/train/machine.h"
#include "anemone/train/trainer.h"

namespace anemone::train {
namespace {

constexpr std::int64_t kLeastSeq = 128, kMostSeq = 4096, kLeastDim = 256, kMostDim = 4096;
constexpr std::int64_t kMostSteps = 20;
constexpr double kSecondsAPoint = 3, kSecondsAQuickPoint = 1;
// Of a parameter: master weight, gradient, moments, and two packed copies.
constexpr double kBytesAParameter = 20;

nn::ModelConfig model_of(nn::ModelConfig model, const SweepSize& size) {
  model.dim = size.dim;
  model.hidden = size.hidden;
  model.heads = size.dim / size.head_dim;
  model.kv_heads = 0;
  model.head_dim = size.head_dim;
  model.seq = size.seq;
  model.resolve();
  return model;
}

// Why a point is not tried; empty if it is.
std::string no_room(const nn::ModelConfig& model) {
  const std::uint64_t available = memory_info().available_bytes;
  const double parameters =
      static_cast<double>(model.dim) * static_cast<double>(4 * model.dim + 3 * model.hidden + 2);
  // Generously: every tensor of a layer at once, in fp16.
  const double tensors =
      static_cast<double>(model.seq) * static_cast<double>(24 * model.dim + 8 * model.hidden) * 2;
  const double needed = kBytesAParameter * parameters + tensors;
  if (available == 0 || needed < 0.8 * static_cast<double>(available)) return {};
  return fmt::format("takes about {:.1f} GB, {:.1f} are available", needed / 1e9,
                     static_cast<double>(available) / 1e9);
}

bool is_same_row(const SweepSize& a, const SweepSize& b) {
  return a.axis == b.axis && a.head_dim == b.head_dim;
}

std::string describe(const SweepSize& a, const SweepSize& b) {
  const bool seq = a.axis == SweepSize::Axis::seq;
  return fmt::format("{} {} to {}, heads of {}", seq ? "seq" : "dim", seq ? a.seq : a.dim,
                     seq ? b.seq : b.dim, a.head_dim);
}

// The largest ratio of growth(a, b) over neighbours of a row.
template <class Growth>
SweepGrowth worst_growth(const std::vector<SweepPoint>& points, const Growth& growth) {
  SweepGrowth worst;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const SweepPoint &a = points[i - 1], &b = points[i];
    if (!is_same_row(a.size, b.size) || !a.skipped.empty() || !b.skipped.empty()) continue;
    const double now = growth(a, b);
    if (now > worst.worst) worst = {now, a.size, b.size, describe(a.size, b.size)};
  }
  return worst;
}

SweepPoint measure(const RunConfig& config, const SweepSize& size, const compute::Peak& peak,
                   bool quick) {
  SweepPoint point;
  point.size = size;
  RunConfig here = config;
  here.model = model_of(config.model, size);
  point.skipped = no_room(here.model);
  if (!point.skipped.empty()) return point;
  StepBenchOptions options;
  options.steps = kMostSteps;
  options.most_seconds = quick ? kSecondsAQuickPoint : kSecondsAPoint;
  options.updates = false;
  options.peak = &peak;
  try {
    const StepBench bench = bench_step(here, options);
    point.milliseconds = bench.ms_per_step;
    point.steps = bench.steps;
    point.gflop = bench.executed_flops / 1e9;
    point.share = bench.efficiency;
    point.tensors = bench.memory.tensors;
    point.beyond = bench.memory.beyond - bench.memory.forms;
    point.packed = bench.memory.packed + bench.memory.forms;
  } catch (const Error& error) {  // of memory, most likely
    point.skipped = error.what();
  }
  return point;
}

}  // namespace

std::vector<SweepSize> sweep_sizes(const nn::ModelConfig& model, bool quick) {
  using Axis = SweepSize::Axis;
  // The model's own width in proportion, in whole blocks of 64.
  const auto hidden_of = [&](std::int64_t dim) {
    return dim == model.dim ? model.hidden : (model.hidden * dim / model.dim + 63) / 64 * 64;
  };
  std::set<std::int64_t> seqs{model.seq}, dims{model.dim};
  const std::int64_t factor = quick ? 4 : 2;
  for (std::int64_t seq = kLeastSeq; seq <= (quick ? kMostSeq / 2 : kMostSeq); seq *= factor)
    seqs.insert(seq);
  for (std::int64_t dim = kLeastDim; dim <= (quick ? kMostDim / 4 : kMostDim); dim *= factor)
    dims.insert(dim);
  std::vector<SweepSize> sizes;
  for (const std::int64_t head_dim : {64, 128}) {
    const auto add = [&](Axis axis, std::int64_t seq, std::int64_t dim) {
      if (dim % head_dim == 0) sizes.push_back({axis, seq, dim, hidden_of(dim), head_dim});
    };
    for (const std::int64_t seq : seqs) add(Axis::seq, seq, model.dim);
    for (const std::int64_t dim : dims) add(Axis::dim, model.seq, dim);
  }
  return sizes;
}

SweepGrowth time_growth(const std::vector<SweepPoint>& points) {
  return worst_growth(points, [](const SweepPoint& a, const SweepPoint& b) {
    return (b.milliseconds / a.milliseconds) / (b.gflop / a.gflop);
  });
}

SweepGrowth memory_growth(const std::vector<SweepPoint>& points) {
  return worst_growth(points, [](const SweepPoint& a, const SweepPoint& b) {
    if (a.size.axis != SweepSize::Axis::seq) return 0.0;
    const double memory = static_cast<double>(b.tensors + b.beyond) /
                          static_cast<double>(std::max<std::size_t>(1, a.tensors + a.beyond));
    return memory / (static_cast<double>(b.size.seq) / static_cast<double>(a.size.seq));
  });
}

SweepBench bench_sweep(
    const RunConfig& config, bool quick,
    const std::function<void(const SweepSize&, std::size_t, std::size_t, double)>& progress) {
  SweepBench result;
  const auto engine = engine::make_engine(config.engine.name, engine_options(config.engine));
  compute::Peak peak;
  {
    std::unique_ptr<engine::Engine> owned;
    const int threads = static_cast<int>(config.engine.threads);
    const auto pool = threads_beside(host_engine_of(*engine, threads, owned), threads);
    result.threads = pool->threads();
    peak = compute::measure_peak(*pool);
  }
  result.engine = engine->name();
  result.partition = config.engine.partition.empty() ? engine->traits().default_partition
                                                     : config.engine.partition;
  result.precision = config.engine.precision;
  result.isa = best_isa();
  result.cpu = cpu_model_name();
  result.build = build_text();
  result.peak_tflops = usable_peak_flops(peak, config.engine.precision) / 1e12;
  const std::vector<SweepSize> sizes = sweep_sizes(config.model, quick);
  const auto work_of = [&](const SweepSize& size) {
    return nn::step_flops(model_of(config.model, size), /*causal=*/true).total();
  };
  double work = 0, done = 0;
  for (const SweepSize& size : sizes) work += work_of(size);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (progress) progress(sizes[i], i, sizes.size(), done / work);
    result.points.push_back(measure(config, sizes[i], peak, quick));
    done += work_of(sizes[i]);
  }
  result.time = time_growth(result.points);
  result.memory = memory_growth(result.points);
  return result;
}

}  // namespace anemone::train
