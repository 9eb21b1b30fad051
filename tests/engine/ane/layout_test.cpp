// Where tensors lie and which index names them: what a model reports is believed, what it leaves
// out follows from the rules, and what cannot be true is an error.
#include "anemone/engine/ane/driver/layout.h"

#include <gtest/gtest.h>

#include "anemone/base/error.h"

namespace anemone::engine::ane {
namespace {

DeclaredTensor tensor(std::string name, Shape shape, DType dtype = DType::fp16) {
  return {std::move(name), mil::Type::tensor(dtype, shape)};
}

DeclaredFunction one_in_one_out() {
  return {"main", {tensor("a_input0", {1, 8, 1, 48})}, {tensor("z_output0", {1, 4, 2, 48})}};
}

ReportedTensor reported(std::string symbol, std::int64_t channels, std::int64_t height,
                        std::int64_t width, std::int64_t row, std::int64_t plane,
                        std::int64_t batch) {
  ReportedTensor entry;
  entry.name = entry.symbol = std::move(symbol);
  entry.type = "Float16";
  entry.batches = entry.depth = entry.interleave = 1;
  entry.channels = channels;
  entry.height = height;
  entry.width = width;
  entry.row_stride = row;
  entry.plane_stride = plane;
  entry.batch_stride = batch;
  return entry;
}

Reported full_report() {
  Reported report;
  report.networks = {{"main",
                      {reported("a_input0", 8, 1, 48, 128, 192, 2048)},
                      {reported("z_output0@output", 4, 2, 48, 128, 256, 1024)}}};
  report.procedures = {{0, {0}, {0}}};
  report.procedure_ids = {{"main", 0}};
  report.input_symbols = {"a_input0"};
  report.output_symbols = {"z_output0@output"};
  return report;
}

std::vector<std::int64_t> strides(const TensorLayout& layout) {
  return {layout.strides, layout.strides + 4};
}

std::string problem(const DeclaredFunction& function, const Reported& report) {
  try {
    resolve_layout({function}, report);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(AneLayout, BelievesWhatIsReported) {
  const ModelLayout layout = resolve_layout({one_in_one_out()}, full_report());
  EXPECT_TRUE(layout.assumed.empty()) << layout.assumed.front();
  const FunctionLayout& main = layout.functions.at(0);
  EXPECT_EQ(strides(main.inputs[0]), (std::vector<std::int64_t>{2048, 192, 128, 2}));
  EXPECT_EQ(main.inputs[0].bytes, 2048);
  EXPECT_EQ(strides(main.outputs[0]), (std::vector<std::int64_t>{1024, 256, 128, 2}));
}

TEST(AneLayout, TakesRowsOf64BytesWhereNothingIsReported) {
  const ModelLayout layout = resolve_layout({one_in_one_out()}, {});
  const FunctionLayout& main = layout.functions.at(0);
  EXPECT_EQ(strides(main.inputs[0]), (std::vector<std::int64_t>{8 * 128, 128, 128, 2}));
  EXPECT_EQ(strides(main.outputs[0]), (std::vector<std::int64_t>{4 * 256, 256, 128, 2}));
  EXPECT_EQ(main.inputs[0].symbol, 0);
  EXPECT_EQ(layout.assumed.size(), 2u);
}

TEST(AneLayout, FallsBackForStridesAlone) {
  Reported report = full_report();
  for (ReportedTensor* entry : {&report.networks[0].inputs[0], &report.networks[0].outputs[0]})
    entry->row_stride = entry->plane_stride = entry->batch_stride = 0;
  const ModelLayout layout = resolve_layout({one_in_one_out()}, report);
  EXPECT_EQ(layout.functions[0].inputs[0].strides[2], 128);
  EXPECT_EQ(layout.assumed.size(), 2u);
}

TEST(AneLayout, IndicesAreThoseOfTheSymbols) {
  DeclaredFunction function{"main",
                            {tensor("first", {1, 1, 1, 32}), tensor("second", {1, 1, 1, 32})},
                            {tensor("y", {1, 1, 1, 32})}};
  Reported report;
  report.procedures = {{0, {0, 1}, {0}}};
  report.input_symbols = {"second", "first"};
  report.output_symbols = {"y@output"};
  FunctionLayout main = resolve_layout({function}, report).functions[0];
  EXPECT_EQ(main.inputs[0].symbol, 1);
  EXPECT_EQ(main.inputs[1].symbol, 0);

  // Nothing reported: alphabetical.
  function.inputs[0].name = "zebra";
  main = resolve_layout({function}, {}).functions[0];
  EXPECT_EQ(main.inputs[0].symbol, 1);
  EXPECT_EQ(main.inputs[1].symbol, 0);

  // Without names, a list of indices is alphabetical too.
  report.input_symbols.clear();
  report.procedures[0].inputs = {4, 7};
  main = resolve_layout({function}, report).functions[0];
  EXPECT_EQ(main.inputs[0].symbol, 7);
  EXPECT_EQ(main.inputs[1].symbol, 4);
}

TEST(AneLayout, FunctionsAreFoundByNameAndTheirIndicesAreGlobal) {
  const DeclaredFunction f{"f", {tensor("f_in", {1, 1, 1, 32})}, {tensor("f_out", {1, 1, 1, 32})}};
  const DeclaredFunction g{"g", {tensor("g_in", {1, 1, 1, 32})}, {tensor("g_out", {1, 1, 1, 32})}};
  Reported report;
  report.networks = {{"0@g",
                      {reported("g_in", 1, 1, 32, 128, 128, 128)},
                      {reported("g_out@output", 1, 1, 32, 64, 64, 64)}},
                     {"0@f",
                      {reported("f_in", 1, 1, 32, 64, 64, 64)},
                      {reported("f_out@output", 1, 1, 32, 64, 64, 64)}}};
  report.procedures = {{0, {0}, {0}}, {1, {1}, {1}}};
  report.procedure_ids = {{"0@g", 0}, {"0@f", 1}};
  report.input_symbols = {"g_in", "f_in"};
  report.output_symbols = {"g_out@output", "f_out@output"};
  const ModelLayout layout = resolve_layout({f, g}, report);
  EXPECT_EQ(layout.functions[0].procedure, 1);
  EXPECT_EQ(layout.functions[0].inputs[0].symbol, 1);
  EXPECT_EQ(layout.functions[1].procedure, 0);
  EXPECT_EQ(layout.functions[1].inputs[0].strides[2], 128);

  // Without a report: in the program's order, counted through.
  const ModelLayout assumed = resolve_layout({f, g}, {});
  EXPECT_EQ(assumed.functions[1].procedure, 1);
  EXPECT_EQ(assumed.functions[1].inputs[0].symbol, 1);
}

TEST(AneLayout, RefusesWhatCannotBeTrue) {
  const DeclaredFunction function = one_in_one_out();
  Reported report = full_report();
  report.networks[0].inputs[0].row_stride = 64;  // less than 48 numbers of 2 bytes
  EXPECT_NE(problem(function, report).find("strides of 2048, 192 and 64 bytes"), std::string::npos);
  report = full_report();
  report.networks[0].inputs[0].plane_stride = 193;
  EXPECT_NE(problem(function, report).find("193"), std::string::npos);
  report = full_report();
  report.networks[0].outputs[0].batch_stride = -64;
  EXPECT_EQ(problem(function, report), "");  // as if not reported
  report.networks[0].outputs[0].batch_stride = 64;
  EXPECT_NE(problem(function, report), "");
  report = full_report();
  report.networks[0].inputs[0].channels = 9;
  EXPECT_NE(problem(function, report).find("channels 9"), std::string::npos);
  report = full_report();
  report.networks[0].inputs[0].interleave = 4;
  EXPECT_NE(problem(function, report).find("interleave 4"), std::string::npos);
  report = full_report();
  report.networks[0].outputs[0].type = "Float32";
  EXPECT_NE(problem(function, report).find("Float32"), std::string::npos);
}

TEST(AneLayout, RefusesSymbolsItDoesNotKnow) {
  DeclaredFunction function = one_in_one_out();
  function.inputs.push_back(tensor("b_input1", {1, 1, 1, 32}));
  Reported report = full_report();
  report.input_symbols = {"a_input0", "other"};
  report.procedures[0].inputs = {0, 1};
  EXPECT_EQ(problem(function, report),
            "the compiled program has no input 'b_input1' (expected a_input0, other)");
}

TEST(AneLayout, EqualSizesWhereSizesAreNotReported) {
  const DeclaredFunction function{"main",
                                  {tensor("a", {1, 1, 1, 32}), tensor("b", {1, 4, 1, 32})},
                                  {tensor("y", {1, 1, 1, 32})}};
  const FunctionLayout main = resolve_layout({function}, {}).functions[0];
  EXPECT_EQ(main.inputs[0].bytes, 256);
  EXPECT_EQ(main.inputs[1].bytes, 256);
  EXPECT_EQ(main.outputs[0].bytes, 64);
}

TEST(AneLayout, FewerAxesStandAtTheEnd) {
  const DeclaredFunction function{"main", {tensor("a", {3, 5})}, {tensor("y", {})}};
  const FunctionLayout main = resolve_layout({function}, {}).functions[0];
  EXPECT_EQ(main.inputs[0].dims[2], 3);
  EXPECT_EQ(main.inputs[0].dims[3], 5);
  EXPECT_EQ(main.outputs[0].bytes, 64);
}

}  // namespace
}  // namespace anemone::engine::ane
