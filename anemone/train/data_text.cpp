// The source `text`: text files, made into token ids in a cache.
#include <fmt/format.h>

#include "anemone/base/counted.h"
#include "anemone/base/error.h"
#include "anemone/text/tokenizer.h"
#include "anemone/train/data_source.h"
#include "anemone/train/text_cache.h"

namespace anemone::train {
namespace {

constexpr std::size_t kShownHash = 8;

void check_vocabulary(const RunConfig& config) {
  const auto tokenizer = text::load_tokenizer(config.data.tokenizer);
  if (static_cast<std::int64_t>(tokenizer->vocabulary()) <= config.model.vocab) return;
  throw Error(fmt::format("{} tokens are fewer than those of data.tokenizer ({})",
                          config.model.vocab, tokenizer->describe()),
              "model.vocab", fmt::format("{}", tokenizer->vocabulary()));
}

}  // namespace

std::unique_ptr<DataSource> make_text_source(const RunConfig& config, engine::Engine&,
                                             const Poll& poll) {
  if (config.data.path.empty())
    throw Error("data.path is empty", "", "text files and folders, separated by commas");
  check_vocabulary(config);
  const auto cached = [&](const std::string& paths) {
    return cache_text(split_patterns(paths), config.data.tokenizer, cache_folder(), poll);
  };
  const CachedText training = cached(config.data.path);
  TokenFiles files;
  files.training = {training.tokens};
  files.what = fmt::format("{} of text in {} ({}; {})", counted(training.bytes, "byte"),
                           counted(training.files, "file"), config.data.tokenizer,
                           training.hash.substr(0, kShownHash));
  if (!config.data.validation_path.empty())
    files.validation = {cached(config.data.validation_path).tokens};
  return make_window_source(files, config);
}

}  // namespace anemone::train
