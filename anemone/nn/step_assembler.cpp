// See step_assembler.h.
#include "anemone/nn/step_assembler.h"

namespace anemone::nn {

std::string layer_tensor(const StepGraph& graph, const ModelConfig& config, std::int64_t layer,
                         const KernelDef& def, std::string_view local) {
  const bool first = layer == 0, last = layer + 1 == config.layers;
  const auto in_layer = [](std::int64_t number, std::string_view name) {
    return layer_prefix(number) + std::string(name);
  };
  // fwd_ffn's `y` is what is added to x2; the layer's own y is the sum.
  if (local == "y" && !def.host) return in_layer(layer, "ffn");
  if (local == "target") return graph.target;
  if (local == "loss_scale") return graph.loss_scale;
  if (local == "loss") return graph.loss;
  if (local == "x" && first) return graph.input;
  if (local == "dx" && first) return graph.input_gradient;
  if (local == "y") return last ? graph.output : in_layer(layer + 1, "x");
  if (local == "dy" && !last) return in_layer(layer + 1, "dx");
  return in_layer(layer, local);
}

Kernel build_kernel(const KernelDef& def, const ModelConfig& config, std::string name,
                    std::vector<KernelWeight> available, WeightForm weights) {
  Kernel kernel;
  kernel.name = std::move(name);
  kernel.host = def.host;
  KernelBuilder builder(kernel.program, config, std::move(available),
                        def.host ? WeightForm::constants : weights);
  def.build(builder);
  return kernel;
}

Kernel build_layer_kernel(const KernelDef& def, const ModelConfig& config, std::int64_t layer,
                          WeightForm weights) {
  const std::string prefix = layer_prefix(layer);
  return build_kernel(def, config, prefix + std::string(def.name), layer_weights(config, prefix),
                      weights);
}

int StepAssembler::add(Kernel kernel) {
  graph_.kernels.push_back(std::move(kernel));
  return static_cast<int>(graph_.kernels.size()) - 1;
}

void StepAssembler::call(int kernel, const Naming& global) {
  const mil::Function& function = graph_.kernels[static_cast<std::size_t>(kernel)].program.main();
  Call call;
  call.kernel = kernel;
  for (const mil::Value value : function.inputs) {
    const std::string& local = function.name_of(value);
    call.inputs.push_back({local, global(local)});
  }
  for (const mil::Value value : function.outputs) {
    const std::string& local = function.name_of(value);
    call.outputs.push_back({local, global(local)});
  }
  graph_.calls.push_back(std::move(call));
}

void StepAssembler::add_layer_kernel(const KernelDef& def, std::int64_t layer) {
  const int kernel = add(build_layer_kernel(def, config_, layer, partition_.weights));
  call(kernel,
       [&](std::string_view local) { return layer_tensor(graph_, config_, layer, def, local); });
}

void StepAssembler::forward(const KernelDef& behind_last) {
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    for (const KernelDef& def : partition_.forward) add_layer_kernel(def, layer);
    add_layer_kernel(layer + 1 == config_.layers ? behind_last : kOutputSum, layer);
  }
}

void StepAssembler::backward() {
  for (std::int64_t layer = config_.layers; layer-- > 0;) {
    for (const KernelDef& def : partition_.backward) add_layer_kernel(def, layer);
    add_gradients(layer);
  }
}

void StepAssembler::add_gradients(std::int64_t layer) {
  const std::string prefix = layer_prefix(layer);
  const auto product = [&](const char* parameter, const std::string& dy, const char* x) {
    graph_.weight_gradients.push_back({prefix + parameter, dy, prefix + x});
  };
  const bool last = layer + 1 == config_.layers;
  product("wq", prefix + "dq", "xnorm");
  product("wk", prefix + "dk", "xnorm");
  product("wv", prefix + "dv", "xnorm");
  product("wo", prefix + "dx2", "attn");
  product("w1", prefix + "dh1", "x2norm");
  product("w2", last ? prefix + "dy" : layer_prefix(layer + 1) + "dx", "gate");
  product("w3", prefix + "dh3", "x2norm");
  graph_.direct_gradients.push_back({prefix + "norm1", prefix + "dnorm1"});
  graph_.direct_gradients.push_back({prefix + "norm2", prefix + "dnorm2"});
}

}  // namespace anemone::nn
