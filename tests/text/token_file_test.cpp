// Files of token ids: what is written comes back, other trainers' files are read, damage is told.
#include "anemone/text/token_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>

#include "anemone/base/error.h"
#include "anemone/text/token_shards.h"
#include "tests/support/temporary_directory.h"

namespace anemone::text {
namespace {

namespace fs = std::filesystem;

template <class T>
std::string bytes_of(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

class TokenFiles : public testing::Test {
 protected:
  fs::path path(const char* name) const { return folder_.path() / name; }

  fs::path put(const char* name, const std::string& contents) const {
    EXPECT_TRUE(write_file_atomically(path(name), contents).ok());
    return path(name);
  }
  fs::path ours(const char* name, const std::vector<TokenId>& ids, std::uint64_t vocabulary) const {
    TokenWriter writer(path(name), vocabulary);
    writer.write(ids);
    EXPECT_EQ(writer.finish().message, "");
    return path(name);
  }

  static std::vector<TokenId> all(const TokenFile& file) {
    std::vector<TokenId> ids(file.size());
    file.read(0, ids);
    return ids;
  }
  static std::string refusal(const fs::path& path, std::uint64_t vocabulary = 0) {
    try {
      TokenFile file(path, vocabulary);
      return "taken";
    } catch (const Error& error) {
      return error.what();
    }
  }

 private:
  test::TemporaryDirectory folder_;
};

// Two runs that begin on one text at once.
TEST_F(TokenFiles, AreWrittenByTwoProcessesAtOnce) {
  const std::vector<TokenId> ids = {3, 1, 2};
  {
    TokenWriter writer(path("t"), 4);
    const pid_t child = ::fork();
    if (child == 0) {
      TokenWriter other(path("t"), 4);
      other.write(ids);
      ::_exit(other.finish().ok() ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(all(TokenFile(path("t"))), ids);
    writer.write(ids);
    EXPECT_EQ(writer.finish().message, "");
  }
  EXPECT_EQ(all(TokenFile(path("t"))), ids);
  const fs::directory_iterator files(path("t").parent_path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(TokenFiles, WhatIsWrittenComesBack) {
  for (const std::uint64_t vocabulary : {512UL, 65536UL, 65537UL, 1UL << 32}) {
    const auto last = static_cast<TokenId>(vocabulary - 1);
    const std::vector<TokenId> ids = {0, last, 1, 255, last};
    const TokenFile file(ours("a", ids, vocabulary));
    EXPECT_EQ(all(file), ids);
    EXPECT_EQ(file.vocabulary(), vocabulary);
    EXPECT_EQ(fs::file_size(path("a")), 64 + ids.size() * (vocabulary <= 65536 ? 2 : 4));
  }
  EXPECT_EQ(TokenFile(ours("empty", {}, 5)).size(), 0U);
}

TEST_F(TokenFiles, AnUnfinishedOneIsNotThere) {
  {
    TokenWriter writer(path("a"), 5);
    writer.write(std::vector<TokenId>{1, 2});
  }
  EXPECT_FALSE(fs::exists(path("a")));
  EXPECT_TRUE(fs::is_empty(path("a").parent_path()));
  EXPECT_THROW(TokenWriter(path("no/folder"), 5), Error);
  EXPECT_THROW(TokenWriter(path("a"), 0), Error);
}

TEST_F(TokenFiles, OtherTrainersFilesAreRead) {
  EXPECT_EQ(all(TokenFile(put("plain", bytes_of<std::uint16_t>({1, 9038, 65535})))),
            (std::vector<TokenId>{1, 9038, 65535}));
  std::vector<std::int32_t> header(256);
  header[0] = 20240520;
  header[1] = 1;
  header[2] = 2;
  EXPECT_EQ(all(TokenFile(put("gpt2", bytes_of(header) + bytes_of<std::uint16_t>({7, 50256})))),
            (std::vector<TokenId>{7, 50256}));
  header[0] = 20240801;
  header[1] = 7;
  EXPECT_EQ(all(TokenFile(put("llama3", bytes_of(header) + bytes_of<std::uint32_t>({7, 128000})))),
            (std::vector<TokenId>{7, 128000}));
  EXPECT_NE(refusal(put("short", bytes_of(header) + "abcd")).find("4 bytes of ids"),
            std::string::npos);
}

TEST_F(TokenFiles, EveryBitOfDamageIsFound) {
  const std::string good = read_text_file(ours("good", {1, 2, 3}, 5));
  for (std::size_t size = 8; size < good.size(); ++size) {
    // Without its magic it would be a file of nothing but ids.
    EXPECT_NE(refusal(put("cut", good.substr(0, size))), "taken") << size;
  }
  for (std::size_t bit = 64; bit < 8 * good.size(); ++bit) {
    if (bit / 8 >= 12 && bit / 8 < 24) continue;  // reserved; the vocabulary is checked below
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    EXPECT_NE(refusal(put("bad", bad)), "taken") << "bit " << bit;
  }
}

TEST_F(TokenFiles, IdsOutsideTheVocabularyAreNamed) {
  const fs::path file = ours("a", {1, 2, 300, 4}, 512);
  EXPECT_EQ(refusal(file), "taken");
  EXPECT_NE(refusal(file, 256).find("id 300 at position 2"), std::string::npos);
  EXPECT_NE(refusal(put("plain", bytes_of<std::uint16_t>({1, 999})), 512).find("id 999"),
            std::string::npos);
}

TEST_F(TokenFiles, ShardsLoseNothingWhereTheyMeet) {
  std::vector<TokenId> whole(100);
  std::iota(whole.begin(), whole.end(), 0);
  std::vector<fs::path> shards;
  std::size_t begin = 0;
  for (const std::size_t size : {7, 0, 1, 50, 42}) {
    const std::string name = "s" + std::to_string(shards.size());
    const auto from = whole.begin() + static_cast<std::ptrdiff_t>(begin);
    shards.push_back(ours(name.c_str(), {from, from + static_cast<std::ptrdiff_t>(size)}, 100));
    begin += size;
  }
  const TokenShards all_of_them(shards);
  ASSERT_EQ(all_of_them.size(), whole.size());
  EXPECT_EQ(all_of_them.vocabulary(), 100U);
  for (std::size_t from = 0; from <= whole.size(); ++from) {
    for (const std::size_t count : {0UL, 1UL, 2UL, 9UL, 60UL}) {
      if (from + count > whole.size()) continue;
      std::vector<TokenId> ids(count);
      all_of_them.read(from, ids);
      EXPECT_TRUE(std::equal(ids.begin(), ids.end(), whole.begin() + static_cast<long>(from)));
    }
  }
}

TEST_F(TokenFiles, ShardsMustShareAVocabulary) {
  const std::vector<fs::path> shards = {ours("a", {1}, 10), ours("b", {1}, 20)};
  EXPECT_THROW(TokenShards{shards}, Error);
  EXPECT_THROW(TokenShards(shards, 20), Error);
}

TEST_F(TokenFiles, PatternsAreExpandedInOrder) {
  for (const char* name : {"b_1", "a_2", "a_1"}) ours(name, {1}, 10);
  const std::vector<std::string> patterns = {path("b_*").string(), path("a_*").string()};
  EXPECT_EQ(expand_patterns(patterns),
            (std::vector<fs::path>{path("b_1"), path("a_1"), path("a_2")}));
  EXPECT_THROW(expand_patterns(std::vector<std::string>{path("c_*").string()}), Error);
}

}  // namespace
}  // namespace anemone::text
