// What the engine knows about each operation, from lower.inc: a view, a concat, arithmetic on
// elements, or calls to choose from. An operation without a row is evaluated by its reference
// meaning.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "anemone/mil/op_kind.h"

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
  bool product = false;  // a matrix product: scales and adds at its end cost nothing
  std::span<const Alternative> alternatives;  // best first
};

const OpRow& op_row(mil::OpKind kind);

}  // namespace anemone::cpu
