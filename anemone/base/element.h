// Any element type to and from double: the slow, exact door used by readers, writers and the
// oracle. Plain loops; the fast conversions are kernels.
#pragma once

#include <cstddef>
#include <span>

#include "anemone/base/dtype.h"

namespace anemone {

// Reads element `index` of an array of `type` at `data` (bool: 0 or 1). CHECKs that the type is
// numeric.
double load_element(DType type, const std::byte* data, std::size_t index);
// Rounds (floats: to nearest even; integers: toward zero, saturating; bool: != 0) and stores.
void store_element(DType type, std::byte* data, std::size_t index, double value);
// The double that `value` becomes when stored in `type` and read again.
double round_to(DType type, double value);

// The same for whole arrays, with one choice of the type for all elements.
void load_elements(DType type, const std::byte* data, std::span<double> values);
void store_elements(DType type, std::byte* data, std::span<const double> values);
void round_all_to(DType type, std::span<double> values);

}  // namespace anemone
