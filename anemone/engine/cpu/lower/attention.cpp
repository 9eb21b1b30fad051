// Groups that the attention fusions made, as calls of compute/attention.h.
#include "anemone/compute/attention.h"

#include <fmt/format.h>

#include <utility>

#include "anemone/engine/cpu/fusion/attention_match.h"
#include "anemone/engine/cpu/lower/context.h"
#include "anemone/engine/cpu/lower/lowerings.h"

namespace anemone::cpu {
namespace {

struct AttentionCall {
  compute::AttentionPlan plan;
  Operand q, k, v, out, dq, dk, dv;

  void run(const Frame& frame) const {
    compute::AttentionArgs args;
    args.q = frame.at(q);
    args.k = frame.at(k);
    args.v = frame.at(v);
    if (plan.backward) {
      args.dout = frame.at(out);
      args.dq = frame.at(dq);
      args.dk = frame.at(dk);
      args.dv = frame.at(dv);
    } else {
      args.out = frame.at(out);
    }
    compute::run(frame.pool, plan, frame.workspace, args);
  }
};

compute::AttentionTensor tensor_of(const LowerContext& context, const HeadTensor& heads,
                                   const Shape& batch) {
  const Layout& layout = context.layout(heads.value);
  const int rank = layout.shape.rank();
  compute::AttentionTensor tensor;
  tensor.type = context.dtype(heads.value);
  tensor.feature_stride = layout.strides[static_cast<std::size_t>(rank - 2)];
  tensor.position_stride = layout.strides[static_cast<std::size_t>(rank - 1)];
  if (!heads.features_first) std::swap(tensor.feature_stride, tensor.position_stride);
  const Layout leading{Shape(layout.shape.dims().first(static_cast<std::size_t>(rank - 2))),
                       layout.strides, layout.offset};
  tensor.batch = broadcast_strides(leading, batch);
  return tensor;
}

std::string describe(const compute::AttentionPlan& plan) {
  const compute::AttentionSpec& spec = plan.spec.forward;
  return fmt::format(
      "{}attention{} {}, softmax {}, batch={} queries={} keys={} features={}, {}{} tasks",
      spec.causal ? "causal " : "", plan.backward ? " backward" : "", plan.gemm->name,
      plan.kernel->name, spec.batch.elements(), spec.queries, spec.keys, spec.head_dim,
      spec.causal ? "no mask, " : "", plan.tasks());
}

std::string lower_attention(LowerContext& context, Step& step) {
  const AttentionParts& parts = *context.group().attention;
  const auto tensor = [&](const HeadTensor& heads) {
    return tensor_of(context, heads, parts.batch);
  };
  compute::AttentionBackwardSpec whole;
  compute::AttentionSpec& spec = whole.forward;
  spec.batch = parts.batch;
  spec.queries = parts.queries;
  spec.keys = parts.keys;
  spec.head_dim = parts.head_dim;
  spec.value_dim = parts.value_dim;
  spec.scale = static_cast<float>(parts.scale);
  spec.out_scale = static_cast<float>(parts.out_scale);
  spec.causal = parts.causal;
  spec.precision = context.machine().products;
  spec.q = tensor(parts.q);
  spec.k = tensor(parts.k);
  spec.v = tensor(parts.v);
  spec.out = tensor(parts.out);

  AttentionCall call;
  call.q = context.read(parts.q.value, step);
  call.k = context.read(parts.k.value, step);
  call.v = context.read(parts.v.value, step);
  if (parts.backward) {
    whole.dq = tensor(parts.dq);
    whole.dk = tensor(parts.dk);
    whole.dv = tensor(parts.dv);
    whole.dq_scale = static_cast<float>(parts.dq_scale);
    whole.dk_scale = static_cast<float>(parts.dk_scale);
    whole.dv_scale = static_cast<float>(parts.dv_scale);
    call.out = context.read(parts.out.value, step);
    call.dq = context.write(parts.dq.value, step);
    call.dk = context.write(parts.dk.value, step);
    call.dv = context.write(parts.dv.value, step);
    call.plan = compute::plan_attention_backward(whole, context.features());
  } else {
    call.out = context.write(parts.out.value, step);
    call.plan = compute::plan_attention(spec, context.features());
  }
  step.workspace_bytes = call.plan.workspace_bytes(context.machine().threads);
  step.flops = call.plan.flops();
  step.skipped_flops = call.plan.skipped_flops();
  step.implementation = describe(call.plan);
  step.call = Call(std::move(call));
  return {};
}

constexpr Alternative kAttentionList[] = {{"attention", lower_attention}};

}  // namespace

const std::span<const Alternative> kAttentionAlternatives = kAttentionList;

}  // namespace anemone::cpu
