// Which additions hide the keys behind each query.
#pragma once

#include "anemone/engine/cpu/group_graph.h"

namespace anemone::cpu {

// scores + mask, with a constant mask of [query, key]; not valid: the addition does no such thing.
struct MaskedScores {
  mil::Value scores, mask;
  bool valid() const { return scores.valid(); }
};

// A mask counts as causal if it is 0 on and below the diagonal and at most -10^4 above: added to
// scores of a trained model's size, that leaves a probability of exactly 0 in fp16 and fp32.
MaskedScores causal_scores(const GroupGraph& graph, const mil::Operation& addition);

}  // namespace anemone::cpu
