// MIL text to IR. Grammar and evidence: docs/mil-text.md.
//
// Any byte sequence is safe input: no crash, no unbounded recursion (nesting is limited to 64) and
// memory proportional to the text. After an error the parser goes on at the next statement, so
// several errors of a file are found at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "anemone/mil/diagnostics.h"
#include "anemone/mil/ir.h"

namespace anemone::mil {

// Operations without a definition: reported, or kept in Function::unknown_ops for those who only
// look at a program.
enum class UnknownOperations : std::uint8_t { error, keep };

// Parses UTF-8 text; errors go to `diagnostics` and the result is then incomplete. Types are as
// declared, not checked: see verify.
Program parse(std::string_view text, Diagnostics& diagnostics,
              UnknownOperations unknown = UnknownOperations::error);

// Reads, parses and verifies a file (or a text under a name); throws Error or DiagnosticError.
Program load_program(const std::filesystem::path& path);
Program parse_program(std::string_view text, const std::string& name = "<text>");

}  // namespace anemone::mil
