// Text as training data: its cache of token ids, and runs on it.
#include "anemone/train/text_cache.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/text/token_file.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/run_case.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;

class TextCache : public ::testing::Test {
 protected:
  void SetUp() override { ::setenv("XDG_CACHE_HOME", cache().c_str(), 1); }
  void TearDown() override { ::unsetenv("XDG_CACHE_HOME"); }

  fs::path cache() const { return folder_.path() / "cache"; }
  std::string put(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_.path() / name).parent_path());
    EXPECT_TRUE(write_file_atomically(folder_.path() / name, text).ok());
    return (folder_.path() / name).string();
  }
  CachedText cached(const std::vector<std::string>& inputs) const {
    return cache_text(inputs, "bytes", cache());
  }
  std::size_t cached_files() const {
    std::size_t count = 0;
    if (!fs::exists(cache())) return 0;
    for ([[maybe_unused]] const auto& entry : fs::recursive_directory_iterator(cache()))
      count += entry.is_regular_file();
    return count;
  }
  test::TemporaryDirectory folder_;
};

TEST_F(TextCache, IsMadeOnceAndFoundAgain) {
  const std::string file = put("a.txt", "hello");
  const CachedText first = cached({file}), second = cached({file});
  EXPECT_TRUE(first.made);
  EXPECT_FALSE(second.made);
  EXPECT_EQ(first.tokens, second.tokens);
  EXPECT_EQ(first.bytes, 5U);
  const text::TokenFile tokens(first.tokens);
  EXPECT_EQ(tokens.vocabulary(), 256U);
  std::vector<text::TokenId> ids(tokens.size());
  tokens.read(0, ids);
  EXPECT_EQ(ids, (std::vector<text::TokenId>{'h', 'e', 'l', 'l', 'o'}));
  EXPECT_EQ(cached_files(), 1U);
}

TEST_F(TextCache, FollowsTheContentNotTheName) {
  const CachedText first = cached({put("a.txt", "hello")});
  EXPECT_FALSE(cached({put("b.txt", "hello")}).made);
  EXPECT_NE(cached({put("a.txt", "hullo")}).tokens, first.tokens);
  // Where one file ends and the next begins is part of it.
  EXPECT_NE(cached({put("x", "he"), put("y", "llo")}).tokens,
            cached({put("x", "hel"), put("y", "lo")}).tokens);
  put("d/2", "llo");
  put("d/1", "he");
  EXPECT_EQ(cached({(folder_.path() / "d").string()}).files, 2U);
}

TEST_F(TextCache, ADamagedFileIsMadeAnew) {
  const std::string file = put("a.txt", "hello");
  const fs::path tokens = cached({file}).tokens;
  const std::string good = read_text_file(tokens);
  for (std::size_t size = 0; size < good.size(); ++size) {
    ASSERT_TRUE(write_file_atomically(tokens, good.substr(0, size)).ok());
    const CachedText again = cached({file});
    EXPECT_TRUE(again.made) << size;
    EXPECT_FALSE(again.replaced.empty()) << size;
    ASSERT_EQ(read_text_file(tokens), good);
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string damaged = good;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    ASSERT_TRUE(write_file_atomically(tokens, damaged).ok());
    std::vector<text::TokenId> ids(5);
    text::TokenFile(cached({file}).tokens).read(0, ids);
    ASSERT_EQ(ids, (std::vector<text::TokenId>{'h', 'e', 'l', 'l', 'o'})) << at;
  }
}

TEST_F(TextCache, NothingIsLeftWhereItCannotBeMade) {
  EXPECT_THROW(cached({put("empty", "")}), Error);
  EXPECT_THROW(cached({(folder_.path() / "missing").string()}), Error);
  fs::create_directories(folder_.path() / "none");
  EXPECT_THROW(cached({(folder_.path() / "none").string()}), Error);
  EXPECT_THROW(cache_text(std::vector<std::string>{put("a", "b")}, "no-such-tokenizer", cache()),
               Error);
  EXPECT_EQ(cached_files(), 0U);
  const std::string file = put("file", "text");
  EXPECT_THROW(cache_text(std::vector{file}, "bytes", file), Error);
  struct Stop {};
  int calls = 0;
  EXPECT_THROW(cache_text(std::vector{file}, "bytes", cache(),
                          [&] {
                            if (++calls == 2) throw Stop();
                          }),
               Stop);
  EXPECT_EQ(cached_files(), 0U);
}

TEST_F(TextCache, IsWhereTheEnvironmentSays) {
  EXPECT_EQ(cache_folder(), cache() / "anemone");
  ::setenv("XDG_CACHE_HOME", "relative", 1);  // as its specification wants: ignored
  const char* home = std::getenv("HOME");
  if (home != nullptr && fs::path(home).is_absolute()) {
    EXPECT_EQ(cache_folder(), fs::path(home) / ".cache/anemone");
  }
}

std::vector<std::string> text_job(const std::string& path) {
  return {"data.source=text", "data.path=\"" + path + "\"", "model.vocab=256",
          "data.validation_fraction=0.2", "train.steps=6"};
}

TEST_F(TextCache, ARunTrainsOnText) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "abcabcab";
  const std::string file = put("a.txt", text);
  test::RunCase whole(text_job(file)), interrupted(text_job(file));
  ASSERT_EQ(whole.run().outcome, Outcome::finished);
  EXPECT_LT(whole.losses().back(), whole.losses().front());
  EXPECT_TRUE(whole.said("320 bytes of text in 1 file (bytes; "));
  ASSERT_EQ(interrupted.run_until(4, false).outcome, Outcome::interrupted);
  // Other text is another run: its hash is part of what the data is said to be.
  ASSERT_EQ(interrupted.resume().outcome, Outcome::finished);
  EXPECT_EQ(interrupted.losses(), whole.losses());
  EXPECT_EQ(interrupted.weights(), whole.weights());
}

TEST_F(TextCache, AVocabularyTooSmallIsAnError) {
  std::vector<std::string> job = text_job(put("a.txt", std::string(100, 'a')));
  job.emplace_back("model.vocab=255");
  test::RunCase run(job);
  try {
    run.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "model.vocab");
    EXPECT_EQ(error.expected(), "256");
  }
}

}  // namespace
}  // namespace anemone::train
