// The cases that are files: good/*.mil are printed as they are; bad/*.mil say in comments which
// diagnostics they give, all of them and nothing else:
//   // error@+1: part of the message     the line below (+2: two below, -1: above)
//   // error@0: part of the message      no line
// and the same with `note` and `warning`.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
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

std::vector<std::string> cases(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(test::source_root() / "tests/mil" / folder)) {
    if (entry.path().extension() == ".mil") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_case(const std::string& folder, const std::string& name) {
  return read_text_file(test::source_root() / "tests/mil" / folder / (name + ".mil"));
}

class GoodText : public testing::TestWithParam<std::string> {};

TEST_P(GoodText, IsPrintedAsItIs) {
  const std::string text = read_case("good", GetParam());
  EXPECT_EQ(print(parse_program(text, GetParam() + ".mil")), text);
}

TEST_P(GoodText, HasTheSameMeaningInTheOtherSpelling) {
  const std::string text = read_case("good", GetParam());
  Program program = parse_program(text);
  const std::string version = program.version;
  program.version = version == "1.0" ? "1.3" : "1.0";
  const std::string other = print(program);
  EXPECT_NE(other, text);
  Program again = parse_program(other);
  EXPECT_EQ(print(again), other);
  again.version = version;
  EXPECT_EQ(print(again), text);
}

INSTANTIATE_TEST_SUITE_P(Files, GoodText, testing::ValuesIn(cases("good")),
                         [](const auto& file) { return file.param; });

struct Expectation {
  std::string severity;
  long line;
  std::string part;
};

std::vector<Expectation> expectations(const std::string& text) {
  std::vector<Expectation> found;
  std::istringstream stream(text);
  std::string line;
  for (long number = 1; std::getline(stream, line); ++number) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos || line.compare(begin, 3, "// ") != 0) continue;
    const std::size_t at = line.find('@'), colon = line.find(": ", begin);
    if (at == std::string::npos || colon == std::string::npos || at > colon) continue;
    const std::string where = line.substr(at + 1, colon - at - 1);
    found.push_back({line.substr(begin + 3, at - begin - 3),
                     where == "0" ? 0 : number + std::stol(where), line.substr(colon + 2)});
  }
  return found;
}

class BadText : public testing::TestWithParam<std::string> {};

TEST_P(BadText, GivesTheDiagnosticsItNames) {
  const std::string text = read_case("bad", GetParam());
  Diagnostics diagnostics(GetParam() + ".mil", text);
  const Program program = parse(text, diagnostics);
  verify(program, diagnostics);
  std::vector<Expectation> expected = expectations(text);
  EXPECT_FALSE(expected.empty());
  for (const Diagnostic& diagnostic : diagnostics.all()) {
    const auto match =
        std::find_if(expected.begin(), expected.end(), [&](const Expectation& expectation) {
          return expectation.severity == severity_name(diagnostic.severity) &&
                 expectation.line == static_cast<long>(diagnostic.location.line) &&
                 diagnostic.message.find(expectation.part) != std::string::npos;
        });
    if (match == expected.end()) {
      ADD_FAILURE() << "not expected: line " << diagnostic.location.line << ": "
                    << diagnostic.message;
    } else {
      expected.erase(match);
    }
  }
  for (const Expectation& missing : expected) {
    ADD_FAILURE() << "did not appear: line " << missing.line << ": " << missing.part;
  }
  EXPECT_THROW(parse_program(text), DiagnosticError);
}

INSTANTIATE_TEST_SUITE_P(Files, BadText, testing::ValuesIn(cases("bad")),
                         [](const auto& file) { return file.param; });

}  // namespace
}  // namespace anemone::mil
