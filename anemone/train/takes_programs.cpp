// See takes_programs.h.
#include "anemone/train/takes_programs.h"

namespace anemone::train {

engine::Support takes_programs(const engine::Engine& engine, const engine::CompileOptions& options,
                               const std::function<nn::StepGraph()>& make_graph) {
  if (engine.traits().runs_on_host) return {};
  const engine::Support numerics = engine.supports_options(options);
  if (!numerics.ok) return numerics;
  const nn::StepGraph graph = make_graph();
  for (const nn::Kernel& kernel : graph.kernels) {
    if (kernel.host) continue;
    engine::Support support = engine.supports(kernel.program.main());
    if (!support.ok) return {false, kernel.name + ": " + support.reason};
  }
  return {};
}

}  // namespace anemone::train
