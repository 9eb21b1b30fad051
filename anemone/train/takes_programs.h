// Whether an engine takes a model: asked before one is chosen.
#pragma once

#include <functional>

#include "anemone/engine/engine.h"
#include "anemone/nn/step_graph.h"

namespace anemone::train {

// Of all programs of the step that are not the host's. An engine of the host takes everything, and
// `make_graph` is not called for it.
engine::Support takes_programs(const engine::Engine& engine, const engine::CompileOptions& options,
                               const std::function<nn::StepGraph()>& make_graph);

}  // namespace anemone::train
