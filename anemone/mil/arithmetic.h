// Another arithmetic than the reference one: how a program would compute on a device whose numbers
// behave differently. evaluate() asks it at every value; the definitions of operations do not know
// it, but for taking their matrix products through the context (ops/product.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "anemone/mil/op_def.h"

namespace anemone::mil {

// What conv and matmul are made of.
class ProductRule {
 public:
  virtual ~ProductRule() = default;
  // c[m, n] += a[m, k] * b[k, n], all row-major and dense.
  virtual void add_product(std::int64_t m, std::int64_t n, std::int64_t k, const double* a,
                           const double* b, double* c) const = 0;
};

// Holds no state that changes: any number of evaluations may share one.
class Arithmetic {
 public:
  virtual ~Arithmetic() = default;
  virtual std::string name() const = 0;      // as an option has it
  virtual std::string describe() const = 0;  // whose it is, in words
  // Inputs and constants: makes numbers of the device of numbers of `type`.
  virtual void take(const Type& type, std::span<double> values) const = 0;
  // Evaluates one operation; its results are rounded, and all else that the device does to them.
  virtual void apply(const EvalContext<double>& context) const = 0;
};

}  // namespace anemone::mil
