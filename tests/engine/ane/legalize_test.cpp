// legalize: ports, names, arguments, blob files, and what it refuses.
#include "anemone/engine/ane/legalize.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/mil/parser.h"
#include "tests/engine/ane/legal_case.h"
#include "tests/support/default_layer.h"
#include "tests/support/shared.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

using engine::ane::BlobFiles;
using engine::ane::find_target;
using engine::ane::legalize;
using engine::ane::LegalizedProgram;

// A program with one function; `main` may stand for its inputs, body and outputs.
mil::Program program_of(const std::string& inputs, const std::string& body,
                        const std::string& outputs) {
  return mil::parse_program(
      fmt::format("program(1.3)\n{{\n    func main<ios18>({}) {{\n{}\n        }} -> ({});\n}}\n",
                  inputs, body, outputs),
      "test.mil");
}

TEST(Legalize, PacksAndSaysWhereEachTensorLies) {
  auto kernels = nn::layer_kernels(small_layer(12, 20, 8), "six");
  const LegalizedProgram legal = legalize(kernels[2].program, find_target("m4"), {});  // ffn_bwd
  const auto& function = legal.functions.at(0);
  ASSERT_EQ(function.input_buffers.size(), 1U);
  ASSERT_EQ(function.output_buffers.size(), 1U);
  EXPECT_EQ(function.input_buffers[0].name, "a_input0");
  EXPECT_EQ(function.output_buffers[0].name, "z_output0");
  EXPECT_EQ(function.input_buffers[0].type.shape, (Shape{1, 52, 1, 8}));
  ASSERT_EQ(function.inputs.size(), 3U);
  EXPECT_EQ(function.inputs[1].name, "h1");
  EXPECT_EQ(function.inputs[1].channel, 12);
  EXPECT_EQ(function.inputs[2].channel, 32);
  EXPECT_EQ(function.outputs[2].name, "dh3");
  EXPECT_EQ(function.outputs[2].channel, 32);
}

TEST(Legalize, LeavesPortsApartWhereAsked) {
  auto kernels = nn::layer_kernels(small_layer(12, 20, 8), "six");
  engine::ane::LegalizeOptions options;
  options.pack_io = false;
  const LegalizedProgram legal = legalize(kernels[2].program, find_target("m4"), options);
  const auto& function = legal.functions.at(0);
  ASSERT_EQ(function.input_buffers.size(), 3U);
  EXPECT_EQ(function.input_buffers[2].name, "a_input2");
  EXPECT_EQ(function.inputs[2].buffer, 2);
  EXPECT_EQ(function.inputs[2].channel, 0);
}

TEST(Legalize, ManyInputsSortAsTheyAreCounted) {
  std::string inputs, sum = "p0";
  std::string body;
  for (int i = 0; i < 12; ++i) {
    inputs += fmt::format("{}tensor<fp16, [1, {}, 1, 4]> p{}", i == 0 ? "" : ", ", 1, i);
    if (i == 0) continue;
    body += fmt::format("tensor<fp16, [1, 1, 1, 4]> s{} = add(x = {}, y = p{});", i, sum, i);
    sum = fmt::format("s{}", i);
  }
  engine::ane::LegalizeOptions options;
  options.pack_io = false;
  const LegalizedProgram legal =
      legalize(program_of(inputs, body, "s11"), find_target("m4"), options);
  EXPECT_EQ(legal.functions[0].input_buffers[2].name, "a_input02");
  EXPECT_EQ(legal.functions[0].input_buffers[11].name, "a_input11");
}

TEST(Legalize, Fp32PortsBecomeFp16) {
  const mil::Program program =
      program_of("tensor<fp32, [1, 4, 1, 8]> wide",
                 "tensor<fp16, [1, 4, 1, 8]> h = cast(x = wide, dtype = string(\"fp16\"));"
                 "tensor<fp16, [1, 4, 1, 8]> s = sigmoid(x = h);"
                 "tensor<fp32, [1, 4, 1, 8]> result = cast(x = s, dtype = string(\"fp32\"));",
                 "result");
  const LegalizedProgram legal = legalize(program, find_target("m1"), {});
  EXPECT_EQ(legal.text.find("cast("), std::string::npos) << legal.text;
  EXPECT_EQ(legal.text.find("fp32"), std::string::npos) << legal.text;
  EXPECT_EQ(legal.functions[0].inputs[0].name, "wide");
  EXPECT_EQ(legal.functions[0].inputs[0].type.dtype, DType::fp16);
  EXPECT_EQ(legal.functions[0].outputs[0].name, "result");
  const auto inputs = random_inputs(program.main(), -2, 2);
  mil::ConstantSource constants;
  EXPECT_EQ(evaluate_legal(legal, "main", inputs, nullptr).at("result"),
            mil::evaluate(program.main(), inputs, constants).at("result"));
}

TEST(Legalize, ReservedNamesAndAnInputAsOutput) {
  const mil::Program program = program_of("tensor<fp16, [1, 4, 1, 8]> x",
                                          "tensor<fp16, [1, 4, 1, 8]> mean = sigmoid(x = x);"
                                          "tensor<fp16, [1, 4, 1, 8]> z_output0 = tanh(x = mean);",
                                          "mean, x, z_output0");
  engine::ane::LegalizeOptions options;
  options.pack_io = false;
  const LegalizedProgram legal = legalize(program, find_target("m4"), options);
  EXPECT_EQ(legal.text.find(" mean "), std::string::npos) << legal.text;
  EXPECT_EQ(legal.text.find("x = x"), std::string::npos) << legal.text;
  ASSERT_EQ(legal.functions[0].output_buffers.size(), 3U);
  const auto inputs = random_inputs(program.main(), -2, 2);
  const auto outputs = evaluate_legal(legal, "main", inputs, nullptr);
  EXPECT_EQ(outputs.at("x"), inputs.at("x"));
}

TEST(Legalize, FunctionsOfAProgramShareFilesAndNoNames) {
  auto kernels = nn::layer_kernels(small_layer(12, 20, 8), "six");
  mil::Program program = kernels[0].program;  // fwd_attn, then sdpa_bwd1: both with a mask
  program.functions[0].name = "first";
  program.functions.push_back(kernels[3].program.main());
  program.functions[1].name = "second";
  const LegalizedProgram legal = legalize(program, find_target("m4"), {});
  ASSERT_EQ(legal.functions.size(), 2U);
  EXPECT_EQ(legal.functions[0].input_buffers[0].name, "a_f0_input0");
  EXPECT_EQ(legal.functions[1].input_buffers[0].name, "a_f1_input0");
  const auto masks = std::count_if(legal.blobs.begin(), legal.blobs.end(), [](const auto& blob) {
    return blob.path.find("mask") != std::string::npos;
  });
  EXPECT_EQ(masks, 1);
  const LayerCase layer(small_layer(12, 20, 8), 8);
  mil::ConstantSource constants(&layer.weights);
  for (const mil::Function& function : program.functions) {
    const auto inputs = random_inputs(function, -1, 1);
    EXPECT_EQ(evaluate_legal(legal, function.name, inputs, &layer.weights),
              mil::evaluate(function, inputs, constants))
        << function.name;
  }
}

// Bytes of one file with the store's present values.
std::string bytes_of(const engine::ane::LegalBlob& blob, const mil::WeightStore& weights) {
  mil::ConstantSource constants(&weights);
  std::string bytes(blob.bytes(), '?');
  blob.write(constants, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

TEST(Legalize, BlobFilesHoldTheWeightsAndFollowThem) {
  auto kernels = nn::layer_kernels(small_layer(12, 20, 8), "six");
  const nn::StepGraph graph = nn::layer_step(small_layer(12, 20, 8), "six");
  std::vector<std::vector<float>> values;
  mil::WeightStore weights;
  for (const nn::ParameterSpec& spec : graph.parameters) {
    std::vector<float> numbers(static_cast<std::size_t>(spec.shape.elements()));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
    values.push_back(std::move(numbers));
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    weights.add(graph.parameters[i].name, graph.parameters[i].shape, values[i]);
  const LegalizedProgram legal =
      legalize(kernels[3].program, find_target("m4"), {});  // sdpa_bwd1: mask, wo_t
  ASSERT_EQ(legal.blobs.size(), 2U);
  for (const auto& blob : legal.blobs) {
    const bool is_mask = blob.path == "@model_path/weights/mask.bin";
    EXPECT_EQ(blob.from_weights, !is_mask) << blob.path;
    const std::string before = bytes_of(blob, weights);
    const mil::BlobReader reader(std::as_bytes(std::span(before)), blob.path);
    const mil::BlobRecord record = reader.record(mil::kFirstBlobRecord);
    EXPECT_EQ(record.dtype, DType::fp16);
    EXPECT_EQ(reader.count(), 1U);
    if (!is_mask) {
      EXPECT_EQ(blob.path, "@model_path/weights/l0.wo_t.bin");
      EXPECT_EQ(load_element(DType::fp16, record.data.data(), 1), 12) << "transposed";
    }
    for (auto& numbers : values) numbers.back() += 1;
    EXPECT_EQ(bytes_of(blob, weights) == before, is_mask);
  }
}

TEST(Legalize, OneFileWhereTheTargetTakesIt) {
  const LayerCase layer(small_layer(12, 20, 8), 3);
  auto kernels = nn::layer_kernels(layer.config, "six");
  engine::ane::LegalizeOptions options;
  options.blob_files = BlobFiles::single;
  const LegalizedProgram single = legalize(kernels[0].program, find_target("m4"), options);
  ASSERT_EQ(single.blobs.size(), 1U);
  EXPECT_EQ(single.blobs[0].path, "@model_path/weights/weights.bin");
  EXPECT_EQ(single.blobs[0].tensors.size(), 6U);
  const LegalizedProgram apart = legalize(kernels[0].program, find_target("m4"), {});
  const auto inputs = random_inputs(kernels[0].program.main(), -1, 1);
  EXPECT_EQ(evaluate_legal(single, "main", inputs, &layer.weights),
            evaluate_legal(apart, "main", inputs, &layer.weights));

  const LegalizedProgram old = legalize(kernels[0].program, find_target("m1"), options);
  EXPECT_EQ(old.blobs.size(), 6U);
  EXPECT_TRUE(std::any_of(old.notes.begin(), old.notes.end(),
                          [](const auto& note) { return note.rule == 45; }));
}

struct Refused {
  std::string inputs, body;  // ends in `r`
  std::vector<std::string> says;
};

TEST(Legalize, RefusalsNameOperationRuleAndHelp) {
  const std::string wide = "tensor<fp32, [1, 4, 1, 8]>", half = "tensor<fp16, [1, 4, 1, 8]>";
  const std::vector<Refused> all = {
      {half + " u, tensor<fp16, [2, 4, 1, 1]> w",
       "tensor<fp16, [1, 2, 1, 8]> r = conv(x = u, weight = w);",
       {"k:4: conv r", "weight is computed", "(rule 35)", "matmul"}},
      {wide + " u", wide + " r = sigmoid(x = u);", {"k:3: input u", "(rule 28)", "fp16"}},
      {half + " u",
       wide + " c = cast(x = u, dtype = string(\"fp32\"));" + wide + " s = sigmoid(x = c);" + half +
           " r = cast(x = s, dtype = string(\"fp16\"));",
       {"cast c", "computes in fp32", "(rule 28)", "--precision fp16"}},
      {half + " u, tensor<int32, [1, 4, 1, 8]> n",
       half + " r = sigmoid(x = u);",
       {"input n", "int32", "(rule 28)"}},
      {half + " u",
       "tensor<int32, [1, 4, 1, 8]> n = cast(x = u, dtype = string(\"int32\"));" + half +
           " r = cast(x = n, dtype = string(\"fp16\"));",
       {"cast n", "(rule 15)"}},
      {half + " u", "fp16 r = const()[val = fp16(1)];", {"output r", "constant", "(rule 7)"}},
      {"tensor<fp16, [1, 1, 1, 1, 1, 8]> u",
       "tensor<fp16, [1, 1, 1, 1, 1, 8]> r = sigmoid(x = u);",
       {"input u", "(rule 27)", "rank 5"}},
      {"tensor<fp16, [1, 1, 1, 20000]> u",
       "tensor<fp16, [1, 1, 1, 20000]> r = sigmoid(x = u);",
       {"input u", "(rule 31)", "16384"}},
  };
  for (const Refused& refused : all) {
    try {
      legalize(program_of(refused.inputs, refused.body, "r"), find_target("m4"), {.name = "k"});
      ADD_FAILURE() << "accepted: " << refused.body;
    } catch (const Error& error) {
      const std::string what = error.what();
      for (const std::string& part : refused.says)
        EXPECT_NE(what.find(part), std::string::npos) << part << " in " << what;
    }
  }
}

TEST(Legalize, RefusesTooManyBlobs) {
  std::string body, last = "u";
  for (int i = 0; i < 17; ++i) {
    body += fmt::format(
        "tensor<fp16, [1, 16, 1, 1]> w{0} = const()[val = tensor<fp16, [1, 16, 1, 1]>("
        "BLOBFILE(path = string(\"@model_path/weights/w.bin\"), offset = uint64({1})))];"
        "tensor<fp16, [1, 16, 1, 8]> s{0} = mul(x = {2}, y = w{0});",
        i, 64 * (i + 1), last);
    last = fmt::format("s{}", i);
  }
  try {
    legalize(program_of("tensor<fp16, [1, 16, 1, 8]> u", body, last), find_target("m4"), {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("17 constants in blob files (rule 52)"),
              std::string::npos)
        << error.what();
  }
}

// Programs of others: legalized, or refused with a rule.
TEST(Legalize, RealProgramsWithoutCrash) {
  ANEMONE_SHARED_OR_SKIP(folder, "mil/text");
  int legalized = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".mil") continue;
    for (const char* target : {"m1", "m4"}) {
      mil::Program program;
      try {
        program = mil::load_program(entry.path());
      } catch (const Error&) {
        continue;  // operations that the language does not have
      }
      try {
        const LegalizedProgram legal = legalize(program, find_target(target), {});
        EXPECT_NO_THROW(mil::parse_program(legal.text));
        ++legalized;
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("(rule "), std::string::npos) << error.what();
      }
    }
  }
  EXPECT_GT(legalized, 0);
}

}  // namespace
}  // namespace anemone::test
