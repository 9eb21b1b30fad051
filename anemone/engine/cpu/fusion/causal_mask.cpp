// Looking through a mask's numbers.
#include "anemone/engine/cpu/fusion/causal_mask.h"

#include <optional>
#include <vector>

#include "anemone/base/element.h"
#include "anemone/engine/cpu/fusion/patterns.h"

namespace anemone::cpu {
namespace {

constexpr double kHidden = -1e4;

bool is_causal_mask(const GroupGraph& graph, const mil::Constant& mask, std::int64_t size) {
  const Shape& shape = mask.type().shape;
  const int rank = shape.rank();
  if (!is_float(mask.type().dtype) || rank < 2 || size < 2) return false;
  if (shape.elements() != size * size || shape[rank - 1] != size || shape[rank - 2] != size)
    return false;
  // Not looked at, the numbers need never be made.
  if (const std::optional<double> above = mask.triangle()) return *above <= kHidden;
  std::vector<std::byte> scratch;
  const std::span<const std::byte> bytes = graph.constant_bytes(mask, scratch);
  if (bytes.empty()) return false;
  std::vector<double> row(static_cast<std::size_t>(size));
  const std::size_t row_bytes = row.size() * dtype_size(mask.type().dtype);
  for (std::size_t query = 0; query < row.size(); ++query) {
    load_elements(mask.type().dtype, bytes.data() + query * row_bytes, row);
    for (std::size_t key = 0; key < row.size(); ++key) {
      if (key <= query ? row[key] != 0 : !(row[key] <= kHidden)) return false;
    }
  }
  return true;
}

}  // namespace

MaskedScores causal_scores(const GroupGraph& graph, const mil::Operation& addition) {
  const mil::Function& function = graph.function();
  for (const std::size_t number : {std::size_t{0}, std::size_t{1}}) {
    const MaskedScores found{addition.arguments[number].front(),
                             addition.arguments[1 - number].front()};
    const mil::Constant* mask = function.constant(found.mask);
    const Shape& shape = function.type(found.scores).shape;
    if (mask == nullptr || !(function.type(found.scores) == result_type(graph, addition))) continue;
    if (shape.rank() < 2 || shape[shape.rank() - 1] != shape[shape.rank() - 2]) continue;
    if (is_causal_mask(graph, *mask, shape[shape.rank() - 1])) return found;
  }
  return {};
}

}  // namespace anemone::cpu
