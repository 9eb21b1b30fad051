// Products of a matrix and one vector: what generation of text is made of. Every element of the
// matrix is used once, so memory is the limit; a kernel only has to keep up with it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/dtype.h"
#include "anemone/kernels/table.h"

namespace anemone::kernels {

// y[l] = Σ_p matrix(l, p) · x[p] for l < lanes, summed in fp32 in an order that depends on depth
// and on lanes only.
struct GemvArgs {
  DType type = DType::fp32;  // of the matrix: fp16, bf16, fp32
  const void* matrix = nullptr;
  std::ptrdiff_t stride = 0;  // elements: by columns from depth to depth, by rows from lane to lane
  const float* x = nullptr;
  std::ptrdiff_t depth = 0;
  float* y = nullptr;  // room for lanes, rounded up to kSlotMultiple
  std::ptrdiff_t lanes = 0;
};
using GemvFn = void(const GemvArgs& args) noexcept;

struct GemvKernel {
  Isa isa;
  const char* name;
  GemvFn* by_columns;  // lanes are neighbours in memory
  GemvFn* by_rows;     // depths are neighbours in memory
};

// Lanes of a panel of a packed matrix, whatever the instruction set: a depth is a cache line of
// fp16. Lanes beyond the matrix are zero.
constexpr int kGemvPanel = 32;

KernelTable<GemvKernel> gemv_kernels();
inline const GemvKernel& pick_gemv(const CpuFeatures& features) {
  return gemv_kernels().pick(features);
}

}  // namespace anemone::kernels
