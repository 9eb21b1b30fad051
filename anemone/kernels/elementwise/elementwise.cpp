// The table of elementwise kernels, and facts about the operations.
#include "anemone/kernels/elementwise/elementwise.h"

namespace anemone::kernels {

#define ELEMENTWISE(isa) ElementwiseFn elementwise_##isa;
#include "anemone/kernels/elementwise/elementwise.inc"
#undef ELEMENTWISE

KernelTable<ElementwiseKernel> elementwise_kernels() {
#define ELEMENTWISE(isa) {Isa::isa, #isa, elementwise_##isa},
  static constexpr ElementwiseKernel kRows[] = {
#include "anemone/kernels/elementwise/elementwise.inc"
  };
#undef ELEMENTWISE
  return {kRows, static_cast<int>(sizeof(kRows) / sizeof(kRows[0]))};
}

const char* elementwise_op_name(ElementwiseOp op) {
  switch (op) {
#define ANEMONE_CASE(name, sources) \
  case ElementwiseOp::name:         \
    return #name;
    ANEMONE_ELEMENTWISE_OPS(ANEMONE_CASE)
#undef ANEMONE_CASE
  }
  return "?";
}

int elementwise_op_sources(ElementwiseOp op) {
  switch (op) {
#define ANEMONE_CASE(name, sources) \
  case ElementwiseOp::name:         \
    return sources;
    ANEMONE_ELEMENTWISE_OPS(ANEMONE_CASE)
#undef ANEMONE_CASE
  }
  return 0;
}

}  // namespace anemone::kernels
