// The table of attention kernels.
#include "anemone/kernels/attention/attention.h"

namespace anemone::kernels {

#define ATTENTION(isa)                  \
  ScoreMaxFn score_max_##isa;           \
  ScoreExpFn score_exp_##isa;           \
  ScoreDotFn score_dot_##isa;           \
  ScoreGradientFn score_gradient_##isa; \
  ScoreScaleFn score_scale_##isa;
#include "anemone/kernels/attention/attention.inc"
#undef ATTENTION

KernelTable<AttentionKernel> attention_kernels() {
#define ATTENTION(isa)                        \
  {                                           \
      Isa::isa,         #isa,                 \
      score_max_##isa,  score_exp_##isa,      \
      score_dot_##isa,  score_gradient_##isa, \
      score_scale_##isa},
  static constexpr AttentionKernel kRows[] = {
#include "anemone/kernels/attention/attention.inc"
  };
#undef ATTENTION
  return {kRows, static_cast<int>(sizeof(kRows) / sizeof(kRows[0]))};
}

}  // namespace anemone::kernels
