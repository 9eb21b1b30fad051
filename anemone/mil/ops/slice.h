// Where slices begin: for whom the place of a slice matters beyond its meaning.
#pragma once

#include <cstdint>

#include "anemone/mil/op_def.h"

namespace anemone::mil {

// The index in x of the first element along an axis, of a slice_by_size or slice_by_index that is
// not empty.
std::int64_t slice_begin(const EvalContext<double>& context, int axis);

}  // namespace anemone::mil
