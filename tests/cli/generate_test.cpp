// `anemone generate`: text, ids, JSON, statistics, and what it says to wrong command lines.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anemone/base/file.h"
#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

struct Result {
  int code;
  std::string output;
};

Result generate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {program_path().string(), "generate"});
  Process process(arguments);
  const int code = process.wait();
  return {code, process.output()};
}

TEST(GenerateCommand, WritesWhatLlama2cWrites) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const std::string model = (models / "aidreams260K.bin").string();
  const Result text = generate({"--model", model, "--temperature", "0", "--tokens", "20"});
  EXPECT_EQ(text.code, 0);
  EXPECT_EQ(text.output.rfind("\"Echoes of vectors unfold, a gentle hum", 0), 0U) << text.output;

  const Result ids = generate(
      {"--model", model, "--temperature", "0", "--tokens", "127", "--ids", "--precision", "fp32"});
  std::string expected = read_text_file(models / "aidreams260K.greedy.txt");
  for (char& c : expected) c = c == '\n' ? ' ' : c;
  expected.resize(expected.find_last_not_of(' ') + 1);
  EXPECT_EQ(expected.rfind(ids.output.substr(0, ids.output.size() - 1), 0), 0U) << ids.output;
  EXPECT_GT(ids.output.size(), 400U);
}

TEST(GenerateCommand, SaysHowFastItWasAsJson) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const Result result =
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
double said(const Result& result, const std::string& unit) {
  const std::size_t end = result.output.find(unit);
  if (end == std::string::npos) return -1;
  const std::size_t begin = result.output.find_last_not_of("0123456789.", end - 1) + 1;
  return std::stod(result.output.substr(begin, end - begin));
}

TEST(GenerateCommand, SaysHowFastItWas) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const Result result = generate({"--model", (models / "stories260K.bin").string(), "--stats"});
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
  const Result missing = generate({"--model", "nowhere.bin", "--prompt", "a"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.output.find("nowhere.bin: there is no such model"), std::string::npos)
      << missing.output;
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const std::string model = (models / "stories260K.bin").string();
  EXPECT_NE(generate({"--model", model, "--temperature", "-1"}).output.find("0 (greedy) or more"),
            std::string::npos);
  EXPECT_NE(generate({"--model", model, "--top-p", "0"}).output.find("above 0, at most 1"),
            std::string::npos);
  EXPECT_NE(generate({"--model", model, "--tokenizer", (models / "llama2-tokenizer.bin").string()})
                .output.find("expected at most 512"),
            std::string::npos);
  EXPECT_EQ(generate({"--model", model, "--ids", "--json"}).code, 2);
  EXPECT_EQ(generate({}).code, 2);
  const TemporaryDirectory folder;
  std::filesystem::copy_file(model, folder.path() / "m.bin");
  EXPECT_NE(generate({"--model", (folder.path() / "m.bin").string()}).output.find("tok512.bin"),
            std::string::npos);
}

}  // namespace
}  // namespace anemone::test
