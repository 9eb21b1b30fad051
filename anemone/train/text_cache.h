// Text made into token ids once: a file of ids in a cache, named by a hash of the text and of the
// tokenizer, so that it is found again wherever the text is and never mistaken for another.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

namespace anemone::train {

struct CachedText {
  std::filesystem::path tokens;  // the file of ids (text/token_file.h)
  std::string hash;              // of text and tokenizer, 32 digits
  std::uint64_t files = 0, bytes = 0;
  bool made = false;     // by this call
  std::string replaced;  // why the one that was there could not be used; empty = none, or it was
};

// $XDG_CACHE_HOME/anemone, ~/.cache/anemone, or a folder for temporary files where neither variable
// names a place.
std::filesystem::path cache_folder();

// Files and folders of text, one behind the other. The cache file appears whole or not at all, and
// a damaged one is made anew. Throws Error for text that cannot be read, or is empty, and for a
// cache that cannot be written. `poll` is called now and then; what it throws ends the making.
CachedText cache_text(std::span<const std::string> files_and_folders, const std::string& tokenizer,
                      const std::filesystem::path& folder, const std::function<void()>& poll = {});

}  // namespace anemone::train
