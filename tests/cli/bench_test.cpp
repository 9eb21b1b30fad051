// `anemone bench step`: layers and language models, and what it says to numbers of steps that
// cannot be.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/program.h"
#include "tests/support/shared.h"

namespace anemone {
namespace {

TEST(BenchCommand, SaysHowManyStepsThereMayBe) {
  for (const std::string steps : {"0", "-3", "1000001"}) {
    const test::ProgramRun ran = test::run_program(
        {"bench", "step", "--config", (test::source_root() / "configs/small.toml").string(),
         "--steps", steps});
    EXPECT_EQ(ran.code, 2);
    EXPECT_EQ(ran.output.find("anemone: error: --steps: " + steps +
                              " is out of range (expected 1 to 1000000)\n"),
              0U)
        << ran.output;
  }
}

nlohmann::json bench(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {
      "bench",   "step", "--config", (test::source_root() / "configs/small.toml").string(),
      "--steps", "2",    "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const test::ProgramRun ran = test::run_program(std::move(arguments));
  EXPECT_EQ(ran.code, 0) << ran.output;
  return nlohmann::json::parse(ran.output, nullptr, false);
}

TEST(BenchCommand, TimesLayers) {
  const nlohmann::json json = bench({});
  EXPECT_GT(json.at("ms_per_step"), 0);
  EXPECT_EQ(json.count("tokens_per_second"), 0U);
}

TEST(BenchCommand, TimesALanguageModel) {
  const nlohmann::json json = bench(
      {"--set", "model.vocab=8200", "--set", "model.rope=pairs", "--set", "model.tied=false"});
  EXPECT_GT(json.at("tokens_per_second"), 0);
  double classifier = 0;  // forward, backward and dW, in two parts
  for (const auto& part : json.at("parts")) {
    const std::string name = part.at("name");
    for (const char* kind : {"logits", "classifier_bwd", "dW classifier"})
      classifier += name.rfind(kind, 0) == 0 ? part.at("gflop").get<double>() : 0;
  }
  EXPECT_GT(classifier, 0);
  EXPECT_GT(json.at("model_flops").get<double>() / 1e9, classifier);
}

TEST(BenchCommand, WeighsAStepAndItsUpdate) {
  const nlohmann::json json = bench({});
  const auto& bytes = json.at("bytes");
  std::uint64_t sum = 0;
  for (const char* part : {"parameters", "packed", "tensors", "beyond"}) {
    EXPECT_GT(bytes.at(part), 0) << part;
    sum += bytes.at(part).get<std::uint64_t>();
  }
  EXPECT_GT(bytes.at("beyond"), bytes.at("further_forms"));
  EXPECT_GT(bytes.at("resident"), sum / 2);  // memory that was never touched is not resident
  EXPECT_GT(json.at("adam_gb_per_second"), 0);
  EXPECT_GT(json.at("gradient_norm_ms"), 0);
}

TEST(BenchCommand, WrongCommandLinesAreToldWhy) {
  const std::string config = (test::source_root() / "configs/small.toml").string();
  struct Case {
    std::vector<std::string> arguments;
    std::string part;
  };
  for (const Case& bad : {Case{{"bench"}, "subcommand"},
                          {{"bench", "sweep"}, "--config"},
                          {{"bench", "sweep", "--config", config, "--steps", "3"}, "--steps"},
                          {{"bench", "step", "--config", config, "--steps", "0"}, "--steps"},
                          {{"bench", "sweep", "--config", config, "--engine", "gpu"}, "gpu"}}) {
    const test::ProgramRun ran = test::run_program(bad.arguments);
    EXPECT_EQ(ran.code, 2) << ran.output;
    EXPECT_TRUE(ran.says(bad.part)) << ran.output;
  }
}

}  // namespace
}  // namespace anemone
