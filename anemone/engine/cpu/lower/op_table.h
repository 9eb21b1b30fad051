// What the engine knows about each operation, from lower.inc: a view, a concat, arithmetic on
// elements, or calls to choose from. An operation without a row is evaluated by its reference
// meaning.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "anemone/mil/op_def.h"

namespace anemone::cpu {

struct ViewRule;
struct MathRule;
struct Step;
class LowerContext;

// One way to compute a group. Fills in `step` and returns an empty string, or says why it cannot.
struct Alternative {
  std::string_view name;
  std::string (*lower)(LowerContext& context, Step& step);
};

struct OpRow {
  const ViewRule* view = nullptr;
  bool concat = false;
  const MathRule* math = nullptr;
  // A matrix product that takes factors, a cast and a sum at its end. Null: not a product.
  bool (*folds)(const mil::OpContext& op) = nullptr;
  std::span<const Alternative> alternatives;  // best first
};

const OpRow& op_row(mil::OpKind kind);

}  // namespace anemone::cpu
