// The host operations of a language model's step (nn::HostOp) in double or complex arithmetic, as
// plainly as their definitions: part of the step evaluator.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/mil/evaluate.h"
#include "anemone/nn/step_graph.h"

namespace anemone::test {

template <class T>
class HostOperations {
 public:
  // `tokens`: seq + 1 ids; negative: a target that does not count. Tensors, gradients and
  // parameters are those of the step; all outlive this.
  HostOperations(const nn::StepGraph& graph, const std::vector<T>& tokens, double loss_scale,
                 const mil::TensorMap<T>& parameters, mil::TensorMap<T>& tensors,
                 mil::TensorMap<T>& gradients)
      : graph_(graph),
        loss_scale_(loss_scale),
        parameters_(parameters),
        tensors_(tensors),
        gradients_(gradients) {
    for (const T& token : tokens) tokens_.push_back(static_cast<std::int64_t>(std::real(token)));
    positions_ = tokens_.empty() ? 0 : tokens_.size() - 1;
    picked_.resize(positions_);
  }

  void run_before(std::size_t call) {
    for (const nn::HostOp& op : graph_.host_ops) {
      if (static_cast<std::size_t>(op.before_call) == call) run(op);
    }
  }

 private:
  void run(const nn::HostOp& op) {
    using Kind = nn::HostOp::Kind;
    switch (op.kind) {
      case Kind::embed:
        return embed(op);
      case Kind::pick_targets:
        return pick_targets(op);
      case Kind::join_loss:
        return join_loss(op);
      case Kind::subtract_targets:
        return subtract_targets(op);
      case Kind::embedding_gradient:
        return embedding_gradient(op);
    }
  }

  std::size_t target_row(const nn::HostOp& op, std::size_t s) const {
    return static_cast<std::size_t>(tokens_[s + 1] - op.first_row);
  }
  bool has_target(const nn::HostOp& op, const std::vector<T>& part, std::size_t s) const {
    const auto rows = static_cast<std::int64_t>(part.size() / positions_);
    return tokens_[s + 1] >= op.first_row && tokens_[s + 1] < op.first_row + rows;
  }

  void embed(const nn::HostOp& op) {
    const std::vector<T>& table = parameters_.at(op.parameter);
    const std::size_t dim = columns(op.parameter);
    std::vector<T>& out = tensors_[op.tensor];
    out.resize(dim * positions_);
    for (std::size_t s = 0; s < positions_; ++s) {
      for (std::size_t c = 0; c < dim; ++c)
        out[c * positions_ + s] = table[static_cast<std::size_t>(tokens_[s]) * dim + c];
    }
  }

  void pick_targets(const nn::HostOp& op) {
    const std::vector<T>& logits = tensors_.at(op.tensor);
    for (std::size_t s = 0; s < positions_; ++s) {
      if (has_target(op, logits, s)) picked_[s] = logits[target_row(op, s) * positions_ + s];
    }
    part_sums_.push_back(tensors_.at(op.log_sum));
  }

  void join_loss(const nn::HostOp& op) {
    const auto counts = [&](std::size_t s) { return tokens_[s + 1] >= 0; };
    double count = 0;
    for (std::size_t s = 0; s < positions_; ++s) count += counts(s) ? 1 : 0;
    std::vector<T>&log_sum = tensors_[op.log_sum], &weight = tensors_[op.weight];
    log_sum.assign(positions_, T(0));
    weight.assign(positions_, T(0));
    T loss = 0;
    for (std::size_t s = 0; s < positions_; ++s) {
      T largest = part_sums_.front()[s], sum = 0;
      for (const auto& part : part_sums_) {
        if (std::real(part[s]) > std::real(largest)) largest = part[s];
      }
      for (const auto& part : part_sums_) sum += std::exp(part[s] - largest);
      log_sum[s] = largest + std::log(sum);
      if (!counts(s)) continue;
      weight[s] = loss_scale_ / count;
      loss += (log_sum[s] - picked_[s]) / count;
    }
    tensors_["loss"] = {loss};
  }

  void subtract_targets(const nn::HostOp& op) {
    std::vector<T>& part = tensors_.at(op.tensor);
    const std::vector<T>&log_sum = tensors_.at(op.log_sum), &weight = tensors_.at(op.weight);
    for (std::size_t s = 0; s < positions_; ++s) {
      if (!has_target(op, part, s)) continue;
      part[target_row(op, s) * positions_ + s] =
          weight[s] * (std::exp(picked_[s] - log_sum[s]) - 1.0);
    }
  }

  void embedding_gradient(const nn::HostOp& op) {
    const std::size_t dim = columns(op.parameter);
    const std::vector<T>& dx = tensors_.at(op.tensor);
    std::vector<T>& gradient = gradients_.at(op.parameter);
    for (std::size_t s = 0; s < positions_; ++s) {
      for (std::size_t c = 0; c < dim; ++c)
        gradient[static_cast<std::size_t>(tokens_[s]) * dim + c] += dx[c * positions_ + s];
    }
  }

  std::size_t columns(const std::string& parameter) const {
    for (const nn::ParameterSpec& spec : graph_.parameters) {
      if (spec.name == parameter) return static_cast<std::size_t>(spec.shape[1]);
    }
    ANEMONE_CHECK(false, "a host operation on an unknown parameter");
    return 0;
  }

  const nn::StepGraph& graph_;
  double loss_scale_;
  const mil::TensorMap<T>& parameters_;
  mil::TensorMap<T>&tensors_, &gradients_;
  std::vector<std::int64_t> tokens_;
  std::size_t positions_ = 0;
  std::vector<T> picked_;                  // the targets' logits
  std::vector<std::vector<T>> part_sums_;  // of the parts so far
};

}  // namespace anemone::test
