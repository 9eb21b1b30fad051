// softmax(scale · Q Kᵀ + mask) V as one step: the scores never lie in memory, a causal mask is
// neither stored nor added.
#include "anemone/engine/cpu/fusion/attention_match.h"
#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/engine/cpu/lower/lowerings.h"

namespace anemone::cpu {
namespace {

// Fuses with the product that reads the probabilities, perhaps behind a cast; returns why not.
std::string fuse_at(GroupGraph& graph, int softmax, const Followed& weights,
                    const HeadProduct& mixed) {
  const mil::Value probabilities = graph.group(softmax).outputs.front();
  const Probabilities found = match_probabilities(graph, softmax);
  if (!found.refusal.empty()) return found.refusal;
  if (!graph.only_reader(weights.value, mixed.group))
    return "the probabilities are wanted elsewhere, too";

  const Followed result = follow_readers(graph, mixed.result.value);
  AttentionParts parts;
  parts.q = found.q.tensor;
  parts.k = found.k.tensor;
  parts.v = mixed.operand.tensor;
  parts.out = {result.value, mixed.result.features_first};
  parts.scale = found.scale;
  parts.out_scale = weights.factor * mixed.operand.factor * result.factor;
  parts.causal = found.causal;
  std::string refusal = set_sizes(graph, probabilities, parts);
  if (!refusal.empty()) return refusal;
  const Shape& out = graph.function().type(result.value).shape;
  if (Shape(out.dims().first(static_cast<std::size_t>(out.rank() - 2))) != parts.batch)
    return "the same probabilities weigh several values";
  // Keys and values are then read once, as they lie.
  if (parts.queries == 1) return "one query is faster as two products with vectors";

  std::vector<int> members = found.groups;
  members.insert(members.end(), weights.groups.begin(), weights.groups.end());
  members.push_back(mixed.group);
  members.insert(members.end(), result.groups.begin(), result.groups.end());
  if (graph.joining_makes_cycle(members)) return "other operations stand in between";
  join_attention(graph, members.back(), members, parts, fusion_attention);
  return {};
}

void fuse_attention(GroupGraph& graph) {
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    const int index = static_cast<int>(i);
    if (!is_row_softmax(graph, index)) continue;
    const Followed weights = follow_readers(graph, graph.group(index).outputs.front());
    const std::vector<int> readers = graph.readers(weights.value);
    for (const int reader : readers) {
      const auto mixed = match_sum_over_keys(graph, reader, weights.value);
      if (!mixed.has_value()) continue;
      const std::string refusal = fuse_at(graph, index, weights, *mixed);
      if (!refusal.empty()) graph.group(index).refusals.push_back("attention: " + refusal);
      break;
    }
  }
}

}  // namespace

const Fusion fusion_attention = {"attention", fuse_attention, kAttentionAlternatives};

}  // namespace anemone::cpu
