// Causal attention, forward and backward, with heads of 64 features as in the default layer, for
// every kernel of the table of products that this machine can run, on one thread.
#include "anemone/compute/attention.h"

#include <benchmark/benchmark.h>

namespace {

using namespace anemone;

constexpr std::int64_t kHeads = 2, kFeatures = 64;

AlignedBuffer halves(std::int64_t elements) {
  AlignedBuffer buffer(static_cast<std::size_t>(elements) * sizeof(f16));
  auto* values = reinterpret_cast<f16*>(buffer.data());
  for (std::int64_t i = 0; i < elements; ++i)
    values[i] = f16_from_float(static_cast<float>(i * 2654435761 % 1024) / 512.0f - 1);
  return buffer;
}

compute::AttentionBackwardSpec make_spec(std::int64_t length, const kernels::GemmKernel& row) {
  compute::AttentionTensor tensor;
  tensor.type = DType::fp16;
  tensor.position_stride = 1;
  tensor.feature_stride = length;
  tensor.batch[0] = kFeatures * length;
  compute::AttentionBackwardSpec spec;
  compute::AttentionSpec& forward = spec.forward;
  forward.batch = {kHeads};
  forward.queries = forward.keys = length;
  forward.head_dim = forward.value_dim = kFeatures;
  forward.scale = 0.125f;
  forward.causal = true;
  forward.q = forward.k = forward.v = forward.out = spec.dq = spec.dk = spec.dv = tensor;
  if (row.takes == kernels::GemmOperands::bf16) forward.precision = compute::ProductPrecision::bf16;
  return spec;
}

// The arguments: row of the table of products, length, backward.
void attention(benchmark::State& state) {
  const kernels::GemmKernel& row = kernels::gemm_kernels().rows[state.range(0)];
  const std::int64_t length = state.range(1);
  const bool backward = state.range(2) != 0;
  state.SetLabel(row.name);
  if (!cpu_features().has(row.isa)) {
    state.SkipWithError("not on this machine");
    return;
  }
  const compute::AttentionBackwardSpec spec = make_spec(length, row);
  const CpuFeatures features = cpu_features().capped(row.isa);
  const compute::AttentionPlan plan = backward ? compute::plan_attention_backward(spec, features)
                                               : compute::plan_attention(spec.forward, features);
  compute::ThreadPool pool(1);
  const std::int64_t elements = kHeads * kFeatures * length;
  const AlignedBuffer q = halves(elements), k = halves(elements), v = halves(elements),
                      dout = halves(elements);
  AlignedBuffer out = halves(elements), dq = halves(elements), dk = halves(elements),
                dv = halves(elements), workspace(plan.workspace_bytes(1));
  const compute::AttentionArgs args{q.data(),    k.data(),  v.data(),  out.data(),
                                    dout.data(), dq.data(), dk.data(), dv.data()};
  for (auto iteration : state) compute::run(pool, plan, {workspace.data(), workspace.size()}, args);
  state.counters["FLOP/s"] = benchmark::Counter(plan.flops() - plan.skipped_flops(),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void every_row(benchmark::internal::Benchmark* bench) {
  for (int row = 0; row < kernels::gemm_kernels().count; ++row) {
    for (const int backward : {0, 1}) {
      for (const int length : {128, 512, 2048}) bench->Args({row, length, backward});
    }
  }
}

BENCHMARK(attention)
    ->Apply(every_row)
    ->ArgNames({"row", "length", "backward"})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
