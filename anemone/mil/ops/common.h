// What definitions of operations share: shorthands for parameters, checks that say what was
// expected, loops over tensors.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "anemone/base/shape.h"
#include "anemone/base/strided_loop.h"
#include "anemone/mil/op_def.h"

namespace anemone::mil {

// A definition in ops/<family>.cpp for each line of ops.inc: a missing one is a link error.
#define OP(name) extern const OpDef op_##name;
#include "anemone/mil/ops/ops.inc"
#undef OP

inline constexpr std::size_t kOpCount = 0
#define OP(name) +1
#include "anemone/mil/ops/ops.inc"
#undef OP
    ;

// Parameters.
inline constexpr TypeSet kBool{DType::boolean};
inline constexpr TypeSet kInts{DType::int32};
inline constexpr TypeSet kString{DType::string};
inline constexpr TypeSet kAnyNumber{DType::boolean, DType::fp16,  DType::fp32,  DType::int8,
                                    DType::int16,   DType::int32, DType::uint8, DType::uint16};

constexpr ParamDef tensor_param(std::string_view name, TypeSet types, std::string_view doc = {}) {
  return {name, ParamRole::tensor, types, Presence::required, Arity::one, {}, doc};
}
constexpr ParamDef constant_param(std::string_view name, TypeSet types, std::string_view doc = {}) {
  return {name, ParamRole::constant, types, Presence::required, Arity::one, {}, doc};
}
template <class Default = std::monostate>
constexpr ParamDef optional_param(std::string_view name, TypeSet types, Default value = {},
                                  std::string_view doc = {}) {
  return {name, ParamRole::constant, types, Presence::optional, Arity::one, value, doc};
}

// Checks; all throw Error.
int checked_axis(std::int64_t axis, int rank);
// Each normalized, none twice; in the order given.
std::vector<int> checked_axes(std::span<const std::int64_t> axes, int rank);
// As numpy broadcasts: aligned at the last dimension, a 1 stretches.
Shape broadcast_shapes(const Shape& a, const Shape& b);
// The element type of `param`, which must also be that of `other`.
DType same_dtype(const OpContext& op, int param, int other);

// Types of results that several operations share.
std::vector<Type> infer_like_first(const OpContext& op);  // the type of parameter 0
std::vector<Type> infer_broadcast(const OpContext& op);   // parameters 0 and 1, broadcast

// Strides of a tensor of shape `from` seen as one of shape `to` (0 along stretched dimensions).
Strides broadcast_strides(const Shape& from, const Shape& to);

// Copies input 0 to output 0: a change of shape only.
template <class T>
void eval_copy(const EvalContext<T>& context) {
  const auto& in = context.input(0).data;
  std::copy(in.begin(), in.end(), context.output().data.begin());
}

// What orders numbers: themselves, or the real part.
inline double real_part(double value) { return value; }
inline double real_part(const std::complex<double>& value) { return value.real(); }

}  // namespace anemone::mil
