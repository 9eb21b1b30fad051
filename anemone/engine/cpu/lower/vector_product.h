// Products with one row or one column: a matrix times a vector (compute/gemv.h).
#pragma once

#include <string>

#include "anemone/engine/cpu/lower/product.h"

namespace anemone::cpu {

bool is_vector_product(const Product& product);

// Fills in the step, or says why a product of matrices does it better.
std::string lower_vector_product(LowerContext& context, const Product& product,
                                 const BatchDims& batch, Step& step);

}  // namespace anemone::cpu
