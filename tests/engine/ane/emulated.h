// Programs of one operation, run by an arithmetic.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "anemone/base/dtype.h"
#include "anemone/engine/numerics.h"
#include "anemone/mil/builder.h"
#include "anemone/mil/evaluate.h"

namespace anemone::test {

struct Tensor {
  Shape shape;
  std::vector<double> values;
};

inline Tensor vector_of(std::vector<double> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return {{count}, std::move(values)};
}

using Build = std::function<mil::Value(mil::Builder&, const std::vector<mil::Value>&)>;

// What `build` makes of fp16 inputs, by the arithmetic of that name.
inline std::vector<double> emulate(const std::string& numerics, const std::vector<Tensor>& inputs,
                                   const Build& build) {
  mil::Program program;
  mil::Builder b(program);
  std::vector<mil::Value> values;
  mil::TensorMap<double> given;
  for (const Tensor& input : inputs) {
    const std::string name = "in" + std::to_string(values.size());
    values.push_back(b.input(name, mil::Type::tensor(DType::fp16, input.shape)));
    given[name] = input.values;
  }
  b.output(build(b, values), "out");
  mil::ConstantSource constants;
  const auto arithmetic = engine::make_numerics(numerics);
  return mil::evaluate<double>(program.main(), given, constants, {.arithmetic = arithmetic.get()})
      .at("out");
}

// Σ x·y, in the order given, as a product of matrices.
inline double dot(const std::string& numerics, const std::vector<double>& x,
                  const std::vector<double>& y) {
  const auto k = static_cast<std::int64_t>(x.size());
  return emulate(numerics, {{{1, k}, x}, {{k, 1}, y}},
                 [](mil::Builder& b, const std::vector<mil::Value>& in) {
                   return b.matmul({{"x", in[0]}, {"y", in[1]}});
                 })
      .front();
}
inline double sum(const std::string& numerics, const std::vector<double>& x) {
  return dot(numerics, x, std::vector<double>(x.size(), 1.0));
}

inline const std::vector<std::string>& ane_profiles() {
  static const std::vector<std::string> names = {"ane:m1", "ane:m2", "ane:m3", "ane:m4", "ane:m5"};
  return names;
}

// Every fp16 number, NaN and infinities too.
inline std::vector<double> all_fp16() {
  std::vector<double> values;
  for (unsigned bits = 0; bits < 0x10000; ++bits)
    values.push_back(static_cast<double>(to_float(f16{static_cast<std::uint16_t>(bits)})));
  return values;
}

inline double fp16(double value) { return static_cast<double>(to_float(f16_from_double(value))); }

}  // namespace anemone::test
