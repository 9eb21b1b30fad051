// The value of a `const` operation or of an attribute.
//
// A constant is one of four things: bytes (numbers, row-major, in the element type; or a rule that
// makes them when they are asked for), strings, a reference into a blob file beside the program, or
// a reference to a tensor of the WeightStore.
// References are resolved when a program is compiled or evaluated, so a model's weights are never
// copied into its IR.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "anemone/mil/type.h"

namespace anemone::mil {

// BLOBFILE(path = "@model_path/weights/w.bin", offset = 64): `offset` addresses the record
// (blob_file.h).
struct BlobRef {
  std::string path;
  std::uint64_t offset = 0;
  bool operator==(const BlobRef&) const = default;
};

// A tensor of the WeightStore, by name; `transposed` swaps its first two axes (a backward kernel's
// Wᵀ). The store's fp32 values are rounded to the constant's element type.
struct WeightRef {
  std::string name;
  bool transposed = false;
  bool operator==(const WeightRef&) const = default;
};

class Constant {
 public:
  using Bytes = std::shared_ptr<const std::vector<std::byte>>;
  using Strings = std::vector<std::string>;

  Constant() = default;
  Constant(Type type, std::vector<std::byte> bytes);
  Constant(Type type, Strings strings);
  Constant(Type type, BlobRef ref);
  Constant(Type type, WeightRef ref);

  // One value of a scalar type, or one value per element; rounded to the element type.
  static Constant scalar(DType dtype, double value);
  static Constant numbers(DType dtype, const Shape& shape, std::span<const double> values);
  static Constant int32s(std::span<const std::int64_t> values);  // tensor<int32, [N]>
  static Constant boolean(bool value);
  static Constant string(std::string value);
  // 0 on and below the diagonal of the last two axes, `above` over it: a causal mask. Takes no
  // memory until somebody asks for its bytes, which copies of the constant share.
  static Constant upper_triangle(DType dtype, const Shape& shape, double above);

  const Type& type() const { return type_; }
  bool has_bytes() const {
    return std::holds_alternative<Bytes>(value_) || std::holds_alternative<Rule>(value_);
  }
  bool has_strings() const { return std::holds_alternative<Strings>(value_); }
  const BlobRef* blob() const { return std::get_if<BlobRef>(&value_); }
  const WeightRef* weight() const { return std::get_if<WeightRef>(&value_); }

  // The following need has_bytes() (or has_strings()): CHECKed.
  std::span<const std::byte> bytes() const;
  const Strings& strings() const;
  double number(std::size_t index = 0) const;
  std::vector<double> all_numbers() const;

  // What is above the diagonal, if it was made as an upper_triangle; and whether memory holds its
  // bytes by now.
  std::optional<double> triangle() const;
  bool is_in_memory() const;  // CHECKs triangle()

  bool operator==(const Constant& other) const;  // same type and same bits

 private:
  class Triangle;
  using Rule = std::shared_ptr<const Triangle>;
  Type type_;
  std::variant<Bytes, Strings, BlobRef, WeightRef, Rule> value_;
};

// An attribute's value: a constant, or a list, tuple or dict of attribute values (buildInfo, shape
// information).
struct Attribute {
  Type type;
  std::variant<Constant, std::vector<Attribute>> value;  // dict: key, value, key, value, …
  bool operator==(const Attribute&) const = default;
};

}  // namespace anemone::mil
