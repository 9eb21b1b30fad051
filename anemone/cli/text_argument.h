// The files and folders of --text.
#pragma once

#include <span>
#include <string>

namespace anemone::cli {

// Throws UsageError for one that is not there. A file that begins like no text is noted on standard
// error: it may be meant, since every byte is a token.
void check_text(std::span<const std::string> paths);

}  // namespace anemone::cli
