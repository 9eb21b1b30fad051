// The calls to choose from for each operation, best first; lower.inc names them. What none of them
// takes is evaluated by its reference meaning (reference.cpp).
#pragma once

#include <span>
#include <string>

#include "anemone/engine/cpu/lower/op_table.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {

extern const std::span<const Alternative> kElementwiseAlternatives;
extern const std::span<const Alternative> kConvAlternatives;
extern const std::span<const Alternative> kMatmulAlternatives;
extern const std::span<const Alternative> kSoftmaxAlternatives;
extern const std::span<const Alternative> kAttentionAlternatives;  // of groups of its fusions
extern const std::span<const Alternative> kReductionAlternatives;  // of groups of its fusion
extern const std::span<const Alternative> kReduceSumAlternatives;
extern const std::span<const Alternative> kReduceMeanAlternatives;
extern const std::span<const Alternative> kReduceMaxAlternatives;
extern const std::span<const Alternative> kLogSumExpAlternatives;

// Whether a product can take factors, a cast and a sum at its end, wherever its operands lie.
bool conv_folds(const mil::OpContext& op);
bool matmul_folds(const mil::OpContext& op);

// The last alternative of every operation; never refuses.
extern const Alternative kReferenceAlternative;

}  // namespace anemone::cpu
