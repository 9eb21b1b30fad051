// What the host does in a language model's step with the ids of a sample's tokens (nn::HostOp):
// looking embeddings up, picking the targets' logits, the loss, and the gradients at the places
// that ids name. Results are bitwise the same for any number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "anemone/compute/copy.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/engine/surface.h"
#include "anemone/nn/step_graph.h"
#include "anemone/train/gradient_block.h"

namespace anemone::train {

class TokenOps {
 public:
  // A tensor of the step; without a surface it is not wanted by any call.
  struct Tensor {
    engine::Surface* surface = nullptr;
    engine::Port port;
  };
  struct Op {
    nn::HostOp::Kind kind{};
    Tensor tensor, log_sum, weight;
    std::int64_t first_row = 0;
    std::span<const float> values;  // embed: the parameter, [vocab, dim]
    std::span<float> gradient;      // embedding_gradient: its gradient, at home
  };

  TokenOps(compute::ThreadPool& pool, const GradientBlock& gradients)
      : pool_(pool), gradients_(gradients) {}
  int add(const Op& op);  // returns its number

  // A sample's seq + 1 tokens; Sample::kNoToken where there is none, which neither predicts nor is
  // predicted.
  void begin(std::span<const std::uint32_t> tokens, double loss_scale);
  void run(int op);  // allocates nothing

  double loss() const { return loss_; }              // the mean over the targets that count
  std::int64_t targets() const { return counted_; }  // that count
  // Has all that was added to gradients since begin() been finite?
  bool finite() const { return finite_.load(std::memory_order_relaxed); }

 private:
  struct Prepared {
    Op op;
    compute::CopyPlan copy;  // between the tensor and rows_
  };
  void embed(const Prepared& prepared);
  void pick_targets(const Op& op);
  void join_loss(const Op& op);
  void subtract_targets(const Op& op);
  void embedding_gradient(const Prepared& prepared);

  std::size_t positions() const { return targets_.size(); }
  double weight_of(std::size_t position) const;  // of its target in the gradient of the scaled loss
  template <class Value>
  void write(const Tensor& tensor, const Value& value_at);

  compute::ThreadPool& pool_;
  const GradientBlock& gradients_;
  std::vector<Prepared> ops_;
  std::vector<float> rows_;  // [positions, dim]
  std::vector<std::uint32_t> inputs_, targets_;
  std::vector<double> logits_, log_sums_;  // of the targets; over the parts picked so far
  double loss_scale_ = 1, loss_ = 0;
  std::int64_t counted_ = 0;
  std::atomic<bool> finite_{true};
};

}  // namespace anemone::train
