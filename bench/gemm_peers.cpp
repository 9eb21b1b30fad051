// The products of gemm.cpp by other libraries, where their headers were found: OpenBLAS (fp32) and
// oneDNN (fp32 and bf16, weights in the layout it asks for), on OpenMP's threads.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <vector>

#if defined(ANEMONE_HAS_CBLAS)
#include <cblas.h>
#endif
#if defined(ANEMONE_HAS_DNNL)
#include <dnnl.hpp>
#endif

namespace {

// The arguments: m, k, n.
struct Sizes {
  explicit Sizes(const benchmark::State& state)
      : m(state.range(0)), k(state.range(1)), n(state.range(2)) {}
  std::int64_t m, k, n;
  void count(benchmark::State& state) const {
    state.counters["FLOP/s"] =
        benchmark::Counter(2.0 * static_cast<double>(m) * static_cast<double>(k * n),
                           benchmark::Counter::kIsIterationInvariantRate);
  }
};

void layer_shapes(benchmark::internal::Benchmark* bench) {
  const std::int64_t shapes[][3] = {{768, 768, 512}, {2048, 768, 512}, {768, 2048, 512}};
  for (const auto& shape : shapes) bench->Args({shape[0], shape[1], shape[2]});
  bench->ArgNames({"m", "k", "n"})->UseRealTime()->Unit(benchmark::kMicrosecond);
}

#if defined(ANEMONE_HAS_CBLAS)
void openblas_fp32(benchmark::State& state) {
  const Sizes s(state);
  std::vector<float> w(static_cast<std::size_t>(s.m * s.k), 1),
      x(static_cast<std::size_t>(s.k * s.n), 1), y(static_cast<std::size_t>(s.m * s.n));
  const int m = static_cast<int>(s.m), k = static_cast<int>(s.k), n = static_cast<int>(s.n);
  for (auto iteration : state) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, w.data(), k, x.data(), n, 0,
                y.data(), n);
  }
  s.count(state);
}
BENCHMARK(openblas_fp32)->Apply(layer_shapes);
#endif

#if defined(ANEMONE_HAS_DNNL)
template <dnnl::memory::data_type type>
void onednn(benchmark::State& state) {
  using dnnl::memory;
  const Sizes s(state);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  // oneDNN packs the second operand: the transposed product, whose second operand is the weights.
  const memory::desc weights({s.k, s.m}, type, memory::format_tag::any);
  const memory::desc xt({s.n, s.k}, type, memory::format_tag::ab);
  const memory::desc yt({s.n, s.m}, type, memory::format_tag::ab);
  const dnnl::matmul::primitive_desc plan(dnnl::matmul::desc(xt, weights, yt), engine);
  const dnnl::matmul product(plan);
  memory a(plan.src_desc(), engine), b(plan.weights_desc(), engine), c(plan.dst_desc(), engine);
  // Zeros: numbers that are not set may be subnormal, which costs time.
  for (const memory& operand : {a, b})
    std::memset(operand.get_data_handle(), 0, operand.get_desc().get_size());
  for (auto iteration : state) {
    product.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream.wait();
  }
  s.count(state);
}
BENCHMARK_TEMPLATE(onednn, dnnl::memory::data_type::f32)->Apply(layer_shapes);
BENCHMARK_TEMPLATE(onednn, dnnl::memory::data_type::bf16)->Apply(layer_shapes);
#endif

}  // namespace
