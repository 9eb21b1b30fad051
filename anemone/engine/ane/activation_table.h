// Activations as the Neural Engine has them: straight lines between 33 equidistant knots.
//
// The tables themselves are not published, only how far they are from the functions and two values
// at 0; docs/numerics.md. Ours have the published number of knots and lie as far away.
#pragma once

#include <array>

namespace anemone::engine::ane {

class ActivationTable {
 public:
  static constexpr int kKnots = 33;

  // Knots from `low` to `high`, each `bend` · step² · f'' below the curve: lines between points of
  // a curve lie all on its hollow side, and this moves them toward it.
  struct Shape {
    double (*function)(double);
    double (*second_derivative)(double);
    double low, high;  // below it is 0
    double bend;
    bool identity_above;  // above it is x; otherwise 1
    bool odd;             // the table is of |x|, the result takes x's sign
  };
  explicit ActivationTable(const Shape& shape);

  double operator()(double x) const;  // of any x but NaN

 private:
  double positive(double x) const;

  Shape shape_;
  double step_;
  std::array<double, kKnots> knots_;
};

const ActivationTable& sigmoid_table();
const ActivationTable& tanh_table();
const ActivationTable& silu_table();

}  // namespace anemone::engine::ane
