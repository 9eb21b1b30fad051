// A function as the rules see it: operations in the order of the text, whether this program has a
// definition of them or not, with arguments by name.
//
// Nothing is assumed: the program may have errors. Every question about an argument that is absent,
// not a tensor or not fixed is answered with "none".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/engine/ane/target.h"
#include "anemone/mil/constant_source.h"
#include "anemone/mil/ir.h"

namespace anemone::engine::ane::lint {

inline constexpr double kSmallestNormal = 0x1p-14;  // of fp16

class FunctionView;

// What the rules need to know of a constant's numbers.
struct ConstantFacts {
  double low = 0, high = 0;
  double largest_row = 0;  // of the sums of absolute values along all axes but the first
  std::int64_t count = 0, nonzero = 0, subnormal = 0, nans = 0;  // subnormal in fp16
};

class OpView {
 public:
  struct Argument {
    std::string_view name;
    std::vector<mil::Value> values;  // not valid: written in place, or unknown
    bool in_place = false;
  };

  std::string_view name() const { return name_; }
  mil::SourceLocation location() const { return location_; }
  bool known() const { return known_; }  // has a definition here
  std::size_t index() const { return index_; }
  const FunctionView& function() const { return *function_; }

  bool is(std::string_view name) const { return name_ == name; }
  template <class... Names>
  bool is_any(const Names&... names) const {
    return (is(names) || ...);
  }

  std::span<const Argument> arguments() const { return arguments_; }
  const Argument* argument(std::string_view param) const;
  bool has(std::string_view param) const { return argument(param) != nullptr; }
  mil::Value value(std::string_view param) const;  // the first; not valid: none
  std::vector<mil::Value> operands() const;        // every valid argument that is no constant

  const Shape* shape(std::string_view param) const;  // fixed, of a tensor
  std::optional<DType> dtype(std::string_view param) const;
  const mil::Constant* constant(std::string_view param) const;
  bool is_computed(std::string_view param) const;  // given, and not by a constant
  std::optional<double> number(std::string_view param) const;
  std::vector<std::int64_t> integers(std::string_view param) const;  // empty: not known

  std::span<const mil::Value> results() const { return results_; }
  const Shape* result_shape(std::size_t index = 0) const;
  std::optional<DType> result_dtype(std::size_t index = 0) const;
  std::string_view result_name() const;  // of the first result

 private:
  friend class FunctionView;
  std::string_view name_;
  mil::SourceLocation location_;
  std::vector<Argument> arguments_;
  std::span<const mil::Value> results_;
  const FunctionView* function_ = nullptr;
  std::size_t index_ = 0;
  bool known_ = true;
};

class FunctionView {
 public:
  // All must outlive the view. Without `constants` the values of weights are not known.
  FunctionView(const mil::Program& program, const mil::Function& function, const Target& target,
               mil::ConstantSource* constants);
  FunctionView(const FunctionView&) = delete;
  FunctionView& operator=(const FunctionView&) = delete;

  const mil::Program& program() const { return program_; }
  const mil::Function& function() const { return function_; }
  const Target& target() const { return target_; }
  mil::ConstantSource* constants() const { return constants_; }
  bool has_text() const { return function_.location.line != 0; }

  std::span<const OpView> ops() const { return ops_; }  // without constants
  bool contains(std::string_view name) const;
  const OpView* producer(mil::Value value) const;  // null: an input, a constant or unknown
  std::vector<const OpView*> readers(mil::Value value) const;
  // What `value` is a part or another shape of: through reshape, transpose, slices, split, casts
  // and the like.
  mil::Value origin(mil::Value value) const;
  bool is_input(mil::Value value) const;
  bool is_output(mil::Value value) const;
  bool is_constant(mil::Value value) const { return function_.constant(value) != nullptr; }
  const Shape* shape(mil::Value value) const;  // null: none that is fixed
  std::optional<DType> dtype(mil::Value value) const;
  double bytes(mil::Value value) const;  // 0 where the shape is not fixed

  // Of the numbers of a constant, where they are in the text or the files are given; null where
  // not, and `problem` says why. Looked at once.
  const ConstantFacts* facts(const mil::Constant& constant, std::string* problem = nullptr) const;

 private:
  void add_known(const mil::Operation& op);
  void add_unknown(const mil::UnknownOperation& op);
  void finish();

  const mil::Program& program_;
  const mil::Function& function_;
  const Target& target_;
  mil::ConstantSource* constants_;
  std::vector<OpView> ops_;
  std::vector<std::int32_t> producers_;             // by value; -1: none
  std::vector<std::vector<std::int32_t>> readers_;  // by value
  std::vector<mil::Value> origins_;                 // by value
  struct Known {
    std::optional<ConstantFacts> facts;
    std::string problem;
  };
  mutable std::map<const mil::Constant*, Known> facts_;
};

bool moves_only(const OpView& op);  // computes nothing

// The number of products that a matmul adds up for one element.
std::optional<std::int64_t> contraction(const OpView& matmul);

// From the back: width is axis -1, height -2, channels -3. Nothing where the rank is smaller.
std::optional<std::int64_t> axis_from_back(const Shape& shape, int distance);

}  // namespace anemone::engine::ane::lint
