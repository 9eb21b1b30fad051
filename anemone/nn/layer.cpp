// Assembles a training step: kernels in order, wired by names, and the weight gradients left to the
// host.
#include "anemone/nn/layer.h"

#include <fmt/format.h>

#include "anemone/nn/kernels.h"

namespace anemone::nn {
namespace {

std::string prefix_of(std::int64_t layer) { return fmt::format("l{}.", layer); }

// What a port of layer `layer` is called in the whole step.
class Names {
 public:
  Names(const StepGraph& graph, std::int64_t layer, std::int64_t layers)
      : graph_(graph), layer_(layer), first_(layer == 0), last_(layer + 1 == layers) {}

  std::string operator()(const KernelDef& def, std::string_view local) const {
    // fwd_ffn's `y` is what is added to x2; the layer's own y is the sum.
    if (local == "y" && !def.host) return in_layer(layer_, "ffn");
    if (local == "target") return graph_.target;
    if (local == "loss_scale") return graph_.loss_scale;
    if (local == "loss") return graph_.loss;
    if (local == "x" && first_) return graph_.input;
    if (local == "dx" && first_) return graph_.input_gradient;
    if (local == "y") return last_ ? graph_.output : in_layer(layer_ + 1, "x");
    if (local == "dy" && !last_) return in_layer(layer_ + 1, "dx");
    return in_layer(layer_, local);
  }

 private:
  static std::string in_layer(std::int64_t layer, std::string_view local) {
    return prefix_of(layer) + std::string(local);
  }
  const StepGraph& graph_;
  std::int64_t layer_;
  bool first_, last_;
};

Kernel build_kernel(const KernelDef& def, const ModelConfig& config, std::int64_t layer,
                    WeightForm weights) {
  Kernel kernel;
  kernel.name = prefix_of(layer) + std::string(def.name);
  kernel.host = def.host;
  KernelBuilder builder(kernel.program, config, prefix_of(layer),
                        def.host ? WeightForm::constants : weights);
  def.build(builder);
  return kernel;
}

class StepAssembler {
 public:
  StepAssembler(const ModelConfig& config, WeightForm weights, StepGraph& graph)
      : config_(config), weights_(weights), graph_(graph) {}

  void add(const KernelDef& def, std::int64_t layer) {
    const Names global(graph_, layer, config_.layers);
    Call call;
    call.kernel = static_cast<int>(graph_.kernels.size());
    graph_.kernels.push_back(build_kernel(def, config_, layer, weights_));
    const mil::Function& function = graph_.kernels.back().program.main();
    for (const mil::Value value : function.inputs) {
      const std::string& local = function.name_of(value);
      call.inputs.push_back({local, global(def, local)});
    }
    for (const mil::Value value : function.outputs) {
      const std::string& local = function.name_of(value);
      call.outputs.push_back({local, global(def, local)});
    }
    graph_.calls.push_back(std::move(call));
  }

  void add_gradients(std::int64_t layer) {
    const std::string prefix = prefix_of(layer);
    const auto product = [&](const char* parameter, const std::string& dy, const char* x) {
      graph_.weight_gradients.push_back({prefix + parameter, dy, prefix + x});
    };
    const bool last = layer + 1 == config_.layers;
    product("wq", prefix + "dq", "xnorm");
    product("wk", prefix + "dk", "xnorm");
    product("wv", prefix + "dv", "xnorm");
    product("wo", prefix + "dx2", "attn");
    product("w1", prefix + "dh1", "x2norm");
    product("w2", last ? prefix + "dy" : prefix_of(layer + 1) + "dx", "gate");
    product("w3", prefix + "dh3", "x2norm");
    graph_.direct_gradients.push_back({prefix + "norm1", prefix + "dnorm1"});
    graph_.direct_gradients.push_back({prefix + "norm2", prefix + "dnorm2"});
  }

 private:
  const ModelConfig& config_;
  WeightForm weights_;
  StepGraph& graph_;
};

}  // namespace

StepGraph layer_step(const ModelConfig& given, std::string_view partition) {
  ModelConfig config = given;
  config.resolve();
  const PartitionDef& def = find_partition(partition);
  StepGraph graph;
  StepAssembler assembler(config, def.weights, graph);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    for (ParameterSpec& spec : layer_parameters(config, prefix_of(layer)))
      graph.parameters.push_back(std::move(spec));
    for (const KernelDef& kernel : def.forward) assembler.add(kernel, layer);
    assembler.add(layer + 1 == config.layers ? kLoss : kOutputSum, layer);
  }
  graph.first_backward_call = static_cast<int>(graph.calls.size());
  for (std::int64_t layer = config.layers; layer-- > 0;) {
    for (const KernelDef& kernel : def.backward) assembler.add(kernel, layer);
    assembler.add_gradients(layer);
  }
  return graph;
}

std::vector<Kernel> layer_kernels(const ModelConfig& given, std::string_view partition) {
  ModelConfig config = given;
  config.resolve();
  const PartitionDef& def = find_partition(partition);
  std::vector<Kernel> kernels;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    for (const auto* list : {&def.forward, &def.backward}) {
      for (const KernelDef& kernel : *list) {
        if (!kernel.host) kernels.push_back(build_kernel(kernel, config, layer, def.weights));
      }
    }
  }
  return kernels;
}

}  // namespace anemone::nn
