// `anemone generate`: text, ids, JSON, statistics, and what it says to wrong command lines.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anemone/base/file.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

ProgramRun generate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "generate");
  return run_program(std::move(arguments));
}

TEST(GenerateCommand, WritesWhatLlama2cWrites) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const std::string model = (models / "aidreams260K.bin").string();
  const ProgramRun text = generate({"--model", model, "--temperature", "0", "--tokens", "20"});
  EXPECT_EQ(text.code, 0);
  EXPECT_EQ(text.output.rfind("\"Echoes of vectors unfold, a gentle hum", 0), 0U) << text.output;

  const ProgramRun ids = generate(
      {"--model", model, "--temperature", "0", "--tokens", "127", "--ids", "--precision", "fp32"});
  std::string expected = read_text_file(models / "aidreams260K.greedy.txt");
  for (char& c : expected) c = c == '\n' ? ' ' : c;
  expected.resize(expected.find_last_not_of(' ') + 1);
  EXPECT_EQ(expected.rfind(ids.output.substr(0, ids.output.size() - 1), 0), 0U) << ids.output;
  EXPECT_GT(ids.output.size(), 400U);
}

TEST(GenerateCommand, SaysHowFastItWasAsJson) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const ProgramRun result =
      generate({"--model", (models / "aidreams260K.bin").string(), "--prompt", "\"Echoes", "--json",
                "--stats", "--stop", "hum", "--temperature", "0"});
  ASSERT_EQ(result.code, 0) << result.output;
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["text"], " of vectors unfold, a gentle ");
  EXPECT_EQ(json["stop"], "a stop text");
  EXPECT_GT(json["tokens_per_second"], 0.0);
  EXPECT_GT(json["read_bytes_per_second"], 1e8);
  EXPECT_GT(json["bytes_per_token"], 400e3);
}

// The number in front of `unit`, in what --stats says; -1: there is none.
double said(const ProgramRun& result, const std::string& unit) {
  const std::size_t end = result.output.find(unit);
  if (end == std::string::npos) return -1;
  const std::size_t begin = result.output.find_last_not_of("0123456789.", end - 1) + 1;
  return std::stod(result.output.substr(begin, end - begin));
}

TEST(GenerateCommand, SaysHowFastItWas) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const ProgramRun result = generate({"--model", (models / "stories260K.bin").string(), "--stats"});
  EXPECT_GT(said(result, " tokens/s"), 0) << result.output;
  if (result.output.find("lies in the processor's cache") == std::string::npos) {
    EXPECT_GT(said(result, " %"), 0) << result.output;
    EXPECT_LE(said(result, " %"), 100) << result.output;
  }
}

// A model of 512 positions: few tokens need few of them, and are the same tokens.
TEST(GenerateCommand, HoldsCachesAsLongAsTheText) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const auto tokens = [&](const char* count, const char* what) {
    return generate({"--model", (models / "stories260K.bin").string(), "--temperature", "0",
                     "--tokens", count, what});
  };
  EXPECT_LT(said(tokens("20", "--stats"), " MB held"), said(tokens("400", "--stats"), " MB held"));
  std::string few = tokens("60", "--ids").output;
  few.pop_back();  // the end of the line
  EXPECT_GT(few.size(), 120U) << few;
  EXPECT_EQ(tokens("200", "--ids").output.rfind(few, 0), 0U) << few;
}

TEST(GenerateCommand, ExplainsWhatIsWrong) {
  const ProgramRun missing = generate({"--model", "nowhere.bin", "--prompt", "a"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.output.find("nowhere.bin: there is no such model"), std::string::npos)
      << missing.output;
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const std::string model = (models / "stories260K.bin").string();
  EXPECT_NE(generate({"--model", model, "--temperature", "-1"}).output.find("0 (greedy) or more"),
            std::string::npos);
  EXPECT_NE(generate({"--model", model, "--top-p", "0"}).output.find("above 0, at most 1"),
            std::string::npos);
  EXPECT_EQ(generate({"--model", model, "--ids", "--json"}).code, 2);
  EXPECT_EQ(generate({}).code, 2);
}

// Flags are looked at first: a long model would be loaded in vain.
TEST(GenerateCommand, WrongFlagsAreToldBeforeTheModelIsRead) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"--stop", ""}, "--stop: an empty text stops before it begins"},
      {{"--stop", "a", "--stop", ""}, "--stop: an empty text"},
      {{"--temperature", "-1"}, "--temperature: "},
      {{"--temperature", "nan"}, "--temperature: "},
      {{"--top-p", "1.5"}, "--top-p: "},
      {{"--top-k", "-3"}, "--top-k: "},
      {{"--tokens", "-3"}, "--tokens: "},
      {{"--precision", "fp8"}, "--precision: "},
      {{"--threads", "-1"}, "--threads: "},
      {{"--engine", "gpu"}, "--engine: no engine 'gpu' (expected auto, "}};
  for (const auto& [flags, part] : wrong) {
    std::vector<std::string> arguments = {"--model", "nowhere.bin"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const ProgramRun result = generate(arguments);
    EXPECT_EQ(result.code, 2) << result.output;
    EXPECT_NE(result.output.find(part), std::string::npos) << result.output;
  }
}

// Of all forms of a model: what is said names both numbers and both files.
TEST(GenerateCommand, ATokenizerOfAnotherSizeIsRefused) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const TemporaryDirectory folder;
  const std::string file = (folder.path() / "m.bin").string();
  std::filesystem::copy_file(models / "stories260K.bin", file);
  const std::string llama = (folder.path() / "llama").string();
  const ProgramRun converted = run_program({"convert", file, llama});
  ASSERT_EQ(converted.code, 0) << converted.output;
  const std::string large = (models / "llama2-tokenizer.bin").string();
  for (const std::string& model : {file, llama}) {
    const ProgramRun none = generate({"--model", model});
    EXPECT_EQ(none.code, 1);
    EXPECT_NE(none.output.find("no tokenizer of 512 tokens is found"), std::string::npos)
        << none.output;
    for (const std::string& given : {large, std::string("bytes")}) {
      const ProgramRun other = generate({"--model", model, "--tokenizer", given});
      EXPECT_EQ(other.code, 1);
      EXPECT_NE(
          other.output.find(given + ": this tokenizer has " + (given == "bytes" ? "256" : "32000") +
                            " tokens (expected 512, as the model " + model + ")"),
          std::string::npos)
          << other.output;
    }
  }
  std::filesystem::copy_file(large, folder.path() / "tokenizer.bin");
  const ProgramRun beside = generate({"--model", file});
  EXPECT_EQ(beside.code, 1);
  EXPECT_NE(beside.output.find("tokenizer.bin: this tokenizer has 32000 tokens (expected 512"),
            std::string::npos)
      << beside.output;
}

}  // namespace
}  // namespace anemone::test
