// Who may include whom: reads every #include "anemone/…" and fails on an edge that is not in the
// table of docs/design.md, section 2.
#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "tests/structure/source_tree.h"

namespace anemone::test {
namespace {

struct Module {
  std::string folder;                 // below anemone/
  std::vector<std::string> includes;  // modules it may include besides itself
  std::vector<std::string> headers;   // single headers it may include
};

// A file belongs to the first module whose folder it is under, so inner folders come first.
const std::vector<Module>& modules() {
  static const std::vector<Module> kModules = {
      {"base", {}, {}},
      {"kernels", {}, {"base/dtype.h", "base/cpu_features.h"}},
      {"compute", {"base", "kernels"}, {}},
      {"mil", {"base"}, {}},
      {"text", {"base"}, {}},
      {"engine/reference", {"base", "mil", "engine"}, {}},
      {"engine/cpu", {"base", "mil", "engine", "compute"}, {}},
      {"engine/ane", {"base", "mil", "engine"}, {}},
      {"engine", {"base", "mil"}, {}},
      {"nn", {"base", "mil"}, {}},
      {"model", {"base", "mil", "text", "engine", "nn", "compute"}, {}},
      {"train", {"base", "mil", "text", "engine", "nn", "compute", "model"}, {}},
      {"cli",
       {"base", "mil", "engine", "nn", "compute", "train", "text", "model", "kernels",
        "engine/reference", "engine/cpu", "engine/ane"},
       {}},
  };
  return kModules;
}

const Module* module_of(
    const std::string& path) {  // "anemone/mil/ops/conv.cpp" or "mil/ops/conv.h"
  const std::string below = path.rfind("anemone/", 0) == 0 ? path.substr(8) : path;
  for (const Module& module : modules()) {
    if (below.rfind(module.folder + "/", 0) == 0) return &module;
  }
  return nullptr;
}

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool may_include(const std::string& includer, const std::string& included) {
  const Module* from = module_of(includer);
  const Module* to = module_of(included);
  if (from == nullptr || to == nullptr) return false;
  return from == to || contains(from->includes, to->folder) || contains(from->headers, included);
}

TEST(IncludeRule, EveryFileIsInAModule) {
  for (const SourceFile& file : source_files("anemone")) {
    EXPECT_NE(module_of(file.path), nullptr) << file.path << " is in no module of the table";
  }
}

// What a line includes in quotes; empty if it includes nothing so.
std::string quoted_include(const std::string& line) {
  std::string_view rest = line;
  const auto skip = [&rest](std::string_view token) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    if (rest.substr(0, token.size()) != token) return false;
    rest.remove_prefix(token.size());
    return true;
  };
  if (!skip("#") || !skip("include") || !skip("\"")) return {};
  return std::string(rest.substr(0, rest.find('"')));
}

TEST(IncludeRule, NoEdgeOutsideTheTable) {
  std::vector<std::string> offenders;
  for (const SourceFile& file : source_files("anemone")) {
    for (size_t i = 0; i < file.code.size(); ++i) {
      const std::string target = quoted_include(file.code[i]);
      const std::string place = file.path + ":" + std::to_string(i + 1) + ": ";
      if (target.empty()) continue;
      if (target.rfind("anemone/", 0) != 0) {
        offenders.push_back(place + target + ": write the path from the checkout, \"anemone/…\"");
      } else if (!may_include(file.path, target.substr(8))) {
        offenders.push_back(place + "may not include " + target);
      }
    }
  }
  EXPECT_TRUE(offenders.empty()) << join(offenders);
}

TEST(IncludeRule, ReadsIncludes) {
  EXPECT_EQ(quoted_include("#include \"anemone/base/error.h\"  "), "anemone/base/error.h");
  EXPECT_EQ(quoted_include("  #  include \"x.h\""), "x.h");
  EXPECT_EQ(quoted_include("#include <vector>"), "");
  EXPECT_EQ(quoted_include("f(\"#include\")"), "");
}

// The table itself, on edges that must stay forbidden.
TEST(IncludeRule, TableForbidsWhatTheDesignForbids) {
  EXPECT_TRUE(may_include("anemone/mil/ops/conv.cpp", "base/shape.h"));
  EXPECT_TRUE(may_include("anemone/kernels/gemm/gemm_avx512.cpp", "base/dtype.h"));
  EXPECT_FALSE(may_include("anemone/kernels/gemm/gemm_avx512.cpp", "base/error.h"));
  EXPECT_FALSE(may_include("anemone/base/error.cpp", "mil/ir.h"));
  EXPECT_FALSE(may_include("anemone/engine/engines.cpp", "engine/cpu/cpu_engine.h"));
  EXPECT_FALSE(may_include("anemone/engine/reference/x.cpp", "compute/gemm.h"));
  EXPECT_TRUE(may_include("anemone/engine/cpu/x.cpp", "compute/gemm.h"));
  EXPECT_FALSE(may_include("anemone/nn/layer.cpp", "engine/engine.h"));
  EXPECT_FALSE(may_include("anemone/train/trainer.cpp", "engine/cpu/x.h"));
}

}  // namespace
}  // namespace anemone::test
