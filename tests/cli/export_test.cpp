// `anemone export` as a user runs it: what it writes loads again, holds the right weights, and
// errors are plain.
#include <gtest/gtest.h>

#include <algorithm>

#include "anemone/base/element.h"
#include "anemone/base/file.h"
#include "anemone/base/safetensors.h"
#include "anemone/mil/blob_file.h"
#include "anemone/mil/parser.h"
#include "anemone/nn/layer.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;

class ExportCommand : public testing::Test {
 protected:
  ExportCommand() {
    EXPECT_TRUE(write_file_atomically(folder() / "layer.toml",
                                      "[model]\ndim = 12\nhidden = 20\nheads = 3\nseq = 7\n")
                    .ok());
  }
  const fs::path& folder() const { return temporary_.path(); }
  fs::path out() const { return folder() / "kernels"; }

  int run(const std::vector<std::string>& more, std::string* printed = nullptr) const {
    std::vector<std::string> arguments = {"export", "--config", folder() / "layer.toml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    if (std::find(more.begin(), more.end(), "--out") == more.end()) {
      arguments.insert(arguments.end(), {"--out", out()});
    }
    const ProgramRun ran = run_program(std::move(arguments));
    if (printed != nullptr) *printed = ran.output;
    return ran.code;
  }

  std::vector<std::string> kernels() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(out()))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  TemporaryDirectory temporary_;
};

using Names = std::vector<std::string>;

TEST_F(ExportCommand, PacksTheSixKernels) {
  std::string printed;
  ASSERT_EQ(run({}, &printed), 0);
  EXPECT_NE(printed.find("dv 0-11, probs 12-32, dp 33-53"), std::string::npos) << printed;
  EXPECT_EQ(kernels(), (Names{"l0.ffn_bwd", "l0.fwd_attn", "l0.fwd_ffn", "l0.qkv_bwd",
                              "l0.sdpa_bwd1", "l0.sdpa_bwd2"}));
  for (const std::string& name : kernels()) {
    const mil::Program program = mil::load_program(out() / name / "model.mil");
    EXPECT_EQ(program.main().inputs.size(), 1U) << name;
    EXPECT_EQ(program.main().outputs.size(), 1U) << name;
  }
}

TEST_F(ExportCommand, NamedInAnotherPartition) {
  ASSERT_EQ(run({"--partition", "merged", "--io", "named", "--precision", "fp32"}), 0);
  EXPECT_EQ(kernels(), (Names{"l0.attn_bwd", "l0.ffn_bwd", "l0.fwd_attn", "l0.fwd_ffn"}));
  const mil::Program program = mil::load_program(out() / "l0.attn_bwd" / "model.mil");
  const mil::Function& function = program.main();
  ASSERT_EQ(function.inputs.size(), 4U);
  EXPECT_EQ(function.name_of(function.inputs[3]), "dx2");
  EXPECT_EQ(function.type(function.inputs[3]), mil::Type::tensor(DType::fp32, {1, 12, 1, 7}));
}

TEST_F(ExportCommand, WritesWhatTheNeuralEngineGets) {
  std::string printed;
  ASSERT_EQ(run({"--target", "m1"}, &printed), 0);
  EXPECT_NE(printed.find("a_input0 tensor<fp16, [1, 52, 1, 7]>: dy, h1 from 12, h3 from 32"),
            std::string::npos)
      << printed;
  EXPECT_NE(printed.find("reduce_mean mean_square: as a scaled reduce_sum (rule 10)"),
            std::string::npos)
      << printed;
  const mil::Program program = mil::load_program(out() / "l0.fwd_ffn" / "model.mil");
  EXPECT_EQ(program.version, "1.0");
  EXPECT_TRUE(fs::exists(out() / "l0.fwd_ffn" / "weights" / "l0.w1.bin"));

  EXPECT_EQ(run({"--target", "m9"}, &printed), 1);
  EXPECT_NE(printed.find("m4-pro"), std::string::npos) << printed;
  ASSERT_EQ(run({"--target", "m4", "--partition", "dynamic"}, &printed), 0);
  EXPECT_NE(printed.find("a_input1 tensor<fp16, [1, 12, 1, 1]>: norm1"), std::string::npos)
      << printed;
}

TEST_F(ExportCommand, TakesTheWeightsOfAFile) {
  nn::ModelConfig model;
  model.dim = 12;
  model.hidden = 20;
  model.heads = 3;
  model.seq = 7;
  std::vector<std::vector<float>> values;
  std::vector<NamedTensor> tensors;
  for (const nn::ParameterSpec& spec : nn::layer_step(model, "six").parameters) {
    std::vector<float>& numbers = values.emplace_back();
    for (std::int64_t i = 0; i < spec.shape.elements(); ++i) {
      numbers.push_back(static_cast<float>(values.size() * 1000 + static_cast<std::size_t>(i)));
    }
    tensors.push_back({spec.name, {DType::fp32, spec.shape, std::as_bytes(std::span(numbers))}});
  }
  const fs::path file = folder() / "weights.safetensors";
  ASSERT_TRUE(write_safetensors(file, tensors).ok());
  ASSERT_EQ(run({"--checkpoint", file}), 0);

  const std::vector<float>& w2 = values[5];  // [12, 20]
  const mil::BlobReader blob(out() / "l0.ffn_bwd" / "weights" / "l0.w2_t.bin");
  const mil::BlobRecord record = blob.record(64);
  ASSERT_EQ(record.data.size(), w2.size() * 2);
  for (std::size_t row = 0; row < 20; ++row) {
    for (std::size_t column = 0; column < 12; ++column) {
      EXPECT_EQ(load_element(DType::fp16, record.data.data(), row * 12 + column),
                round_to(DType::fp16, static_cast<double>(w2[column * 20 + row])));
    }
  }
}

// The classifier is the embedding: its rows are in both of its kernels.
TEST_F(ExportCommand, WritesTheKernelsOfALanguageModel) {
  const std::vector<std::string> model = {"--set", "model.vocab=9000", "--set", "model.rope=halves",
                                          "--set", "model.head_dim=8"};
  ASSERT_EQ(run(model), 0);
  EXPECT_EQ(kernels(),
            (Names{"classifier_bwd0", "classifier_bwd1", "l0.ffn_bwd", "l0.fwd_attn", "l0.fwd_ffn",
                   "l0.qkv_bwd", "l0.sdpa_bwd1", "l0.sdpa_bwd2", "logits0", "logits1"}));
  const mil::BlobReader blob(out() / "logits1" / "weights" / "embedding.part1.bin");
  const mil::BlobReader transposed(out() / "classifier_bwd1" / "weights" / "embedding.part1_t.bin");
  const mil::BlobRecord rows = blob.record(64), columns = transposed.record(64);
  ASSERT_EQ(rows.data.size(), 4500U * 12 * 2);
  ASSERT_EQ(columns.data.size(), rows.data.size());
  for (const std::size_t row : {0, 7, 4499}) {
    for (std::size_t c = 0; c < 12; ++c) {
      EXPECT_EQ(load_element(DType::fp16, rows.data.data(), row * 12 + c),
                load_element(DType::fp16, columns.data.data(), c * 4500 + row));
    }
  }
  std::vector<std::string> legal = model;
  legal.insert(legal.end(), {"--target", "m4"});
  ASSERT_EQ(run(legal), 0);
  for (const std::string& name : kernels()) {
    const ProgramRun lint = run_program({"lint", out() / name / "model.mil", "--target", "m4"});
    EXPECT_EQ(lint.code, 0) << lint.output;
  }
}

TEST_F(ExportCommand, MakesNoFolderForNoWeights) {
  ASSERT_EQ(run({}), 0);
  EXPECT_TRUE(fs::exists(out() / "l0.sdpa_bwd2" / "model.mil"));
  EXPECT_FALSE(fs::exists(out() / "l0.sdpa_bwd2" / "weights"));
}

TEST_F(ExportCommand, ReplacesItsFilesAndNoOthers) {
  ASSERT_EQ(run({}), 0);
  const fs::path kernel = out() / "l0.fwd_ffn", notes = kernel / "weights" / "notes.txt";
  const fs::path weight = kernel / "weights" / "l0.w1.bin";
  const std::string before = read_text_file(weight);
  ASSERT_TRUE(write_file_atomically(notes, "mine").ok());
  ASSERT_TRUE(write_file_atomically(kernel / "model.mil", "no program").ok());
  ASSERT_EQ(run({"--seed", "9"}), 0);
  EXPECT_EQ(read_text_file(notes), "mine");
  EXPECT_NE(read_text_file(weight), before);
  const ProgramRun check = run_program({"check", "--weights", kernel / "model.mil"});
  EXPECT_EQ(check.code, 0) << check.output;
}

TEST_F(ExportCommand, SaysWhyThereCanBeNoFolder) {
  std::string printed;
  EXPECT_EQ(run({"--out", ""}, &printed), 2);
  EXPECT_NE(printed.find("--out: no folder is given"), std::string::npos) << printed;
  const fs::path file = folder() / "file";
  ASSERT_TRUE(write_file_atomically(file, "text").ok());
  for (const fs::path& given : {file, file / "deeper"}) {
    EXPECT_EQ(run({"--out", given}, &printed), 1);
    EXPECT_EQ(printed, "anemone: error: " + file.string() + ": is not a folder\n");
  }
  EXPECT_EQ(read_text_file(file), "text");
}

TEST_F(ExportCommand, SaysWhatIsWrong) {
  std::string printed;
  EXPECT_EQ(run({"--partition", "seven"}, &printed), 2);
  EXPECT_NE(printed.find("six, merged"), std::string::npos) << printed;
  EXPECT_EQ(run({"--checkpoint", folder() / "nowhere"}, &printed), 1);
  EXPECT_NE(printed.find("nowhere"), std::string::npos) << printed;
  EXPECT_EQ(run({"--set", "model.heads=5"}, &printed), 2);
  EXPECT_NE(printed.find("model.heads"), std::string::npos) << printed;
  EXPECT_EQ(run({"--io", "boxed"}, &printed), 2);
}

}  // namespace
}  // namespace anemone::test
