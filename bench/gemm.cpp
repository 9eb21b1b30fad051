// Matrix products in the sizes of the default layer, W[m,k] · X[k,n] with constant weights, for
// every kernel of the table that this machine can run, on all threads.
#include "anemone/compute/gemm.h"

#include <benchmark/benchmark.h>

namespace {

using namespace anemone;

AlignedBuffer half_ones(std::int64_t elements) {
  AlignedBuffer buffer(static_cast<std::size_t>(elements) * sizeof(f16));
  auto* values = reinterpret_cast<f16*>(buffer.data());
  for (std::int64_t i = 0; i < elements; ++i) values[i] = f16_from_float(1);
  return buffer;
}

// The arguments: row of the kernel table, m, k, n.
void product(benchmark::State& state) {
  const kernels::GemmKernel& row = kernels::gemm_kernels().rows[state.range(0)];
  const std::int64_t m = state.range(1), k = state.range(2), n = state.range(3);
  state.SetLabel(row.name);
  if (!cpu_features().has(row.isa)) {
    state.SkipWithError("not on this machine");
    return;
  }

  compute::GemmSpec spec;
  spec.m = m, spec.n = n, spec.k = k;
  spec.a = compute::GemmOperand::constant_of(DType::fp16);
  spec.b = compute::GemmOperand::rows(DType::fp16, n);
  spec.c = compute::GemmOperand::rows(DType::fp16, n);
  spec.precision = row.takes == kernels::GemmOperands::bf16 ? compute::ProductPrecision::bf16
                                                            : compute::ProductPrecision::full;
  const compute::GemmPlan plan = compute::plan_gemm(spec, cpu_features().capped(row.isa));

  compute::ThreadPool pool;
  const AlignedBuffer weights = half_ones(m * k), x = half_ones(k * n);
  AlignedBuffer c = half_ones(m * n), workspace(plan.workspace_bytes(pool.threads()));
  compute::PackedMatrix packed(plan, compute::GemmSide::a);
  packed.pack(pool, {weights.data(), DType::fp16, k, 1});
  const compute::GemmArgs args{nullptr, x.data(), c.data(), nullptr, &packed, nullptr};
  for (auto iteration : state) {
    compute::run(pool, plan, {workspace.data(), workspace.size()}, args);
  }
  state.counters["FLOP/s"] =
      benchmark::Counter(plan.flops(), benchmark::Counter::kIsIterationInvariantRate);
}

void every_row(benchmark::internal::Benchmark* bench) {
  const std::int64_t shapes[][3] = {{768, 768, 512}, {2048, 768, 512}, {768, 2048, 512}};
  for (int row = 0; row < kernels::gemm_kernels().count; ++row) {
    for (const auto& shape : shapes) bench->Args({row, shape[0], shape[1], shape[2]});
  }
}

BENCHMARK(product)
    ->Apply(every_row)
    ->ArgNames({"row", "m", "k", "n"})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
