// `anemone tokenize`: inputs, documents, files, and what it says to wrong command lines.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "anemone/base/file.h"
#include "anemone/text/token_file.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;

class TokenizeCommand : public testing::Test {
 protected:
  fs::path path(const char* name) const { return folder_.path() / name; }
  std::string put(const char* name, const std::string& text) const {
    fs::create_directories(path(name).parent_path());
    EXPECT_TRUE(write_file_atomically(path(name), text).ok());
    return path(name).string();
  }

  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "tokenize");
    const ProgramRun ran = run_program(std::move(arguments));
    printed_ = ran.output;
    return ran.code;
  }
  // Ids of the file "out".
  std::vector<text::TokenId> written() const {
    const text::TokenFile file(path("out"));
    std::vector<text::TokenId> ids(file.size());
    file.read(0, ids);
    return ids;
  }

  std::string printed_;
  TemporaryDirectory folder_;
};

TEST_F(TokenizeCommand, TakesFilesAndFoldersInOrder) {
  put("texts/b.txt", "b");
  put("texts/deep/c.txt", "c");
  put("texts/a.txt", "a<|endoftext|>\n");
  EXPECT_EQ(run({put("first", "1"), path("texts"), "--out", path("out")}), 0) << printed_;
  const std::string all = "1a<|endoftext|>\nbc";  // bytes stay as they are
  EXPECT_EQ(written(), std::vector<text::TokenId>(all.begin(), all.end()));
  EXPECT_NE(printed_.find("18 tokens of 4 documents, bytes (1.00 bytes a token)"),
            std::string::npos)
      << printed_;
}

TEST_F(TokenizeCommand, EachDocumentBegins) {
  ANEMONE_SHARED_OR_SKIP(vocabulary, "models/tok512.bin");
  const std::string two = put("two", "Once<|endoftext|>\nOnce");
  EXPECT_EQ(run({two, "--tokenizer", vocabulary, "--out", path("out")}), 0) << printed_;
  const std::vector<text::TokenId> once = text::load_tokenizer(vocabulary)->encode("Once");
  std::vector<text::TokenId> twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(written(), twice);

  EXPECT_EQ(run({put("lines", "Once\n\nOnce"), "--tokenizer", vocabulary, "--print-ids"}), 0);
  EXPECT_EQ(printed_, "1 429 491 433 295\n1\n1 429 491 433 295\n");
}

TEST_F(TokenizeCommand, SaysWhatIsWrong) {
  const std::string text = put("text", "a");
  EXPECT_EQ(run({text}), 2);
  EXPECT_NE(printed_.find("--out FILE or --print-ids"), std::string::npos) << printed_;
  EXPECT_EQ(run({text, "--out", path("out"), "--print-ids"}), 2);
  EXPECT_EQ(run({path("nothing"), "--out", path("out")}), 1);
  EXPECT_NE(printed_.find("nothing"), std::string::npos) << printed_;
  EXPECT_FALSE(fs::exists(path("out")));
  EXPECT_EQ(run({text, "--out", path("out"), "--tokenizer", "word"}), 1);
  EXPECT_NE(printed_.find("\"bytes\" or"), std::string::npos) << printed_;
  EXPECT_EQ(run({text, "--out", "/dev/full/x"}), 1);
  fs::create_directory(path("empty"));
  EXPECT_EQ(run({path("empty"), "--out", path("out")}), 1);
  EXPECT_NE(printed_.find("no files below"), std::string::npos) << printed_;
}

}  // namespace
}  // namespace anemone::test
