// MIL types: tensors, and the list, dict, tuple and state types that stand around them in real
// programs.
//
// A scalar `fp16` and `tensor<fp16, []>` are the same type; which way it is spelled is the
// printer's business.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "anemone/base/dtype.h"
#include "anemone/base/shape.h"

namespace anemone::mil {

struct Type {
  enum class Kind : std::uint8_t { tensor, list, dict, tuple, state };

  Kind kind = Kind::tensor;
  DType dtype = DType::fp32;              // tensor
  Shape shape;                            // tensor
  std::int64_t length = Shape::kUnknown;  // list: number of elements, or unknown
  std::vector<Type> elements;             // list: 1; dict: key, value; tuple: any; state: 1

  static Type tensor(DType dtype, Shape shape = {}) {
    Type type;
    type.dtype = dtype;
    type.shape = shape;
    return type;
  }
  bool is_tensor() const { return kind == Kind::tensor; }
  bool is_scalar() const { return is_tensor() && shape.rank() == 0; }
  bool operator==(const Type& other) const;
  // As written in a program(1.3): "tensor<fp16, [1, 768, 1, 512]>", "int32", "dict<string,
  // string>".
  std::string to_string() const;
};

}  // namespace anemone::mil
