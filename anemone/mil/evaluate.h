// Evaluates a function by the reference meaning of its operations: the oracle, constant folding and
// exact derivatives.
//
// With T = double every value is rounded to its declared type (fp16, fp32, int32, …). With T =
// complex<double> nothing is rounded, and with an input x + i·h (h = 1e-50) the imaginary part of a
// result over h is the directional derivative.
#pragma once

#include <complex>
#include <map>
#include <string>
#include <vector>

#include "anemone/mil/arithmetic.h"
#include "anemone/mil/constant_source.h"
#include "anemone/mil/ir.h"
#include "anemone/mil/op_def.h"

namespace anemone::mil {

template <class T>
using TensorMap = std::map<std::string, std::vector<T>, std::less<>>;  // by name, row-major

struct EvaluateOptions {
  bool round = true;                       // ignored (false) for complex
  const Arithmetic* arithmetic = nullptr;  // of reals: instead of the reference one
};

// A value with more elements than this is refused (2 GB of doubles).
inline constexpr std::int64_t kMaxEvaluatedElements = std::int64_t{1} << 28;

// Throws Error if evaluate would refuse the function whatever the inputs: an operation that does
// not fit its definition, a declared type that is not the inferred one, a value that is too large.
void check_evaluable(const Function& function);

// Inputs by name; throws Error when one is missing or has another size. Returns the outputs by
// name. Values are freed after their last use.
template <class T>
TensorMap<T> evaluate(const Function& function, const TensorMap<T>& inputs,
                      ConstantSource& constants, const EvaluateOptions& options = {});

// Complex evaluation with weights that carry a perturbation: `weights` overrides constants that are
// WeightRefs (values in the store's shape, before transposition).
TensorMap<std::complex<double>> evaluate_perturbed(const Function& function,
                                                   const TensorMap<std::complex<double>>& inputs,
                                                   ConstantSource& constants,
                                                   const TensorMap<std::complex<double>>& weights);

// One operation on given operands, the result not rounded; used by evaluate, constant folding and
// engines' slow path.
template <class T>
void evaluate_op(const Function& function, const Operation& op,
                 const std::vector<std::vector<EvalTensor<const T>>>& inputs,
                 const std::vector<EvalTensor<T>>& outputs);

extern template TensorMap<double> evaluate(const Function&, const TensorMap<double>&,
                                           ConstantSource&, const EvaluateOptions&);
extern template TensorMap<std::complex<double>> evaluate(const Function&,
                                                         const TensorMap<std::complex<double>>&,
                                                         ConstantSource&, const EvaluateOptions&);

extern template void evaluate_op(const Function&, const Operation&,
                                 const std::vector<std::vector<EvalTensor<const double>>>&,
                                 const std::vector<EvalTensor<double>>&);
extern template void evaluate_op(
    const Function&, const Operation&,
    const std::vector<std::vector<EvalTensor<const std::complex<double>>>>&,
    const std::vector<EvalTensor<std::complex<double>>>&);

}  // namespace anemone::mil
