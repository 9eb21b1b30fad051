// The table of reduction kernels.
#include "anemone/kernels/reduce/reduce.h"

namespace anemone::kernels {

#define REDUCE(isa)              \
  ReduceSlotFn reduce_##isa;     \
  AccumulateFn accumulate_##isa; \
  ExpSumFn exp_sum_##isa;        \
  ScaleFn scale_##isa;
#include "anemone/kernels/reduce/reduce.inc"
#undef REDUCE

KernelTable<ReduceKernel> reduce_kernels() {
#define REDUCE(isa) {Isa::isa, #isa, reduce_##isa, accumulate_##isa, exp_sum_##isa, scale_##isa},
  static constexpr ReduceKernel kRows[] = {
#include "anemone/kernels/reduce/reduce.inc"
  };
#undef REDUCE
  return {kRows, static_cast<int>(sizeof(kRows) / sizeof(kRows[0]))};
}

}  // namespace anemone::kernels
