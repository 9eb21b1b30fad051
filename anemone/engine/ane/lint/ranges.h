// Between which numbers the values of a function lie, as far as its operations alone tell: a
// sigmoid lies between 0 and 1 whatever goes in. What is not known is unbounded.
#pragma once

#include <limits>
#include <vector>

#include "anemone/engine/ane/lint/view.h"

namespace anemone::engine::ane::lint {

struct Interval {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  double magnitude() const;  // the largest absolute value
  bool is_bounded() const;
};

class Ranges {
 public:
  explicit Ranges(const FunctionView& function);
  Interval of(mil::Value value) const;
  Interval of(const OpView& op, std::string_view param) const { return of(op.value(param)); }

 private:
  Interval result(const OpView& op) const;
  Interval binary(const OpView& op) const;
  Interval unary(const OpView& op) const;
  Interval joined(const OpView& op) const;
  Interval product(const OpView& op) const;

  const FunctionView& function_;
  std::vector<Interval> values_;
};

}  // namespace anemone::engine::ane::lint
