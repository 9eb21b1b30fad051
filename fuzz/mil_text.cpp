// Any bytes as MIL text: no crash, and what is accepted can be printed, read again and printed the
// same, in both spellings.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "anemone/mil/diagnostics.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/passes/passes.h"
#include "anemone/mil/printer.h"
#include "anemone/mil/verifier.h"

namespace {

using namespace anemone::mil;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_identity(Program program) {
  for (const char* version : {"1.0", "1.3"}) {
    program.version = version;
    const std::string text = print(program);
    require(print(parse_program(text)) == text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Diagnostics diagnostics("fuzz.mil", text);
  Program program = parse(text, diagnostics);
  verify(program, diagnostics);
  require(diagnostics.render().empty() == diagnostics.all().empty());
  if (diagnostics.has_errors()) return 0;
  check_identity(program);
  ConstantSource constants;
  PassContext context{constants};
  for (Function& function : program.functions) eliminate_dead_code(function, context);
  check_identity(program);
  return 0;
}
