// From what a model reports to where each of its tensors lies and under which index a request names
// it. A pure function. What is reported is believed, after a check that it can be true; only what
// is missing follows from the documented rules: rows padded to 64 bytes, symbols in alphabetical
// order (facts U1 and U2; docs/ane.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "anemone/engine/ane/driver/reported.h"
#include "anemone/mil/type.h"

namespace anemone::engine::ane {

// A function's tensor as the program declares it.
struct DeclaredTensor {
  std::string name;
  mil::Type type;
};
struct DeclaredFunction {
  std::string name;
  std::vector<DeclaredTensor> inputs, outputs;
};

struct TensorLayout {
  std::int64_t symbol = 0;       // index in a request
  std::int64_t dims[4] = {};     // batch, channels, height, width
  std::int64_t strides[4] = {};  // bytes
  std::int64_t bytes = 0;        // of a surface for it
  bool operator==(const TensorLayout&) const = default;
};

struct FunctionLayout {
  std::int64_t procedure = 0;
  std::vector<TensorLayout> inputs, outputs;  // in the program's order
  bool operator==(const FunctionLayout&) const = default;
};

struct ModelLayout {
  std::vector<FunctionLayout> functions;  // in the program's order
  // What was not reported and follows from a rule: one line each, for explain.
  std::vector<std::string> assumed;
};

// Throws Error where what is reported contradicts the program or itself.
ModelLayout resolve_layout(const std::vector<DeclaredFunction>& functions,
                           const Reported& reported);

}  // namespace anemone::engine::ane
