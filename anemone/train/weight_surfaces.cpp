// See weight_surfaces.h.
#include "anemone/train/weight_surfaces.h"

#include "anemone/base/error.h"
#include "anemone/train/gradient_work.h"

namespace anemone::train {

WeightSurfaces::WeightSurfaces(const StepPlan& plan,
                               std::span<const std::unique_ptr<engine::Surface>> surfaces,
                               ParameterList& parameters) {
  for (const PlannedWeight& weight : plan.weights) {
    const engine::Port& port = weight.place.port;
    const std::span<const float> values = parameters.weights().get(weight.parameter).values;
    ANEMONE_CHECK(static_cast<std::size_t>(port.shape.elements()) == values.size(),
                  "a kernel takes a parameter, or rows of it, with all its elements");
    places_.push_back({plan_write(port),
                       surfaces[static_cast<std::size_t>(weight.place.surface)].get(),
                       port.offset_bytes, values});
  }
}

void WeightSurfaces::write(compute::ThreadPool& pool) {
  for (const Place& place : places_) {
    const engine::HostAccess access(*place.surface, engine::Access::write);
    compute::run(pool, place.plan, place.values.data(), access.data() + place.offset);
  }
}

}  // namespace anemone::train
