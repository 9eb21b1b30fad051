// Which vocabulary is taken for a model, and which are refused.
#include "anemone/model/find_tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "anemone/base/error.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::model {
namespace {

namespace fs = std::filesystem;

class FindTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    const auto found = test::shared_path("models");
    if (!found.has_value()) GTEST_SKIP() << "test material is absent: models";
    small_ = *found / "tok512.bin";
    large_ = *found / "llama2-tokenizer.bin";
  }
  fs::path path(const char* name) const { return folder_.path() / name; }
  void put(const fs::path& vocabulary, const char* name) const {
    fs::copy_file(vocabulary, path(name), fs::copy_options::overwrite_existing);
  }
  static std::string complaint(const TokenizerWish& wish) {
    try {
      (void)find_tokenizer(wish);
    } catch (const Error& error) {
      return error.what();
    }
    return "taken";
  }

  test::TemporaryDirectory folder_;
  fs::path small_, large_;  // 512 and 32,000 tokens
};

TEST_F(FindTokenizer, TheMostParticularNameThatFits) {
  const fs::path model = path("m.bin");
  EXPECT_NE(complaint({model, 512})
                .find(path("m.tokenizer.bin").string() + " or " + path("tok512.bin").string() +
                      " or " + path("tokenizer.bin").string() + ", or --tokenizer FILE"),
            std::string::npos)
      << complaint({model, 512});
  put(small_, "tokenizer.bin");
  EXPECT_EQ(find_tokenizer({model, 512}).name, path("tokenizer.bin"));
  put(small_, "tok512.bin");
  EXPECT_EQ(find_tokenizer({model, 512}).name, path("tok512.bin"));
  EXPECT_EQ(find_tokenizer({folder_.path(), 512}).name, path("tok512.bin"));
  put(small_, "m.tokenizer.bin");
  EXPECT_EQ(find_tokenizer({model, 512}).name, path("m.tokenizer.bin"));
  EXPECT_EQ(find_tokenizer({path("n.bin"), 512}).name, path("tok512.bin"));

  put(large_, "m.tokenizer.bin");  // of another size: passed over
  EXPECT_EQ(find_tokenizer({model, 512}).name, path("tok512.bin"));
  fs::remove(path("tok512.bin"));
  put(large_, "tokenizer.bin");
  EXPECT_EQ(complaint({model, 512}),
            path("m.tokenizer.bin").string() + ": this tokenizer has 32000 tokens (expected 512, " +
                "as the model " + model.string() + ", or --tokenizer FILE)");
  EXPECT_EQ(find_tokenizer({model, 256}).name, "bytes");
}

TEST_F(FindTokenizer, AGivenOneMustFit) {
  const std::string small = small_.string();
  EXPECT_EQ(find_tokenizer({"m.bin", 512, "", small}).name, small);
  EXPECT_EQ(complaint({"m.bin", 32000, "", small}),
            small + ": this tokenizer has 512 tokens (expected 32000, as the model m.bin)");
  EXPECT_NE(complaint({"m.bin", 512, "", "bytes"}).find("bytes: this tokenizer has 256 tokens"),
            std::string::npos);
}

// A run may be trained with more tokens than its tokenizer has.
TEST_F(FindTokenizer, ARunsOwnMayHaveFewer) {
  const std::string small = small_.string();
  EXPECT_EQ(find_tokenizer({"run", 600, small}).name, small);
  EXPECT_EQ(find_tokenizer({"run", 600, small, small}).name, small);
  EXPECT_EQ(find_tokenizer({"run", 600, "bytes"}).name, "bytes");
  EXPECT_NE(complaint({"run", 600, small, "bytes"}).find("has 256 tokens"), std::string::npos);
  EXPECT_NE(complaint({"run", 600, "bytes", small}).find("has 512 tokens"), std::string::npos);
  EXPECT_NE(complaint({"run", 500, small}).find("has 512 tokens"), std::string::npos);
  EXPECT_TRUE(fits({"run", 600, small}, 600));
  EXPECT_TRUE(fits({"run", 600, small}, 512));
  EXPECT_FALSE(fits({"run", 600, small}, 256));
  EXPECT_FALSE(fits({"run", 600}, 512));

  // Where it is gone, one that was put into the run folder is taken.
  const std::string gone = path("gone.bin").string();
  EXPECT_NE(complaint({folder_.path(), 512, gone}).find("the run's, " + gone + ", is not there"),
            std::string::npos);
  put(small_, "tokenizer.bin");
  EXPECT_EQ(find_tokenizer({folder_.path(), 512, gone}).name, path("tokenizer.bin"));
}

}  // namespace
}  // namespace anemone::model
