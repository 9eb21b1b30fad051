// Checks that a program obeys the definitions of its operations: known and complete arguments,
// element types, constants where constants are needed, declared types equal to inferred ones,
// values defined before use, unique names, outputs.
#pragma once

#include "anemone/mil/diagnostics.h"
#include "anemone/mil/ir.h"

namespace anemone::mil {

void verify(const Program& program, Diagnostics& diagnostics);
// For programs we built ourselves: throws Error with the first problem.
void verify_or_throw(const Program& program, const std::string& name);

// The result types of `op`; throws Error "softmax: axis 4 is …".
std::vector<Type> infer_types(const Function& function, const Operation& op);

}  // namespace anemone::mil
