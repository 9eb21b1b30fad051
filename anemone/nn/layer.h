// A transformer layer as kernels: which MIL functions, in which order, wired how, and which weight
// gradients the host must compute. Everything here follows from a ModelConfig and the name of a
// partition.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "anemone/nn/model_config.h"
#include "anemone/nn/step_graph.h"

namespace anemone::nn {

// Partitions: rows of a table, so that a new one is one row.
struct Partition {
  std::string_view name;
  std::string_view summary;
};
std::span<const Partition> partitions();  // "six", "merged", "dynamic"

// One layer with a mean-squared-error loss. Throws Error for an unknown partition, a bad config, or
// a packed shape that breaks a limit.
StepGraph layer_step(const ModelConfig& config, std::string_view partition);

// The layers' kernels without glue, for export and tests, in the order of the design's table, layer
// by layer.
std::vector<Kernel> layer_kernels(const ModelConfig& config, std::string_view partition);

// FLOPs of a step, 2 per multiply-add, by part. `causal` counts only the lower triangle of the S x
// S products. A language model's classifier is a linear layer; looking up its embedding is no work.
struct StepFlops {
  double forward = 0;             // linear layers and attention's two products
  double dx = 0;                  // backward through the linear layers
  double dw = 0;                  // weight gradients
  double attention_backward = 0;  // recomputed scores, dV, dP, dQ, dK
  double total() const { return forward + dx + dw + attention_backward; }
};
StepFlops step_flops(const ModelConfig& config, bool causal);

}  // namespace anemone::nn
