// What a correct engine may answer: the reference result of a function, and how far an
// implementation that obeys every operation's tolerance (OpDef::tolerance) can be from it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "anemone/mil/constant_source.h"
#include "anemone/mil/evaluate.h"
#include "anemone/mil/ir.h"

namespace anemone::test {

struct OracleOptions {
  bool bf16_products = false;  // operands of matrix products are rounded to bf16
  // Of fp16 products the last 2^-16 of each may be missing: operands are sums of two bf16 numbers.
  bool split_products = false;
  int samples = 16;
};

struct Expected {
  mil::TensorMap<double> values;      // the reference's
  mil::TensorMap<double> tolerances;  // per element, absolute
};

// One operation: its tolerance. Several: the function is evaluated again and again with a random
// error within the tolerance at every value, which shows what such errors grow to; eight times the
// root mean square of the differences seen is allowed (implementations that share no rounding with
// the reference are some two of them away).
Expected expect(const mil::Function& function, const mil::TensorMap<double>& inputs,
                mil::ConstantSource& constants, const OracleOptions& options = {});

// Fails the test, naming the worst element, where an output is not within its tolerance.
void expect_close(const mil::TensorMap<double>& actual, const Expected& expected,
                  const std::string& what);

}  // namespace anemone::test
