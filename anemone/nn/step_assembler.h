// Puts a step graph together: builds kernels, appends their calls wired by names, and lists the
// weight gradients that are left to the host. What a layer's step and a language model's have in
// common.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/nn/kernels.h"
#include "anemone/nn/step_graph.h"

namespace anemone::nn {

// What a port of a layer's kernel is called in the whole step. `graph` gives the names at the
// model's two ends.
std::string layer_tensor(const StepGraph& graph, const ModelConfig& config, std::int64_t layer,
                         const KernelDef& def, std::string_view local);

Kernel build_kernel(const KernelDef& def, const ModelConfig& config, std::string name,
                    std::vector<KernelWeight> available, WeightForm weights);
Kernel build_layer_kernel(const KernelDef& def, const ModelConfig& config, std::int64_t layer,
                          WeightForm weights);

class StepAssembler {
 public:
  using Naming = std::function<std::string(std::string_view local)>;

  // `config` is resolved; all three must outlive the assembler.
  StepAssembler(const ModelConfig& config, const PartitionDef& partition, StepGraph& graph)
      : config_(config), partition_(partition), graph_(graph) {}

  int add(Kernel kernel);                       // returns its index
  void call(int kernel, const Naming& global);  // once more, too
  void forward(const KernelDef& behind_last);   // all layers
  void backward();                              // all layers, from the last to the first

 private:
  void add_layer_kernel(const KernelDef& def, std::int64_t layer);
  void add_gradients(std::int64_t layer);

  const ModelConfig& config_;
  const PartitionDef& partition_;
  StepGraph& graph_;
};

}  // namespace anemone::nn
