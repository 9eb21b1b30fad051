// Evaluation of a function, value by value in the order of its operations.
#include "anemone/mil/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <type_traits>
#include <utility>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/mil/verifier.h"

namespace anemone::mil {
namespace {

using Complex = std::complex<double>;

void check_size(const ValueInfo& info) {
  if (!info.type.is_tensor())
    return;  // only constants can be something else, and nothing takes them
  const auto elements = info.type.shape.checked_elements();
  if (!elements.has_value() || *elements > kMaxEvaluatedElements) {
    throw Error(fmt::format("{} is {}", info.name, info.type.to_string()), {},
                fmt::format("a fixed shape of at most {} elements", kMaxEvaluatedElements));
  }
}

bool holds_numbers(const Type& type) { return type.is_tensor() && type.dtype != DType::string; }

template <class T>
class Evaluation {
 public:
  Evaluation(const Function& function, ConstantSource& constants, const EvaluateOptions& options,
             const TensorMap<T>* weights)
      : function_(function),
        constants_(constants),
        round_(options.round),
        arithmetic_(std::is_same_v<T, double> ? options.arithmetic : nullptr),
        weights_(weights),
        values_(function.values.size()),
        last_use_(function.values.size(), -1) {
    for (std::size_t i = 0; i < function.ops.size(); ++i) {
      for (const auto& argument : function.ops[i].arguments) {
        for (const Value value : argument) last_use_[at(value)] = static_cast<std::int64_t>(i);
      }
    }
    for (const Value value : function.outputs) {
      last_use_[at(value)] = static_cast<std::int64_t>(function.ops.size());
    }
  }

  TensorMap<T> run(const TensorMap<T>& inputs) {
    for (const Value input : function_.inputs) take_input(input, inputs);
    for (std::size_t i = 0; i < function_.ops.size(); ++i) {
      const Operation& op = function_.ops[i];
      if (op.kind == OpKind::const_) {
        take_constant(op);
      } else {
        apply(op);
      }
      release(op, static_cast<std::int64_t>(i));
    }
    TensorMap<T> outputs;
    for (const Value output : function_.outputs) {
      outputs[function_.name_of(output)] = values_[at(output)];
    }
    return outputs;
  }

 private:
  static std::size_t at(Value value) { return static_cast<std::size_t>(value.index); }

  std::size_t elements(Value value) const {
    return static_cast<std::size_t>(function_.type(value).shape.elements());
  }

  void take_input(Value input, const TensorMap<T>& inputs) {
    const std::string& name = function_.name_of(input);
    const auto found = inputs.find(name);
    if (found == inputs.end()) throw Error("input " + name + " is missing", function_.name);
    if (found->second.size() != elements(input)) {
      throw Error(fmt::format("input {} has {} elements", name, found->second.size()),
                  function_.name,
                  fmt::format("{}: {}", function_.type(input).to_string(), elements(input)));
    }
    values_[at(input)] = found->second;
    round(input);
    take(input);
  }

  // A value computed elsewhere, as the arithmetic knows it.
  void take(Value value) {
    if constexpr (std::is_same_v<T, double>) {
      if (arithmetic_ != nullptr) arithmetic_->take(function_.type(value), values_[at(value)]);
    }
  }

  void take_constant(const Operation& op) {
    const Value result = op.results.front();
    if (last_use_[at(result)] < 0 || !holds_numbers(function_.type(result))) return;
    std::vector<T>& value = values_[at(result)];
    if (weights_ != nullptr && op.constant->weight() != nullptr) {
      const auto found = weights_->find(op.constant->weight()->name);
      if (found != weights_->end()) {
        value = as_constant(found->second, *op.constant);
        return;
      }
    }
    std::vector<std::byte> scratch;
    const auto bytes = constants_.bytes(*op.constant, scratch);
    std::vector<double> numbers(elements(result));
    load_elements(function_.type(result).dtype, bytes.data(), numbers);
    if constexpr (std::is_same_v<T, double>) {
      value = std::move(numbers);
    } else {
      value.assign(numbers.begin(), numbers.end());
    }
    take(result);
  }

  // A weight in the store's shape as the constant has it: perhaps with its first two axes swapped.
  static std::vector<T> as_constant(const std::vector<T>& weight, const Constant& constant) {
    const Shape& shape = constant.type().shape;
    const std::string& name = constant.weight()->name;
    const auto wanted = static_cast<std::size_t>(shape.elements());
    if (weight.size() != wanted) {
      throw Error(fmt::format("weight {} has {} elements", name, weight.size()), {},
                  fmt::format("{}: {}", shape.to_string(), wanted));
    }
    if (!constant.weight()->transposed) return weight;
    if (shape.rank() < 2) throw Error("weight " + name + " of rank below 2 cannot be transposed");
    const auto rows = static_cast<std::size_t>(shape[0]),
               columns = static_cast<std::size_t>(shape[1]);
    const std::size_t inner = wanted == 0 ? 0 : wanted / (rows * columns);
    std::vector<T> turned(wanted);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        for (std::size_t i = 0; i < inner; ++i) {
          turned[(r * columns + c) * inner + i] = weight[(c * rows + r) * inner + i];
        }
      }
    }
    return turned;
  }

  void apply(const Operation& op) {
    std::vector<std::vector<EvalTensor<const T>>> inputs(op.arguments.size());
    for (std::size_t p = 0; p < op.arguments.size(); ++p) {
      for (const Value value : op.arguments[p]) {
        inputs[p].push_back({function_.type(value).shape, values_[at(value)]});
      }
    }
    std::vector<EvalTensor<T>> outputs;
    for (const Value result : op.results) {
      values_[at(result)].resize(elements(result));
      outputs.push_back({function_.type(result).shape, values_[at(result)]});
    }
    if constexpr (std::is_same_v<T, double>) {
      if (arithmetic_ != nullptr) {
        const OpContext op_context(op_def(op.kind), function_, op);
        arithmetic_->apply({op_context, inputs, outputs});
        return;
      }
    }
    evaluate_op<T>(function_, op, inputs, outputs);
    for (const Value result : op.results) round(result);
  }

  void round(Value value) {
    if constexpr (std::is_same_v<T, double>) {
      if (round_) round_all_to(function_.type(value).dtype, values_[at(value)]);
    }
  }

  void release(const Operation& op, std::int64_t index) {
    const auto drop = [&](Value value) {
      if (last_use_[at(value)] <= index) std::vector<T>().swap(values_[at(value)]);
    };
    for (const auto& argument : op.arguments) std::for_each(argument.begin(), argument.end(), drop);
    std::for_each(op.results.begin(), op.results.end(), drop);
  }

  const Function& function_;
  ConstantSource& constants_;
  const bool round_;
  const Arithmetic* arithmetic_;
  const TensorMap<T>* weights_;
  std::vector<std::vector<T>> values_;
  std::vector<std::int64_t>
      last_use_;  // the last operation that reads a value; beyond all for outputs; -1: none
};

template <class T>
TensorMap<T> evaluate_checked(const Function& function, const TensorMap<T>& inputs,
                              ConstantSource& constants, const EvaluateOptions& options,
                              const TensorMap<T>* weights) {
  check_evaluable(function);
  try {
    return Evaluation<T>(function, constants, options, weights).run(inputs);
  } catch (const std::bad_alloc&) {
    throw Error("not enough memory to evaluate the function", function.name);
  }
}

}  // namespace

namespace {

void check_defined(const Function& function, const Operation& op,
                   const std::vector<bool>& defined) {
  for (const auto& argument : op.arguments) {
    for (const Value value : argument) {
      const auto index = static_cast<std::size_t>(value.index);
      if (!value.valid() || index >= defined.size() || !defined[index]) {
        throw Error("an argument that is not defined before it is used",
                    fmt::format("{}: {}", function.name, op_name(op.kind)));
      }
    }
  }
}

void check_results(const Function& function, const Operation& op) {
  const std::vector<Type> types = infer_types(function, op);
  const std::string name(op_name(op.kind));
  if (types.size() != op.results.size()) {
    throw Error(fmt::format("{} results are named", op.results.size()), name,
                std::to_string(types.size()));
  }
  for (std::size_t i = 0; i < types.size(); ++i) {
    const Type& declared = function.type(op.results[i]);
    if (declared == types[i]) continue;
    throw Error(
        fmt::format("{} is declared as {}", function.name_of(op.results[i]), declared.to_string()),
        name, types[i].to_string());
  }
}

}  // namespace

void check_evaluable(const Function& function) {
  std::vector<bool> defined(function.values.size());
  for (const Value input : function.inputs) {
    if (!holds_numbers(function.type(input))) {
      throw Error(
          fmt::format("input {} is {}", function.name_of(input), function.type(input).to_string()),
          function.name, "a tensor of numbers");
    }
    check_size(function.info(input));
    defined[static_cast<std::size_t>(input.index)] = true;
  }
  for (const Operation& op : function.ops) {
    check_defined(function, op, defined);
    check_results(function, op);
    for (const Value result : op.results) {
      check_size(function.info(result));
      defined[static_cast<std::size_t>(result.index)] = true;
    }
  }
  for (const Value output : function.outputs) {
    if (!defined[static_cast<std::size_t>(output.index)] || !holds_numbers(function.type(output))) {
      throw Error(
          "output " + function.name_of(output) + " is not a tensor of numbers that is computed",
          function.name);
    }
  }
}

template <class T>
void evaluate_op(const Function& function, const Operation& op,
                 const std::vector<std::vector<EvalTensor<const T>>>& inputs,
                 const std::vector<EvalTensor<T>>& outputs) {
  const OpDef& def = op_def(op.kind);
  const OpContext op_context(def, function, op);
  const EvalContext<T> context{op_context, inputs, outputs};
  if constexpr (std::is_same_v<T, double>) {
    ANEMONE_CHECK(def.eval_real != nullptr, "an operation that is evaluated");
    def.eval_real(context);
  } else {
    ANEMONE_CHECK(def.eval_complex != nullptr, "an operation that is evaluated");
    def.eval_complex(context);
  }
}

template <class T>
TensorMap<T> evaluate(const Function& function, const TensorMap<T>& inputs,
                      ConstantSource& constants, const EvaluateOptions& options) {
  return evaluate_checked<T>(function, inputs, constants, options, nullptr);
}

TensorMap<Complex> evaluate_perturbed(const Function& function, const TensorMap<Complex>& inputs,
                                      ConstantSource& constants,
                                      const TensorMap<Complex>& weights) {
  return evaluate_checked<Complex>(function, inputs, constants, {}, &weights);
}

template TensorMap<double> evaluate(const Function&, const TensorMap<double>&, ConstantSource&,
                                    const EvaluateOptions&);
template TensorMap<Complex> evaluate(const Function&, const TensorMap<Complex>&, ConstantSource&,
                                     const EvaluateOptions&);
template void evaluate_op(const Function&, const Operation&,
                          const std::vector<std::vector<EvalTensor<const double>>>&,
                          const std::vector<EvalTensor<double>>&);
template void evaluate_op(const Function&, const Operation&,
                          const std::vector<std::vector<EvalTensor<const Complex>>>&,
                          const std::vector<EvalTensor<Complex>>&);

}  // namespace anemone::mil
