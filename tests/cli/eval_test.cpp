// `anemone eval`: figures of real models, agreement with a run's own validation, and what it says
// to wrong command lines.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "anemone/base/file.h"
#include "anemone/base/random.h"
#include "anemone/text/token_file.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class EvalCommand : public testing::Test {
 protected:
  fs::path path(const std::string& name) const { return folder_.path() / name; }
  std::string put(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(write_file_atomically(path(name), text).ok());
    return path(name).string();
  }
  std::string put_tokens(const std::string& name, const std::vector<text::TokenId>& ids,
                         std::uint64_t vocabulary = 256) const {
    text::TokenWriter writer(path(name), vocabulary);
    writer.write(ids);
    EXPECT_TRUE(writer.finish().ok());
    return path(name).string();
  }

  int run(const std::string& command, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), command);
    const ProgramRun ran = run_program(std::move(arguments));
    printed_ = ran.output;
    return ran.code;
  }
  Json eval(std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    EXPECT_EQ(run("eval", std::move(arguments)), 0) << printed_;
    return Json::parse(printed_, nullptr, /*allow_exceptions=*/false);
  }
  void expect_refused(std::vector<std::string> arguments, int code, const std::string& part) {
    EXPECT_EQ(run("eval", std::move(arguments)), code) << printed_;
    EXPECT_NE(printed_.find(part), std::string::npos) << printed_;
  }

  std::string printed_;
  TemporaryDirectory folder_;
};

// Figures of llama2.c's own arithmetic (shared/README.md).
TEST_F(EvalCommand, RealModels) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  struct Figure {
    const char* name;
    double mean_nll;
    int tokens;
  };
  // The first model has 128 positions, and its file one id more.
  for (const Figure& figure :
       {Figure{"aidreams260K", 0.7995894, 127}, Figure{"stories260K", 0.9803327, 256}}) {
    const std::string model = (models / (std::string(figure.name) + ".bin")).string();
    const std::string ids = (models / (std::string(figure.name) + ".greedy.txt")).string();
    for (const auto& [precision, tolerance] : {std::pair("fp32", 1e-4), {"fp16", 1e-2}}) {
      const Json result = eval({"--model", model, "--ids", ids, "--precision", precision});
      EXPECT_NEAR(result.at("mean_nll"), figure.mean_nll, tolerance) << figure.name << precision;
      EXPECT_EQ(result.at("tokens"), figure.tokens);
      EXPECT_DOUBLE_EQ(result.at("perplexity"), std::exp(result.at("mean_nll").get<double>()));
    }
  }
}

// A run folder, a checkpoint of it, and all ways to give the same tokens.
TEST_F(EvalCommand, AgreesWithTheValidationOfARun) {
  SplitMix64 random(3);
  std::vector<text::TokenId> ids(240);
  for (text::TokenId& id : ids) id = static_cast<text::TokenId>(65 + random.next() % 20);
  const std::string all = put_tokens("all.tokens", ids);
  const std::vector<text::TokenId> held(ids.begin() + 180, ids.end());
  const std::string config = put(
      "run.toml",
      fmt::format("[model]\ndim = 16\nhidden = 24\nheads = 2\nlayers = 2\nvocab = 256\nseq = 16\n"
                  "rope = \"pairs\"\n[data]\nsource = \"tokens\"\npath = \"{}\"\n"
                  "validation_fraction = 0.25\n[train]\nsteps = 12\naccumulate = 3\n"
                  "learning_rate = 0.01\n[engine]\nprecision = \"fp32\"\nthreads = 1\n",
                  all));
  const std::string folder = path("run").string();
  ASSERT_EQ(run("train", {"--config", config, "--out", folder}), 0) << printed_;
  double validated = 0;
  std::istringstream lines(read_text_file(path("run") / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line);
    if (json.at("type") == "validation") validated = json.at("loss");
  }
  ASSERT_GT(validated, 0);

  const std::vector<std::string> common = {"--precision", "fp32",        "--threads",
                                           "1",           "--tokenizer", "bytes"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    return eval(more);
  };
  const Json result = with({"--model", folder, "--data", put_tokens("held.tokens", held)});
  EXPECT_NEAR(result.at("mean_nll"), validated, 1e-6 * validated);
  EXPECT_EQ(result.at("tokens"), 59);
  EXPECT_NEAR(result.at("bits_per_byte"), validated / std::log(2.0), 1e-5);
  const Json again = with(
      {"--model", folder + "/checkpoints/step-00000012", "--data", path("held.tokens").string()});
  EXPECT_EQ(again.at("mean_nll"), result.at("mean_nll"));

  // Ids of another tokenizer, and another tokenizer.
  expect_refused({"--model", folder, "--data", put_tokens("other.tokens", held, 512)}, 1,
                 path("other.tokens").string() +
                     ": ids of a vocabulary of 512 tokens (expected 256, as the model " + folder);
  if (const auto vocabulary = shared_path("models/tok512.bin"))
    expect_refused({"--model", folder, "--data", path("held.tokens").string(), "--tokenizer",
                    vocabulary->string()},
                   1, "this tokenizer has 512 tokens (expected 256, as the model " + folder);

  // One window, given as ids.
  const std::vector<text::TokenId> few(held.begin(), held.begin() + 16);
  const Json file = with({"--model", folder, "--data", put_tokens("few.tokens", few)});
  const Json text = with(
      {"--model", folder, "--ids", put("few.txt", fmt::format(" {}\n", fmt::join(few, "\n\t")))});
  EXPECT_EQ(file.at("mean_nll"), text.at("mean_nll"));
  EXPECT_EQ(text.at("tokens"), 15);

  // Windows of 16, 16 and 8 ids, each by itself: as many bytes count as are predicted.
  const std::vector<text::TokenId> more(held.begin(), held.begin() + 40);
  const Json apart =
      with({"--model", folder, "--ids", put("more.txt", fmt::format("{}", fmt::join(more, " ")))});
  EXPECT_EQ(apart.at("tokens"), 15 + 15 + 7);
  EXPECT_NEAR(apart.at("bits_per_byte"), apart.at("mean_nll").get<double>() / std::log(2.0), 1e-9);
}

TEST_F(EvalCommand, WrongCommandLinesAreToldWhy) {
  const std::string ids = put("ids.txt", "1 2 3\n");
  expect_refused({"--ids", ids}, 2, "--model");
  expect_refused({"--model", "x"}, 2, "one of --text FILE, --data FILES and --ids FILE");
  expect_refused({"--model", path("none").string(), "--ids", ids}, 1, "none");
  // Before the model is read.
  expect_refused({"--model", "x", "--text", path("no.txt").string()}, 2, "no.txt");
  expect_refused({"--model", "x", "--ids", ids, "--engine", "gpu"}, 2, "--engine: no engine 'gpu'");
  expect_refused({"--model", "x", "--ids", path("no.ids").string()}, 1, "no.ids");
  expect_refused({"--model", "x", "--data", path("no.tokens").string()}, 1, "no.tokens");
  ANEMONE_SHARED_OR_SKIP(model, "models/aidreams260K.bin");
  const auto refused = [&](const std::string& text, const std::string& part) {
    expect_refused({"--model", model.string(), "--ids", put("bad.txt", text)}, 1, part);
  };
  refused("1 2 512", "'512' is no token of the model");
  refused("1 2x", "number 2: '2x' is no token");
  refused("1 -2", "'-2' is no token");
  refused("99999999999", "is no token");
  refused("7", "1 token: there is nothing to predict");
  refused("", "0 tokens: there is nothing to predict");
}

}  // namespace
}  // namespace anemone::test
