// Parameters that kernels read as tensors (partition `dynamic`): written to every surface they are
// read from, at the start and after each update, instead of being compiled in.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "anemone/compute/copy.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/engine/surface.h"
#include "anemone/train/parameters.h"
#include "anemone/train/step_plan.h"

namespace anemone::train {

class WeightSurfaces {
 public:
  WeightSurfaces() = default;  // of a step that reads none
  // Keeps pointers to the surfaces (of the plan, in order) and the parameters' values.
  WeightSurfaces(const StepPlan& plan, std::span<const std::unique_ptr<engine::Surface>> surfaces,
                 ParameterList& parameters);

  void write(compute::ThreadPool& pool);

 private:
  struct Place {
    compute::CopyPlan plan;
    engine::Surface* surface;
    std::size_t offset;
    std::span<const float> values;
  };
  std::vector<Place> places_;
};

}  // namespace anemone::train
