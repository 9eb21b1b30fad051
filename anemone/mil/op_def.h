// What an operation is. Each definition (anemone/mil/ops/<family>.cpp) states, once and for
// everybody: the name, the parameters, the type inference, the reference meaning, the tolerance of
// a fast implementation and how to make a random example. The enum, the builder's methods, the
// parser's and printer's argument order, the verifier, constant folding, the reference engine, the
// op chapter of the documentation and the random program generator are derived from it.
#pragma once

#include <complex>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "anemone/mil/constant.h"
#include "anemone/mil/ir.h"
#include "anemone/mil/op_kind.h"
#include "anemone/mil/type.h"

namespace anemone::mil {

// A set of element types, one bit each.
class TypeSet {
 public:
  constexpr TypeSet() = default;
  constexpr TypeSet(std::initializer_list<DType> types) {
    for (const DType type : types) bits_ |= 1u << static_cast<unsigned>(type);
  }
  constexpr bool contains(DType type) const { return (bits_ >> static_cast<unsigned>(type)) & 1u; }
  constexpr TypeSet operator|(TypeSet other) const {
    other.bits_ |= bits_;
    return other;
  }
  std::string to_string() const;  // "fp16, fp32 or int32"

 private:
  std::uint32_t bits_ = 0;
};

inline constexpr TypeSet kFloats{DType::fp16, DType::fp32};
inline constexpr TypeSet kNumbers{DType::fp16, DType::fp32, DType::int32};

enum class ParamRole : std::uint8_t {
  tensor,    // may be computed at run time
  constant,  // must be a constant of the program
};
enum class Presence : std::uint8_t { required, optional };
enum class Arity : std::uint8_t { one, variadic };

struct ParamDef {
  std::string_view name;
  ParamRole role = ParamRole::tensor;
  TypeSet types;
  Presence presence = Presence::required;
  Arity arity = Arity::one;
  // What an absent optional parameter means; monostate where that depends on the shapes (documented
  // in `doc`).
  std::variant<std::monostate, bool, std::int64_t, double, std::string_view> default_value = {};
  std::string_view doc = {};
};

struct OpDef;

// The types and constants an operation is applied to: the view that inference and evaluation have
// of it. Parameters are numbered as in the definition. Accessors throw Error with a plain message;
// the caller adds operation and place.
class OpContext {
 public:
  OpContext(const OpDef& def, const Function& function, const Operation& op)
      : def_(def), function_(function), op_(op) {}

  const OpDef& def() const { return def_; }
  bool has(int param) const;
  int count(int param) const;                        // values given (variadic)
  const Type& type(int param, int index = 0) const;  // of a given argument
  const Shape& shape(int param, int index = 0) const { return type(param, index).shape; }
  DType dtype(int param, int index = 0) const { return type(param, index).dtype; }

  // The constant given, or null when absent. `integer`, `boolean`, `number` and `string` fall back
  // to the default.
  const Constant* constant(int param) const;
  std::int64_t integer(int param) const;
  bool boolean(int param) const;
  double number(int param) const;
  std::string string(int param) const;
  std::vector<std::int64_t> integers(int param) const;  // empty when absent
  // integers(param) with `count` times `fallback` when absent; throws when the count differs.
  std::vector<std::int64_t> integers_or(int param, int count, std::int64_t fallback) const;
  // integer(param) normalized to [0, rank); throws "axis 4 is out of range for a tensor of rank 4
  // (allowed: -4..3)".
  int axis(int param, int rank) const;

  // The type written in the program for each result (cast and const need none of it; empty in the
  // builder).
  const Operation& operation() const { return op_; }
  const Function& function() const { return function_; }

 private:
  const OpDef& def_;
  const Function& function_;
  const Operation& op_;
};

class ProductRule;  // arithmetic.h

// A tensor during reference evaluation: row-major elements of T (double, or complex<double> for
// derivatives).
template <class T>
struct EvalTensor {
  Shape shape;
  std::span<T> data;
};

template <class T>
struct EvalContext {
  const OpContext& op;
  // inputs[param][index]; empty when absent. Constants that are strings have an empty span.
  std::span<const std::vector<EvalTensor<const T>>> inputs;
  std::span<const EvalTensor<T>>
      outputs;  // shapes as inferred, data to be written; rounding is the caller's
  const ProductRule* products = nullptr;  // of reals: how matrices are multiplied; null: exactly

  const EvalTensor<const T>& input(int param, int index = 0) const {
    return inputs[static_cast<std::size_t>(param)][static_cast<std::size_t>(index)];
  }
  const EvalTensor<T>& output(int index = 0) const {
    return outputs[static_cast<std::size_t>(index)];
  }
};

// How far a fast implementation may be from the reference, per element y:
//   ulps · eps(declared type) · |y|  +  sums · eps(fp32) · M,
// with M the magnitude of what was added up: the operation evaluated on absolute values
// (`magnitude`), or |y|. eps(t) is the distance from 1 to the next number of type t, halved;
// results below the smallest normal number may be off by one subnormal step.
struct Tolerance {
  double ulps = 1;
  double sums = 0;
  bool magnitude_from_absolute_inputs = false;
};

class RandomProgram;  // tests: grows a random function op by op (random_program.h)

struct OpDef {
  OpKind kind;
  std::string_view name;
  std::string_view doc;  // one paragraph of Markdown: the meaning, as a formula where there is one
  std::span<const ParamDef> params;
  // Types of the results; throws Error saying what is wrong and what was expected.
  std::vector<Type> (*infer)(const OpContext&);
  // The meaning. Null only for const.
  void (*eval_real)(const EvalContext<double>&);
  void (*eval_complex)(const EvalContext<std::complex<double>>&);
  Tolerance tolerance;
  std::int64_t (*terms)(const OpContext&) =
      nullptr;  // numbers added up for one element of the result; null: 1
  // Appends one application of the op to a random program; returns false if nothing there fits.
  // Null: never drawn.
  bool (*sample)(RandomProgram&) = nullptr;

  int find_param(std::string_view param) const;  // -1 when there is none
};

const OpDef& op_def(OpKind kind);
std::span<const OpDef* const> all_ops();  // in the order of ops.inc

}  // namespace anemone::mil
