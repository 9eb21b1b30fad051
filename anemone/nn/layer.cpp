// A layer's training step, with a mean squared error at its end.
#include "anemone/nn/layer.h"

#include "anemone/nn/language_model.h"
#include "anemone/nn/step_assembler.h"

namespace anemone::nn {

StepGraph layer_step(const ModelConfig& given, std::string_view partition) {
  ModelConfig config = given;
  config.vocab = 0;  // the layers alone, whatever model they belong to
  config.resolve();
  const PartitionDef& def = find_partition(partition);
  StepGraph graph;
  graph.parameters = model_parameters(config);
  StepAssembler assembler(config, def, graph);
  assembler.forward(kLoss);
  graph.first_backward_call = static_cast<int>(graph.calls.size());
  assembler.backward();
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
        if (!kernel.host) kernels.push_back(build_layer_kernel(kernel, config, layer, def.weights));
      }
    }
  }
  return kernels;
}

}  // namespace anemone::nn
