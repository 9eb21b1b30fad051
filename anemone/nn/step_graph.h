// A training step as data: the kernels, the order in which they are called, how their tensors are
// wired, and what is left to the host. Builders make it (layer.h, language_model.h); the trainer's
// step plan gives it memory and runs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "anemone/base/shape.h"
#include "anemone/mil/ir.h"

namespace anemone::nn {

enum class Init : std::uint8_t { ones, uniform, normal };

// A trainable tensor. Names: "l0.wq", "l0.norm1", …, "embedding", "final_norm", "classifier".
struct ParameterSpec {
  std::string name;
  Shape shape;  // [OC, IC] for linear layers, [vocab, dim] for the embedding, [C] for norms
  Init init = Init::uniform;
  double init_scale = 1;  // uniform in [-scale, scale], or the standard deviation of normal
  bool decay = true;      // weight decay applies (not to norms and embeddings)
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

// Some rows of a parameter under a name of their own, which constants of programs refer to: a part
// of the vocabulary.
struct ParameterRows {
  std::string name, parameter;
  std::int64_t first = 0, count = 0;
};

// grad(parameter)[first_row + oc, ic] += sum over positions of dy[oc, s] * x[ic, s]:  both
// [1, C, 1, S] tensors of the step.
struct WeightGradient {
  std::string parameter;
  std::string dy, x;  // global tensor names
  std::int64_t first_row = 0;
};

// grad(parameter) += a tensor some kernel computed, of the parameter's shape (norm weights).
struct DirectGradient {
  std::string parameter;
  std::string tensor;
};

// What the host does between two calls with the ids of a sample's tokens, which no fp16 tensor can
// hold. Tensors are named as in the whole step; each kind says which it uses.
struct HostOp {
  enum class Kind : std::uint8_t {
    // tensor [1, dim, 1, S] = columns of the parameter: tensor[:, s] = parameter[token_s, :].
    embed,
    // Remembers tensor[target_s - first_row, 0, s] for the targets among the rows of this part
    // (logits [1, rows, 1, S]), and log_sum [1, 1, 1, S], the part's log of the sum of
    // exponentials.
    pick_targets,
    // From all parts picked: log_sum = the log-sum-exp over the whole vocabulary; the loss of the
    // step = mean over the targets that count of log_sum - logit of the target;
    // weight [1, 1, 1, S] = loss scale / targets that count, 0 where the target does not count.
    join_loss,
    // What remains of softmax's gradient: at the targets among this part's rows that count,
    // tensor[target_s - first_row, 0, s] = weight_s * (e^(logit picked - log_sum_s) - 1), by expm1:
    // what fp16 would leave of weight * p - weight is little where p is near 1.
    subtract_targets,
    // grad(parameter)[token_s, :] += tensor[:, s].
    embedding_gradient,
  };
  Kind kind{};
  int before_call = 0;  // calls.size(): behind the last
  std::string tensor, log_sum, weight, parameter;
  std::int64_t first_row = 0;
};

// A whole training step: forward, loss, backward.
struct StepGraph {
  std::vector<ParameterSpec> parameters;
  std::vector<Kernel> kernels;
  std::vector<Call> calls;
  std::vector<WeightGradient> weight_gradients;
  std::vector<DirectGradient> direct_gradients;
  std::vector<ParameterRows> parameter_rows;
  std::vector<HostOp> host_ops;  // in order; those of a language model, which join_loss ends
  // The first call of the backward pass: validation ends before it. calls.size() without one.
  int first_backward_call = 0;
  // Tensors the host writes before a step and reads after it. A language model's step has host_ops
  // instead: they write input, read input_gradient, and know target, loss_scale and loss, whose
  // names are empty.
  std::string input = "x", target = "target", loss_scale = "loss_scale", loss = "loss",
              output = "y", input_gradient = "dx";
};

}  // namespace anemone::nn
