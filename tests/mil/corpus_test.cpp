// Real programs (../shared/mil): those whose operations we know are printed to a fixed point that
// means the same; all others are read to their end, and the only errors are operations that are not
// supported and shapes that are not fixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "anemone/base/file.h"
#include "anemone/mil/diagnostics.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/printer.h"
#include "anemone/mil/verifier.h"
#include "tests/support/shared.h"

namespace anemone::mil {
namespace {

std::vector<std::filesystem::path> mil_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".mil") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool is_expected(const std::string& message) {
  const auto has = [&](const char* part) { return message.find(part) != std::string::npos; };
  return has("unsupported operation") || has("only fixed shapes are supported") ||
         has("must be a constant");
}

// True if the program has no errors.
bool check_program(const std::filesystem::path& path) {
  const std::string text = read_text_file(path);
  Diagnostics diagnostics(path.filename().string(), text);
  const Program program = parse(text, diagnostics);
  verify(program, diagnostics);
  for (const Diagnostic& diagnostic : diagnostics.all()) {
    EXPECT_TRUE(is_expected(diagnostic.message)) << path << ": " << diagnostic.message;
  }
  if (diagnostics.has_errors()) return false;
  const std::string printed = print(program);
  EXPECT_EQ(print(parse_program(printed)), printed) << path;
  return true;
}

TEST(Corpus, TextFiles) {
  ANEMONE_SHARED_OR_SKIP(folder, "mil/text");
  const auto files = mil_files(folder);
  int whole = 0;
  for (const auto& file : files) whole += check_program(file) ? 1 : 0;
  EXPECT_GE(files.size(), 19u);
  EXPECT_GE(whole, 13);
}

TEST(Corpus, Silero) {
  ANEMONE_SHARED_OR_SKIP(folder, "mil/silero");
  for (const auto& file : mil_files(folder)) check_program(file);
}

// What Apple's compiler itself wrote, byte for byte but for the last line's end.
TEST(Corpus, PrintsAsCoremlcDoes) {
  for (const std::string name : {"apple__coremltools__add_model",
                                 "rebeckerspecialties__mlmodelc-export__fp16-subnormal-cast"}) {
    ANEMONE_SHARED_OR_SKIP(path, "mil/text/" + name + ".mil");
    std::string text = read_text_file(path);
    if (!text.ends_with('\n')) text += '\n';
    EXPECT_EQ(print(parse_program(text)), text);
  }
}

}  // namespace
}  // namespace anemone::mil
