// Any bytes as MIL text, operations without a definition kept: every rule of every Neural Engine
// looks at it, also where the program has errors.
#include "anemone/engine/ane/lint/lint.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "anemone/mil/diagnostics.h"
#include "anemone/mil/parser.h"

using namespace anemone;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  mil::Diagnostics diagnostics("fuzz.mil", text);
  const mil::Program program = mil::parse(text, diagnostics, mil::UnknownOperations::keep);
  for (const engine::ane::Target& target : engine::ane::targets()) {
    mil::Diagnostics findings("fuzz.mil", text);
    engine::ane::lint::show(engine::ane::lint::lint(program, target), findings);
    findings.render();
  }
  return 0;
}
