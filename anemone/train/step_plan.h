// From a step graph and the ports of its compiled kernels to memory: a pure function that gives
// every global tensor a home, lets kernels share surfaces where their layouts agree, and inserts
// copies only where they do not.
//
// Surfaces are not reused for other tensors within a step: weight gradients read them late, and a
// non-finite number is traced back through them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "anemone/engine/surface.h"
#include "anemone/nn/layer.h"

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

struct PlannedSurface {
  engine::BufferSpec spec;
  bool host = false;
};

// Before call `call` runs: copy the tensor from its home into another kernel's input buffer.
struct PlannedCopy {
  int call = 0;
  TensorHome from, to;
};

// A place where a parameter is read as a tensor: the host writes its values to all of them.
struct PlannedWeight {
  std::string parameter;
  TensorHome place;
};

struct StepPlan {
  std::vector<PlannedSurface> surfaces;
  std::vector<std::vector<int>> input_surfaces, output_surfaces;  // per call, per buffer
  std::vector<PlannedCopy> copies;                                // in the order of their calls
  std::vector<PlannedWeight> weights;
  std::map<std::string, TensorHome, std::less<>> tensors;  // every global tensor
  std::size_t bytes() const;
};

// The host writes graph.input, .target and .loss_scale before a step and parameters after an
// update; one that no call reads gets no home. Throws Error when a call reads a tensor that nothing
// wrote before it, when two calls write the same one, when a port is left unbound, or when a tensor
// changes its shape on the way.
StepPlan plan_step(const nn::StepGraph& graph, std::span<const KernelPorts> kernels);

}  // namespace anemone::train
