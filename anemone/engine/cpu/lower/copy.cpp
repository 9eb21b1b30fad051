// A copy between two layouts of one shape.
#include "anemone/engine/cpu/lower/copy.h"

#include <fmt/format.h>

#include "anemone/compute/copy.h"

namespace anemone::cpu {
namespace {

struct CopyCall {
  compute::CopyPlan plan;
  Operand from, to;

  void run(const Frame& frame) const {
    compute::run(frame.pool, plan, frame.at(from), frame.at(to));
  }
};

}  // namespace

Step lower_copy(const mil::Function& function, const PlacedCopy& copy,
                const CpuFeatures& features) {
  compute::CopySpec spec;
  spec.shape = copy.from.layout.shape;
  spec.in_type = spec.out_type = copy.dtype;
  spec.in_strides = copy.from.layout.strides;
  spec.out_strides = copy.to.layout.strides;
  const auto size = static_cast<std::ptrdiff_t>(dtype_size(copy.dtype));
  CopyCall call{compute::plan_copy(spec, features),
                {copy.from.storage, copy.from.layout.offset * size},
                {copy.to.storage, copy.to.layout.offset * size}};
  Step step;
  step.operation = fmt::format("copy of '{}'", function.name_of(copy.value));
  step.implementation = fmt::format("copy {} {}", dtype_name(copy.dtype), spec.shape.to_string());
  step.refusals.push_back(copy.reason);
  step.reads.push_back(copy.from.storage);
  step.writes.push_back(copy.to.storage);
  step.bytes = 2 * static_cast<double>(spec.shape.elements()) * static_cast<double>(size);
  step.call = Call(std::move(call));
  return step;
}

}  // namespace anemone::cpu
