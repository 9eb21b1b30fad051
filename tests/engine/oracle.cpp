// See oracle.h.
#include "tests/engine/oracle.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/mil/op_def.h"

namespace anemone::test {
namespace {

using mil::EvalTensor;

double epsilon(DType dtype) {
  return dtype == DType::fp16 ? std::ldexp(1, -11)
                              : (dtype == DType::bf16 ? std::ldexp(1, -8) : std::ldexp(1, -24));
}
double smallest(DType dtype) { return dtype == DType::fp16 ? std::ldexp(1, -24) : 0x1p-149; }

class Evaluation {
 public:
  Evaluation(const mil::Function& function, mil::ConstantSource& constants,
             const OracleOptions& options)
      : function_(function), constants_(constants), options_(options) {}

  // With a random error at every value where `random` is given, else exact.
  mil::TensorMap<double> run(const mil::TensorMap<double>& inputs, std::mt19937_64* random) {
    values_.assign(function_.values.size(), {});
    for (const mil::Value value : function_.inputs) at(value) = inputs.at(function_.name_of(value));
    for (const mil::Operation& op : function_.ops) evaluate(op, random);
    mil::TensorMap<double> outputs;
    for (const mil::Value value : function_.outputs) outputs[function_.name_of(value)] = at(value);
    return outputs;
  }

  // How far each output of the last exact run may be, if its operation was the only one.
  mil::TensorMap<double> single_step() {
    mil::TensorMap<double> result;
    for (const mil::Value value : function_.outputs) {
      const mil::Operation* op = function_.definition(value);
      result[function_.name_of(value)] =
          op == nullptr ? std::vector<double>(at(value).size(), 0)
                        : errors(*op, static_cast<std::size_t>(function_.info(value).result));
    }
    return result;
  }

 private:
  std::vector<double>& at(mil::Value value) {
    return values_[static_cast<std::size_t>(value.index)];
  }

  void evaluate(const mil::Operation& op, std::mt19937_64* random) {
    if (op.kind == mil::OpKind::const_) {
      load_constant(op);
      return;
    }
    std::vector<std::vector<double>> results = apply(op, /*absolute=*/false);
    for (std::size_t i = 0; i < results.size(); ++i) at(op.results[i]) = std::move(results[i]);
    if (random == nullptr) return;
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (std::size_t i = 0; i < op.results.size(); ++i) {
      const std::vector<double> most = errors(op, i);
      std::vector<double>& values = at(op.results[i]);
      for (std::size_t j = 0; j < values.size(); ++j) values[j] += most[j] * uniform(*random);
    }
  }

  void load_constant(const mil::Operation& op) {
    const mil::Type& type = op.constant->type();
    if (op.constant->has_strings()) return;
    std::vector<std::byte> scratch;
    const auto bytes = constants_.bytes(*op.constant, scratch);
    std::vector<double>& values = at(op.results.front());
    values.resize(static_cast<std::size_t>(type.shape.elements()));
    load_elements(type.dtype, bytes.data(), values);
  }

  std::vector<std::vector<double>> apply(const mil::Operation& op, bool absolute) {
    std::vector<std::vector<double>> storage;
    std::size_t count = op.results.size();
    for (const auto& argument : op.arguments) count += argument.size();
    storage.reserve(count);
    std::vector<std::vector<EvalTensor<const double>>> inputs(op.arguments.size());
    for (std::size_t p = 0; p < op.arguments.size(); ++p) {
      const bool data = mil::op_def(op.kind).params[p].role == mil::ParamRole::tensor;
      for (const mil::Value value : op.arguments[p]) {
        storage.push_back(at(value));
        if (absolute && data) {
          for (double& element : storage.back()) element = std::fabs(element);
        }
        inputs[p].push_back({function_.type(value).shape, storage.back()});
      }
    }
    std::vector<std::vector<double>> results;
    std::vector<EvalTensor<double>> outputs;
    for (const mil::Value value : op.results)
      results.emplace_back(static_cast<std::size_t>(function_.type(value).shape.elements()));
    for (std::size_t i = 0; i < results.size(); ++i)
      outputs.push_back({function_.type(op.results[i]).shape, results[i]});
    mil::evaluate_op<double>(function_, op, inputs, outputs);
    return results;
  }

  // The tolerance of each element of a result, at the present values.
  std::vector<double> errors(const mil::Operation& op, std::size_t result) {
    const mil::OpDef& def = mil::op_def(op.kind);
    const std::vector<double>& y = at(op.results[result]);
    std::vector<double> most(y.size(), 0);
    const DType dtype = function_.type(op.results[result]).dtype;
    if (!is_float(dtype)) return most;
    if (def.tolerance.ulps == 0 && def.tolerance.sums == 0) return most;
    std::vector<double> magnitude(y.size());
    for (std::size_t i = 0; i < y.size(); ++i) magnitude[i] = std::fabs(y[i]);
    const bool product = op.kind == mil::OpKind::conv || op.kind == mil::OpKind::matmul;
    if (def.tolerance.magnitude_from_absolute_inputs) magnitude = apply(op, true)[result];
    const mil::OpContext context(def, function_, op);
    const double terms = def.terms == nullptr ? 1 : static_cast<double>(def.terms(context));
    double per_magnitude = def.tolerance.sums * epsilon(DType::fp32) * terms;
    if (product && options_.bf16_products) per_magnitude += 2.01 * std::ldexp(1, -9);
    if (product && options_.split_products && dtype == DType::fp16)
      per_magnitude += std::ldexp(1, -16);
    for (std::size_t i = 0; i < y.size(); ++i) {
      most[i] = def.tolerance.ulps * epsilon(dtype) * std::fabs(y[i]) +
                per_magnitude * magnitude[i] + smallest(dtype);
    }
    return most;
  }

  const mil::Function& function_;
  mil::ConstantSource& constants_;
  const OracleOptions& options_;
  std::vector<std::vector<double>> values_;
};

int count_operations(const mil::Function& function) {
  int count = 0;
  for (const mil::Operation& op : function.ops) count += op.kind != mil::OpKind::const_;
  return count;
}

}  // namespace

Expected expect(const mil::Function& function, const mil::TensorMap<double>& inputs,
                mil::ConstantSource& constants, const OracleOptions& options) {
  Expected expected;
  expected.values = mil::evaluate<double>(function, inputs, constants);
  Evaluation evaluation(function, constants, options);
  const mil::TensorMap<double> exact = evaluation.run(inputs, nullptr);
  if (count_operations(function) <= 1) {
    // The tolerance is around the exact result: the reference has rounded it, perhaps the other
    // way.
    expected.tolerances = evaluation.single_step();
    for (auto& [name, values] : expected.values) {
      const std::vector<double>& tolerances = expected.tolerances.at(name);
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (tolerances[i] > 0) values[i] = exact.at(name)[i];
      }
    }
    return expected;
  }
  std::mt19937_64 random(12345);
  for (const auto& [name, values] : exact) expected.tolerances[name].resize(values.size(), 0);
  for (int sample = 0; sample < options.samples; ++sample) {
    const mil::TensorMap<double> seen = evaluation.run(inputs, &random);
    for (auto& [name, sums] : expected.tolerances) {
      const auto &there = seen.at(name), &here = exact.at(name);
      for (std::size_t i = 0; i < sums.size(); ++i)
        sums[i] += (there[i] - here[i]) * (there[i] - here[i]);
    }
  }
  for (const mil::Value output : function.outputs) {
    const std::string& name = function.name_of(output);
    const DType dtype = function.type(output).dtype;
    std::vector<double>& sums = expected.tolerances.at(name);
    const std::vector<double>& values = expected.values.at(name);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] = 8 * std::sqrt(sums[i] / options.samples);
      if (is_float(dtype) && sums[i] > 0)
        sums[i] += 2 * epsilon(dtype) * std::fabs(values[i]) + smallest(dtype);
    }
  }
  return expected;
}

void expect_close(const mil::TensorMap<double>& actual, const Expected& expected,
                  const std::string& what) {
  for (const auto& [name, values] : expected.values) {
    const std::vector<double>& mine = actual.at(name);
    const std::vector<double>& tolerances = expected.tolerances.at(name);
    ASSERT_EQ(mine.size(), values.size()) << what << ", " << name;
    std::size_t bad = 0, worst = 0;
    double worst_ratio = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double difference = std::fabs(mine[i] - values[i]);
      const bool same = mine[i] == values[i] || (std::isnan(mine[i]) && std::isnan(values[i]));
      if (same || difference <= tolerances[i]) continue;
      ++bad;
      const double ratio = difference / (tolerances[i] + 1e-300);
      if (!(ratio <= worst_ratio)) {
        worst_ratio = ratio;
        worst = i;
      }
    }
    EXPECT_EQ(bad, 0U) << what << ": " << bad << " of " << values.size() << " elements of " << name
                       << " are off; element " << worst << " is " << mine[worst] << ", expected "
                       << values[worst] << " ± " << tolerances[worst];
  }
}

}  // namespace anemone::test
