// The op table, built from lower.inc.
#include "anemone/engine/cpu/lower/op_table.h"

#include <array>

#include "anemone/engine/cpu/lower/lowerings.h"
#include "anemone/engine/cpu/lower/math_rules.h"
#include "anemone/engine/cpu/views.h"

namespace anemone::cpu {
namespace {

constexpr std::size_t kOps = 0
#define OP(name) +1
#include "anemone/mil/ops/ops.inc"
#undef OP
    ;

std::array<OpRow, kOps> make_table() {
  std::array<OpRow, kOps> table;
#define ROW(op) table[static_cast<std::size_t>(mil::OpKind::op)]
#define VIEW(op, rule) ROW(op).view = &rule;
#define CONCAT(op) ROW(op).concat = true;
#define MATH(op, rule)  \
  ROW(op).math = &rule; \
  ROW(op).alternatives = kElementwiseAlternatives;
#define PRODUCT(op, list, predicate) \
  ROW(op).folds = predicate;         \
  ROW(op).alternatives = list;
#define CALL(op, list) ROW(op).alternatives = list;
#include "anemone/engine/cpu/lower/lower.inc"
#undef CALL
#undef PRODUCT
#undef MATH
#undef CONCAT
#undef VIEW
#undef ROW
  return table;
}

}  // namespace

const OpRow& op_row(mil::OpKind kind) {
  static const std::array<OpRow, kOps> table = make_table();
  return table[static_cast<std::size_t>(kind)];
}

}  // namespace anemone::cpu
