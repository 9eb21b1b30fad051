// Shards of token files.
#include "anemone/text/token_shards.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/base/hash.h"

namespace anemone::text {

std::vector<std::filesystem::path> expand_patterns(std::span<const std::string> patterns) {
  std::vector<std::filesystem::path> paths;
  for (const std::string& pattern : patterns) {
    glob_t found{};
    const int status = ::glob(pattern.c_str(), GLOB_ERR, nullptr, &found);
    for (std::size_t i = 0; status == 0 && i < found.gl_pathc; ++i)
      paths.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    if (status != 0)
      throw Error(status == GLOB_NOMATCH ? "there is no such file" : "cannot look for files",
                  pattern);
  }
  return paths;
}

TokenShards::TokenShards(std::span<const std::filesystem::path> paths, std::uint64_t vocabulary) {
  for (const std::filesystem::path& path : paths) {
    TokenFile file(path, vocabulary);
    if (vocabulary_ == 0) vocabulary_ = file.vocabulary();
    if (file.vocabulary() != 0 && file.vocabulary() != vocabulary_)
      throw Error(fmt::format("a vocabulary of {}", file.vocabulary()), path.string(),
                  fmt::format("{}, as the files before it", vocabulary_));
    ends_.push_back(size() + file.size());
    files_.push_back(std::move(file));
  }
}

std::size_t TokenShards::bytes() const {
  std::size_t sum = 0;
  for (const TokenFile& file : files_) sum += file.bytes();
  return sum;
}

std::string TokenShards::hash() const {
  std::string all;
  for (const TokenFile& file : files_) all += file.hash();
  return content_hash(std::as_bytes(std::span(all)));
}

void TokenShards::read(std::uint64_t begin, std::span<TokenId> ids) const {
  ANEMONE_CHECK(begin <= size() && ids.size() <= size() - begin, "ids beyond the last file");
  auto shard =
      static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), begin) - ends_.begin());
  while (!ids.empty()) {
    const std::uint64_t start = ends_[shard] - files_[shard].size();
    const std::uint64_t count = std::min<std::uint64_t>(ids.size(), ends_[shard] - begin);
    files_[shard].read(begin - start, ids.first(count));
    ids = ids.subspan(count);
    begin += count;
    ++shard;
  }
}

}  // namespace anemone::text
