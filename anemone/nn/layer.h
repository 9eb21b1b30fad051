// A transformer layer as kernels: which MIL functions, in which order, wired how, and which weight
// gradients the host must compute. Everything here follows from a ModelConfig and the name of a
// partition.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/mil/ir.h"
#include "anemone/nn/model_config.h"

namespace anemone::nn {

enum class Init : std::uint8_t { ones, uniform };

// A trainable tensor of the layer. Names: "l0.wq", "l0.norm1", ….
struct ParameterSpec {
  std::string name;
  Shape shape;  // [OC, IC] for linear layers, [C] for norms
  Init init = Init::uniform;
  double init_scale = 1;  // uniform in [-scale, scale]
  bool decay = true;      // weight decay applies (not to norms)
};

// One MIL program of a step.
struct Kernel {
  std::string name;      // "l0.fwd_attn"
  mil::Program program;  // one function, main, with named inputs and outputs
  bool host =
      false;  // a glue program: runs on the host's engine beside an engine that is not on the host
};

// A call of a kernel, in order of execution; ports (local names) bound to global tensor names ("x"
// → "l0.x"). An input may be bound to a parameter ("wq" → "l0.wq"): the host writes its values.
struct Call {
  struct Port {
    std::string local, global;
  };
  int kernel = 0;
  std::vector<Port> inputs, outputs;
};

// grad(parameter) += sum over positions of dy[oc, s] * x[ic, s]:  both [1, C, 1, S] tensors of the
// step.
struct WeightGradient {
  std::string parameter;
  std::string dy, x;  // global tensor names
};

// grad(parameter) += a tensor some kernel computed, of the parameter's shape (norm weights).
struct DirectGradient {
  std::string parameter;
  std::string tensor;
};

// A whole training step: forward, loss, backward.
struct StepGraph {
  std::vector<ParameterSpec> parameters;
  std::vector<Kernel> kernels;
  std::vector<Call> calls;
  std::vector<WeightGradient> weight_gradients;
  std::vector<DirectGradient> direct_gradients;
  // Tensors the host writes before a step and reads after it.
  std::string input = "x", target = "target", loss_scale = "loss_scale", loss = "loss",
              output = "y", input_gradient = "dx";
};

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
// S products.
struct StepFlops {
  double forward = 0;             // linear layers and attention's two products
  double dx = 0;                  // backward through the linear layers
  double dw = 0;                  // weight gradients
  double attention_backward = 0;  // recomputed scores, dV, dP, dQ, dK
  double total() const { return forward + dx + dw + attention_backward; }
};
StepFlops step_flops(const ModelConfig& config, bool causal);

}  // namespace anemone::nn
