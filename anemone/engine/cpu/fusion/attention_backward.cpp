// The derivatives of attention as one step: probabilities are computed again, block by block, and
// neither they nor their gradients ever lie in memory. Runs before the forward pattern: where one
// program has both, each computes the probabilities for itself.
#include <algorithm>

#include "anemone/engine/cpu/fusion/attention_match.h"
#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/engine/cpu/fusion/patterns.h"
#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {
namespace {

// dK or dV as the program wants it: query heads that share keys are summed up behind the product.
struct Result {
  HeadTensor tensor;
  double factor = 1;
  std::vector<int> groups;
};

class Matcher {
 public:
  Matcher(const GroupGraph& graph, const SoftmaxGradient& gradient, int index)
      : graph_(graph), gradient_(gradient), members_{index} {}

  // Fills in parts and members; returns why it is no attention.
  std::string match() {
    softmax_ = graph_.producer(gradient_.p);
    const Probabilities found = match_probabilities(graph_, softmax_);
    if (!found.refusal.empty()) return found.refusal;
    parts_.backward = true;
    parts_.q = found.q.tensor;
    parts_.k = found.k.tensor;
    parts_.scale = found.scale;
    parts_.causal = found.causal;
    probability_groups_ = found.groups;
    for (const mil::Value value : {gradient_.product, gradient_.sum, gradient_.centered})
      members_.push_back(graph_.producer(value));
    for (auto step : {&Matcher::match_dp, &Matcher::match_readers_of_p, &Matcher::match_scores}) {
      std::string refusal = (this->*step)();
      if (!refusal.empty()) return refusal;
    }
    std::string refusal = set_sizes(graph_, gradient_.p, parts_);
    if (!refusal.empty()) return refusal;
    if (!sums_fit()) return "the sums of dK and dV are not over heads that share keys and values";
    std::vector<int> all = members_;
    if (!shared_) all.insert(all.end(), probability_groups_.begin(), probability_groups_.end());
    return graph_.joining_makes_cycle(all) ? "other operations stand in between" : "";
  }

  void join(GroupGraph& graph) const {
    const int index = members_.front();
    std::vector<int> members = members_;
    for (const int group : probability_groups_) {
      if (shared_) {
        graph.repeat_in(group, index);
      } else {
        members.push_back(group);
      }
    }
    join_attention(graph, index, members, parts_, fusion_attention_backward);
  }

 private:
  bool is_member(int group) const {
    return std::find(members_.begin(), members_.end(), group) != members_.end();
  }

  // dp = dOut Vᵀ, read by this gradient only.
  std::string match_dp() {
    for (const int reader : graph_.readers(gradient_.dp)) {
      if (!is_member(reader)) return "the gradient of the probabilities is wanted elsewhere, too";
    }
    if (graph_.is_output(gradient_.dp)) return "the gradient of the probabilities is an output";
    const Followed followed = follow_producers(graph_, gradient_.dp);
    const int producer = graph_.producer(followed.value);
    const auto product = match_score_product(graph_, producer);
    if (!product.has_value()) return "the gradient of the probabilities is no product";
    parts_.out = product->left.tensor;
    parts_.v = product->right.tensor;
    score_factor_ = followed.factor * product->left.factor * product->right.factor;
    add_members(followed.groups);
    members_.push_back(producer);
    return {};
  }

  // dV = Pᵀ dOut; beside it only a forward pass may read the probabilities.
  std::string match_readers_of_p() {
    if (graph_.is_output(gradient_.p)) return "the probabilities are an output";
    std::optional<HeadProduct> dv;
    for (const int reader : graph_.readers(gradient_.p)) {
      if (is_member(reader)) continue;
      auto product = match_sum_over_queries(graph_, reader, gradient_.p);
      if (product.has_value() && !dv.has_value() &&
          same_heads(graph_, product->operand.tensor, parts_.out)) {
        dv = product;
      } else if (match_sum_over_keys(graph_, reader, gradient_.p).has_value()) {
        shared_ = true;
      } else {
        return "the probabilities are wanted elsewhere, too";
      }
    }
    if (!dv.has_value()) return "there is no dV";
    const Result result = summed(*dv);
    parts_.dv = result.tensor;
    parts_.dv_scale = dv->operand.factor * result.factor;
    members_.push_back(dv->group);
    add_members(result.groups);
    return {};
  }

  // dQ and dK from the gradient of the scores.
  std::string match_scores() {
    const Followed scores = follow_readers(graph_, gradient_.result);
    add_members(scores.groups);
    score_factor_ *= scores.factor;
    std::optional<HeadProduct> dq, dk;
    const std::vector<int>& readers = graph_.readers(scores.value);
    for (const int reader : readers) {
      auto over_keys = match_sum_over_keys(graph_, reader, scores.value);
      auto over_queries = match_sum_over_queries(graph_, reader, scores.value);
      if (over_keys.has_value() && same_heads(graph_, over_keys->operand.tensor, parts_.k))
        dq = over_keys;
      if (over_queries.has_value() && same_heads(graph_, over_queries->operand.tensor, parts_.q))
        dk = over_queries;
    }
    if (!dq.has_value() || !dk.has_value() || readers.size() != 2 || graph_.is_output(scores.value))
      return "the gradient of the scores is read by other than dQ and dK";
    const Followed dq_result = follow_readers(graph_, dq->result.value);
    const Result dk_result = summed(*dk);
    parts_.dq = {dq_result.value, dq->result.features_first};
    parts_.dk = dk_result.tensor;
    parts_.dq_scale = score_factor_ * dq->operand.factor * dq_result.factor;
    parts_.dk_scale = score_factor_ * dk->operand.factor * dk_result.factor;
    members_.push_back(dq->group);
    members_.push_back(dk->group);
    add_members(dq_result.groups);
    add_members(dk_result.groups);
    return {};
  }

  // Through a sum over dimensions of the batch, if one follows.
  Result summed(const HeadProduct& product) const {
    Followed followed = follow_readers(graph_, product.result.value);
    Result result{
        {followed.value, product.result.features_first}, followed.factor, followed.groups};
    if (graph_.is_output(followed.value) || graph_.readers(followed.value).size() != 1)
      return result;
    const int reader = graph_.readers(followed.value).front();
    if (!sums_batch(reader)) return result;
    result.groups.push_back(reader);
    followed = follow_readers(graph_, graph_.group(reader).outputs.front());
    result.tensor.value = followed.value;
    result.factor *= followed.factor;
    result.groups.insert(result.groups.end(), followed.groups.begin(), followed.groups.end());
    return result;
  }

  bool sums_batch(int index) const {
    const mil::Operation* op = single_op(graph_, index);
    if (op == nullptr || op->kind != mil::OpKind::reduce_sum) return false;
    const mil::OpContext context(mil::op_def(op->kind), graph_.function(), *op);
    const int axes = context.def().find_param("axes"), rank = context.shape(0).rank();
    if (!context.has(axes) || !context.boolean(context.def().find_param("keep_dims")) ||
        !is_attention_type(graph_, op->results.front()))
      return false;
    for (const std::int64_t given : context.integers(axes)) {
      if (normalize_axis(given, rank).value_or(rank) >= rank - 2) return false;
    }
    return true;
  }

  // Along which dimensions dK and dV are sums: the same, and keys and values are repeated there.
  bool sums_fit() const {
    const auto dim = [&](const HeadTensor& tensor, int axis) -> std::int64_t {
      const Shape& shape = graph_.function().type(tensor.value).shape;
      const int own = axis - (parts_.batch.rank() + 2 - shape.rank());
      return own < 0 ? 1 : shape[own];
    };
    for (int axis = 0; axis < parts_.batch.rank(); ++axis) {
      if (parts_.batch[axis] == 1) continue;
      const bool dk = dim(parts_.dk, axis) == 1, dv = dim(parts_.dv, axis) == 1;
      if (dk != dv || dim(parts_.dq, axis) == 1) return false;
      if (dk && (dim(parts_.k, axis) != 1 || dim(parts_.v, axis) != 1)) return false;
    }
    return true;
  }

  void add_members(const std::vector<int>& groups) {
    members_.insert(members_.end(), groups.begin(), groups.end());
  }

  const GroupGraph& graph_;
  const SoftmaxGradient& gradient_;
  int softmax_ = -1;
  std::vector<int> members_;             // the gradient's last group first
  std::vector<int> probability_groups_;  // members, or repeated
  bool shared_ = false;                  // a forward pass reads the probabilities, too
  double score_factor_ = 1;
  AttentionParts parts_;
};

void fuse_attention_backward(GroupGraph& graph) {
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    const int index = static_cast<int>(i);
    const auto gradient = match_softmax_gradient(graph, index);
    if (!gradient.has_value() || !is_row_softmax(graph, graph.producer(gradient->p))) continue;
    Matcher matcher(graph, *gradient, index);
    const std::string refusal = matcher.match();
    if (refusal.empty()) {
      matcher.join(graph);
    } else {
      graph.group(index).refusals.push_back("attention_backward: " + refusal);
    }
  }
}

}  // namespace

const Fusion fusion_attention_backward = {"attention_backward", fuse_attention_backward,
                                          kAttentionAlternatives};

}  // namespace anemone::cpu
