// Rows of wq and wk in the order that a rotary embedding wants.
//
// Channels 2i and 2i + 1 of a head turn together in one convention, i and i + head_dim/2 in the
// other. A model goes from one to the other by an exchange of rows within each head: q and k change
// in the same way, so their products, and with them the logits, stay what they were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "anemone/base/safetensors.h"
#include "anemone/nn/model_config.h"

namespace anemone::model {

// The row of a matrix in order `from` that is row `row` in order `to`.
std::int64_t rope_source_row(std::int64_t row, std::int64_t head_dim, nn::Rope from, nn::Rope to);

// Is it a matrix whose rows have an order ("l3.wq", "l3.wk")?
bool has_rope_order(const std::string& parameter);

// The bytes of a matrix [heads * head_dim, columns] with its rows in the other order.
std::vector<std::byte> in_rope_order(const TensorView& matrix, std::int64_t head_dim, nn::Rope from,
                                     nn::Rope to);

}  // namespace anemone::model
