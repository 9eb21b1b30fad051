// What the trainer wants to know of programs and graphs without running them.
#include <algorithm>

#include "anemone/mil/ir.h"
#include "anemone/train/step_runner.h"

namespace anemone::train {
namespace {

// Tensor arguments come first in both definitions: conv (x, weight), matmul (x, y).
double product_flops(const mil::Function& function, const mil::Operation& op) {
  const Shape& out = function.type(op.results[0]).shape;
  const auto results = static_cast<double>(out.elements());
  const Shape& x = function.type(op.arguments[0][0]).shape;
  if (op.kind == mil::OpKind::conv) {
    const Shape& weight = function.type(op.arguments[1][0]).shape;
    return 2 * results * static_cast<double>(weight.elements() / weight[0]);
  }
  // x is [..., m, k] or [..., k, m], and m is known from the result.
  double batch = 1;
  for (int axis = 0; axis < x.rank() - 2; ++axis) batch *= static_cast<double>(x[axis]);
  const auto rows = static_cast<double>(out.rank() >= 2 ? out[out.rank() - 2] : 1);
  return 2 * results * static_cast<double>(x.elements()) / (batch * rows);
}

}  // namespace

double program_flops(const mil::Function& function) {
  double sum = 0;
  for (const mil::Operation& op : function.ops) {
    if (op.kind == mil::OpKind::conv || op.kind == mil::OpKind::matmul)
      sum += product_flops(function, op);
  }
  return sum;
}

nn::StepGraph forward_part(nn::StepGraph graph) {
  const int end = graph.first_backward_call;
  graph.calls.resize(static_cast<std::size_t>(end));
  // Kernels are called in order, most of them once: those of the backward pass are at the end.
  int kernels = 0;
  for (const nn::Call& call : graph.calls) kernels = std::max(kernels, call.kernel + 1);
  graph.kernels.resize(static_cast<std::size_t>(kernels));
  graph.weight_gradients.clear();
  graph.direct_gradients.clear();
  std::erase_if(graph.host_ops, [&](const nn::HostOp& op) {
    return op.before_call > end || op.kind == nn::HostOp::Kind::subtract_targets ||
           op.kind == nn::HostOp::Kind::embedding_gradient;
  });
  return graph;
}

bool uses_weights(const mil::Function& function) {
  for (const mil::Operation& op : function.ops)
    if (op.constant != nullptr && op.constant->weight() != nullptr) return true;
  return false;
}

}  // namespace anemone::train
