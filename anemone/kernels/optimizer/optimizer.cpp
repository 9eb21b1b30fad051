// The table of optimizer kernels.
#include "anemone/kernels/optimizer/optimizer.h"

namespace anemone::kernels {

#define OPTIMIZER(isa) \
  AdamFn adam_##isa;   \
  GradientFn summarize_gradient_##isa;
#include "anemone/kernels/optimizer/optimizer.inc"
#undef OPTIMIZER

KernelTable<OptimizerKernel> optimizer_kernels() {
#define OPTIMIZER(isa) {Isa::isa, #isa, adam_##isa, summarize_gradient_##isa},
  static constexpr OptimizerKernel kRows[] = {
#include "anemone/kernels/optimizer/optimizer.inc"
  };
#undef OPTIMIZER
  return {kRows, static_cast<int>(sizeof(kRows) / sizeof(kRows[0]))};
}

}  // namespace anemone::kernels
