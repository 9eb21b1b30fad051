// Reads the checkout. Raw strings are not understood: the project's sources under anemone/ have
// none.
#include "tests/structure/source_tree.h"

#include <regex.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/shared.h"

namespace anemone::test {
namespace {

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

std::string without_comments(const std::string& text) {
  enum class In { kCode, kString, kChar, kLine, kBlock };
  std::string out = text;
  In in = In::kCode;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    switch (in) {
      case In::kCode:
        if (c == '/' && (next == '/' || next == '*')) {
          in = next == '/' ? In::kLine : In::kBlock;
          out[i] = out[i + 1] = ' ';
          ++i;
        } else if (c == '"') {
          in = In::kString;
        } else if (c == '\'' &&
                   (i == 0 || std::isalnum(static_cast<unsigned char>(text[i - 1])) == 0)) {
          in = In::kChar;  // not the separator of 65'536
        }
        break;
      case In::kString:
      case In::kChar:
        if (c == '\\') {
          ++i;
        } else if (c == (in == In::kString ? '"' : '\'')) {
          in = In::kCode;
        }
        break;
      case In::kLine:
        if (c == '\n') {
          in = In::kCode;
        } else {
          out[i] = ' ';
        }
        break;
      case In::kBlock:
        if (c == '*' && next == '/') {
          out[i] = out[i + 1] = ' ';
          ++i;
          in = In::kCode;
        } else if (c != '\n') {
          out[i] = ' ';
        }
        break;
    }
  }
  return out;
}

std::vector<SourceFile> text_files(const std::string& folder, const std::string& extension) {
  namespace fs = std::filesystem;
  std::vector<SourceFile> files;
  for (const auto& entry : fs::recursive_directory_iterator(source_root() / folder)) {
    if (!entry.is_regular_file() || entry.path().extension() != extension) continue;
    std::ifstream stream(entry.path());
    const std::string text((std::istreambuf_iterator<char>(stream)),
                           std::istreambuf_iterator<char>());
    const auto lines = split_lines(text);
    files.push_back(
        {entry.path().lexically_relative(source_root()).generic_string(), lines, lines});
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

std::vector<SourceFile> source_files(const std::string& folder) {
  std::vector<SourceFile> files;
  for (const char* extension : {".cpp", ".h", ".inc", ".mm"}) {
    for (SourceFile& file : text_files(folder, extension)) {
      std::string text;
      for (const std::string& line : file.lines) text += line + "\n";
      file.code = split_lines(without_comments(text));
      files.push_back(std::move(file));
    }
  }
  return files;
}

std::vector<std::string> lines_matching(const SourceFile& file, const std::string& expression) {
  regex_t pattern;  // not std::regex, which takes a compiler ten times as long
  if (regcomp(&pattern, expression.c_str(), REG_EXTENDED | REG_NOSUB) != 0) {
    return {"not a regular expression: " + expression};
  }
  std::vector<std::string> found;
  for (size_t i = 0; i < file.code.size(); ++i) {
    if (regexec(&pattern, file.code[i].c_str(), 0, nullptr, 0) == 0) {
      found.push_back(file.path + ":" + std::to_string(i + 1) + ": " + file.lines[i]);
    }
  }
  regfree(&pattern);
  return found;
}

std::vector<std::string> lines_with_word(const SourceFile& file, const std::string& words) {
  return lines_matching(file, "(^|[^A-Za-z0-9_])(" + words + ")([^A-Za-z0-9_]|$)");
}

std::string join(const std::vector<std::string>& offenders) {
  std::string text;
  for (const std::string& offender : offenders) text += "\n  " + offender;
  return text;
}

}  // namespace anemone::test
