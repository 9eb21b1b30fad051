// The project's own source files as text, for tests that check how the code is arranged.
#pragma once

#include <string>
#include <vector>

namespace anemone::test {

struct SourceFile {
  std::string path;                // relative to the checkout: "anemone/mil/parser.cpp"
  std::vector<std::string> lines;  // as written
  std::vector<std::string> code;   // the same lines with comments blanked out

  bool is_under(const std::string& folder) const { return path.rfind(folder + "/", 0) == 0; }
  bool is_header() const { return path.size() > 2 && path.substr(path.size() - 2) == ".h"; }
};

// The .cpp, .h, .inc and .mm files below a folder of the checkout.
std::vector<SourceFile> source_files(const std::string& folder);

// The files below a folder with this extension, ".md"; sorted by path, no comments blanked out.
std::vector<SourceFile> text_files(const std::string& folder, const std::string& extension);

// `text` with // and /* */ comments replaced by spaces; strings and line breaks stay.
std::string without_comments(const std::string& text);

// "path:LINE: TEXT" of every line of code that matches the (POSIX extended) regular expression.
std::vector<std::string> lines_matching(const SourceFile& file, const std::string& expression);

// The same for whole words, given as alternatives: "768|2048".
std::vector<std::string> lines_with_word(const SourceFile& file, const std::string& words);

// One offender a line, for a failure message.
std::string join(const std::vector<std::string>& offenders);

}  // namespace anemone::test
