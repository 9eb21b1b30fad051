// The table of peak kernels.
#include "anemone/kernels/peak/peak.h"

namespace anemone::kernels {

#define PEAK(isa, type, flops) PeakFn peak_##isa;
#include "anemone/kernels/peak/peak.inc"
#undef PEAK

KernelTable<PeakKernel> peak_kernels() {
#define PEAK(isa, type, flops) {Isa::isa, #isa, DType::type, flops, peak_##isa},
  static constexpr PeakKernel kRows[] = {
#include "anemone/kernels/peak/peak.inc"
  };
#undef PEAK
  return {kRows, static_cast<int>(sizeof(kRows) / sizeof(kRows[0]))};
}

}  // namespace anemone::kernels
