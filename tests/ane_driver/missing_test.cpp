// Every single thing that framework.inc names, missing: what is required is named in the error, and
// without what is optional a program runs and gives the same result.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/ane_driver/program_case.h"
#include "tests/support/shared.h"

namespace anemone::test {
namespace {

struct Part {
  bool required;
  std::string statement;  // of the fake's script
  std::string name;       // that an error must contain
};

std::vector<Part> parts() {
  std::vector<Part> parts;
  const auto add_class = [&](const std::string& need, const char* name) {
    parts.push_back({need == "required", std::string("missing-class ") + name, name});
  };
  const auto add_method = [&](const std::string& need, const std::string& selector) {
    parts.push_back({need == "required", "missing-selector " + selector, selector});
  };
#define ANE_CLASS(need, member, name) add_class(#need, #name);
#define ANE_CLASS_METHOD(need, member, cls, selector, ...) add_method(#need, selector);
#define ANE_METHOD(need, member, cls, selector, ...) add_method(#need, selector);
#define ANE_FUNCTION(need, member, symbol, ...)
#define ANE_STRING(need, member, symbol)
#include "anemone/engine/ane/driver/framework.inc"
#undef ANE_CLASS
#undef ANE_CLASS_METHOD
#undef ANE_METHOD
#undef ANE_FUNCTION
#undef ANE_STRING
  for (const char* name : {"_ANEInMemoryModel", "_ANEIOSurfaceObject", "_ANERequest"}) {
    add_class("required", name);
  }
  for (const char* name : {"_ANEModel", "_ANEDeviceInfo", "_ANEClient"}) {
    add_class("optional", name);
  }
  return parts;
}

// Foundation's own; without them the fake itself cannot work, or the runtime's use of them cannot.
bool is_scriptable(const Part& part) {
  return part.statement != "missing-selector alloc" &&
         part.statement.find("NS") == std::string::npos;
}

TEST(AneMissingParts, OneAtATime) {
  const auto library = fake_ane_library();
  if (!library) GTEST_SKIP() << "the fake framework was not built";
  ProgramCase c(*library);
  const std::string program = (source_root() / "tests" / "engine" / "ane" / "add.mil").string();
  int required = 0, optional = 0;
  for (const Part& part : parts()) {
    if (!is_scriptable(part)) continue;
    c.script = part.statement;
    const int code = c.run({"run", program, "--fill", "1.5", "--engine", "ane"});
    ++(part.required ? required : optional);
    if (part.required) {
      EXPECT_EQ(code, 1) << part.statement << "\n" << c.output;
      EXPECT_NE(c.output.find(part.name), std::string::npos) << part.statement << "\n" << c.output;
    } else {
      EXPECT_EQ(code, 0) << part.statement << "\n" << c.output;
      EXPECT_NE(c.output.find("min 3 max 3"), std::string::npos) << c.output;
      EXPECT_EQ(c.reported("live"), 0) << part.statement << "\n" << c.report();
      EXPECT_NE(c.report().find("violations=none"), std::string::npos) << c.report();
    }
  }
  EXPECT_GT(required, 20);
  EXPECT_GT(optional, 15);
}

}  // namespace
}  // namespace anemone::test
