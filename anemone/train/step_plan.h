// From a step graph and the ports of its compiled kernels to memory: a pure function that gives
// every global tensor a home, lets kernels share surfaces where their layouts agree, and inserts
// copies only where they do not.
//
// A surface serves another tensor once the last call, host operation, weight gradient or copy that
// reads it is done: a deep model needs one set of backward tensors, not one a layer.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/engine/surface.h"
#include "anemone/nn/step_graph.h"
#include "anemone/train/surface_sharing.h"

namespace anemone::train {

// The compiled shape of one kernel: what Executable reports.
struct KernelPorts {
  std::vector<engine::Port> inputs, outputs;
  std::vector<engine::BufferSpec> input_buffers, output_buffers;
  bool host = false;  // its surfaces belong to the host's engine
};

// Where a global tensor lives: a surface and the port (layout) inside it.
struct TensorHome {
  int surface = -1;
  engine::Port port;
};

// Before call `call` runs: copy the tensor from its home into another kernel's input buffer.
struct PlannedCopy {
  int call = 0;
  TensorHome from, to;
};

// A place where a parameter, or some rows of it, is read as a tensor: the host writes its values to
// all of them.
struct PlannedWeight {
  std::string parameter;
  TensorHome place;
};

// Stage c of a step: the host operations before call c, the copies for it, call c, and the weight
// gradients that it made possible. The last stage, calls.size(), has no call.
struct StepPlan {
  std::vector<PlannedSurface> surfaces;
  std::vector<std::vector<int>> input_surfaces, output_surfaces;  // per call, per buffer
  std::vector<PlannedCopy> copies;                                // in the order of their calls
  std::vector<PlannedWeight> weights;
  std::map<std::string, TensorHome, std::less<>> tensors;  // every global tensor
  // Tensors that are gone at the end of a step, and the first stage that takes their place.
  std::map<std::string, int, std::less<>> overwritten;
  std::size_t bytes() const;
};

struct PlanOptions {
  bool keep_all_tensors = false;  // nothing is overwritten, for tests and diagnosis
  // Weight gradients run beside the calls: what one reads is left alone for so many stages more, so
  // that nobody has to wait for it. (Whoever overwrites it waits for it all the same.)
  int gradients_lag = 0;
};

// The last stage in which a tensor is written; 0 for those that the host writes before a step.
int stage_writing(const nn::StepGraph& graph, std::string_view tensor);

// The host writes graph.input, .target and .loss_scale before a step (those that no host operation
// writes) and parameters after an update; one that no call reads gets no home. It reads graph.loss,
// .output and .input_gradient after a step. Throws Error when a call reads a tensor that nothing
// wrote before it, when two calls write the same one, when a port is left unbound, or when a tensor
// changes its shape on the way.
StepPlan plan_step(const nn::StepGraph& graph, std::span<const KernelPorts> kernels,
                   const PlanOptions& options = {});

}  // namespace anemone::train
