// Moving whole rows, whatever their element type.
#include "anemone/model/rope_order.h"

#include <cstring>

namespace anemone::model {

std::int64_t rope_source_row(std::int64_t row, std::int64_t head_dim, nn::Rope from, nn::Rope to) {
  if (from == to || from == nn::Rope::none || to == nn::Rope::none) return row;
  const std::int64_t channel = row % head_dim, half = head_dim / 2;
  // Half-split channel i + h*half is channel 2i + h of pairs.
  const std::int64_t source = to == nn::Rope::halves ? 2 * (channel % half) + channel / half
                                                     : channel / 2 + channel % 2 * half;
  return row - channel + source;
}

bool has_rope_order(const std::string& parameter) {
  return parameter.ends_with(".wq") || parameter.ends_with(".wk");
}

std::vector<std::byte> in_rope_order(const TensorView& matrix, std::int64_t head_dim, nn::Rope from,
                                     nn::Rope to) {
  std::vector<std::byte> result(matrix.data.size());
  const std::int64_t rows = matrix.shape[0];
  const std::size_t row_bytes = matrix.data.size() / static_cast<std::size_t>(rows);
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto source = static_cast<std::size_t>(rope_source_row(row, head_dim, from, to));
    std::memcpy(result.data() + static_cast<std::size_t>(row) * row_bytes,
                matrix.data.data() + source * row_bytes, row_bytes);
  }
  return result;
}

}  // namespace anemone::model
