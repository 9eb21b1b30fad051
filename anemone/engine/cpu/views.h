// Operations that move nothing: their results are other layouts of the memory of their argument,
// or, for concat, their arguments are parts of the memory of the result.
#pragma once

#include <optional>

#include "anemone/engine/cpu/layout.h"
#include "anemone/mil/ir.h"
#include "anemone/mil/op_def.h"

namespace anemone::cpu {

// The argument is parameter 0, and all others are constants.
struct ViewRule {
  // Where result `result` lies if the argument lies at `in`; nothing if that takes a copy.
  std::optional<Layout> (*forward)(const mil::OpContext& op, int result, const Layout& in);
  // Where the argument must lie so that the result lies at `out`; null if the result is only a part
  // of the argument.
  std::optional<Layout> (*backward)(const mil::OpContext& op, const Layout& out);
};

// The rule of this operation, or null: not a view, or one whose parameters are computed.
const ViewRule* view_rule(const mil::Function& function, const mil::Operation& op);

bool is_concat(const mil::Function& function, const mil::Operation& op);
// Where argument `index` of a concat lies in a result that lies at `out`.
Layout concat_part(const mil::OpContext& op, int index, const Layout& out);

// The rules, named by the op table (lower/lower.inc).
extern const ViewRule kReshapeView, kTransposeView, kSliceBySizeView, kSliceByIndexView, kSplitView;

}  // namespace anemone::cpu
