// Reference evaluation against numpy and PyTorch (golden/make_op_golden.py), and shapes as inferred
// against theirs.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "anemone/mil/builder.h"
#include "anemone/mil/evaluate.h"
#include "anemone/mil/op_def.h"
#include "tests/support/shared.h"

namespace anemone::mil {
namespace {

using nlohmann::json;

DType dtype_of(const std::string& name) {
  for (const DType type : {DType::fp16, DType::fp32, DType::int32, DType::boolean}) {
    if (name == dtype_name(type)) return type;
  }
  ADD_FAILURE() << name;
  return DType::fp32;
}

// One application of an operation as a program.
class Case {
 public:
  explicit Case(const json& record) : record_(record), builder_(program_) {
    std::vector<Builder::Argument> arguments;
    const OpKind kind = *find_op(record.at("op").get<std::string>());
    for (const auto& [name, value] : record.at("args").items()) {
      const OpDef& def = op_def(kind);
      const ParamDef& param = def.params[static_cast<std::size_t>(def.find_param(name))];
      arguments.push_back(argument(param, value));
    }
    const auto results = builder_.emit_all(kind, arguments);
    for (std::size_t i = 0; i < results.size(); ++i) {
      builder_.output(results[i], "y" + std::to_string(i));
    }
  }

  void check() const {
    const json& expected = record_.at("results");
    const Function& function = program_.main();
    ASSERT_EQ(function.outputs.size(), expected.size());
    ConstantSource constants;
    const auto outputs = evaluate<double>(function, inputs_, constants, {.round = false});
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Value output = function.outputs[i];
      const auto shape = expected[i].at("shape").get<std::vector<std::int64_t>>();
      EXPECT_EQ(function.type(output).shape.to_string(), Shape(shape).to_string());
      compare(function.type(output).dtype, outputs.at(function.name_of(output)),
              expected[i].at("data").get<std::vector<double>>());
    }
  }

 private:
  Value tensor(const json& value) {
    const std::string name = "in_" + std::to_string(inputs_.size());
    inputs_[name] = value.at("data").get<std::vector<double>>();
    const Shape shape(value.at("shape").get<std::vector<std::int64_t>>());
    return builder_.input(name, Type::tensor(dtype_of(value.at("type")), shape));
  }

  Builder::Argument argument(const ParamDef& param, const json& value) {
    if (value.is_array()) {
      std::vector<Value> values;
      for (const json& item : value) values.push_back(tensor(item));
      return {param.name, values};
    }
    if (!value.contains("constant")) return {param.name, tensor(value)};
    const json& constant = value.at("constant");
    if (constant.is_string()) return {param.name, Constant::string(constant)};
    if (constant.is_boolean()) return {param.name, constant.get<bool>()};
    if (constant.is_number_integer()) return {param.name, constant.get<std::int64_t>()};
    if (constant.is_number()) return {param.name, constant.get<double>()};
    if (constant.at(0).is_boolean()) {
      std::vector<double> bits;
      for (const json& bit : constant) bits.push_back(bit.get<bool>() ? 1 : 0);
      return {param.name,
              Constant::numbers(DType::boolean, {static_cast<std::int64_t>(bits.size())}, bits)};
    }
    return {param.name, constant.get<std::vector<std::int64_t>>()};
  }

  // The file has 14 digits; both sides sum up to some hundred numbers in double. Integers are
  // rounded by the caller.
  void compare(DType dtype, const std::vector<double>& values,
               const std::vector<double>& expected) const {
    ASSERT_EQ(values.size(), expected.size());
    double largest = 0;
    for (const double value : expected) largest = std::max(largest, std::abs(value));
    const double tolerance = 1e-13 * largest;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double value = is_float(dtype) ? values[i] : std::trunc(values[i]);
      EXPECT_NEAR(value, expected[i], std::max(tolerance, 1e-13 * std::abs(expected[i])))
          << record_.at("op") << " element " << i;
    }
  }

  const json& record_;
  Program program_;
  Builder builder_;
  TensorMap<double> inputs_;
};

TEST(OpGolden, EveryOperationAgreesWithNumpyAndTorch) {
  std::ifstream file(test::source_root() / "tests/mil/golden/op_golden.json");
  const json cases = json::parse(file);
  std::set<std::string> seen;
  for (const json& record : cases) {
    SCOPED_TRACE(record.at("op").get<std::string>() + " " +
                 record.at("args").dump().substr(0, 300));
    Case(record).check();
    seen.insert(record.at("op"));
    if (::testing::Test::HasFatalFailure()) return;
  }
  for (const OpDef* def : all_ops()) {
    if (def->kind == OpKind::const_) continue;
    EXPECT_TRUE(seen.count(std::string(def->name)) > 0) << def->name << " has no golden values";
  }
}

}  // namespace
}  // namespace anemone::mil
