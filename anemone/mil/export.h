// Writes a program as a folder that stands alone: model.mil, and its large constants in
// weights/*.bin (blob files), each under the name of the weight or constant it holds. References to
// a WeightStore become references to these files, so load_program and ConstantSource(nullptr,
// directory) give the same program again.
#pragma once

#include <filesystem>

#include "anemone/base/error.h"
#include "anemone/mil/constant_source.h"
#include "anemone/mil/ir.h"

namespace anemone::mil {

// Constants of numbers with at least this many elements go to blob files; smaller ones are easier
// to read in the text.
inline constexpr std::int64_t kMinBlobElements = 10;

// Creates `directory` where it does not exist; files in it that have the names written are
// replaced. `constants` resolves what the program refers to; Error when it cannot, a failed Status
// when writing fails.
Status export_program(const Program& program, ConstantSource& constants,
                      const std::filesystem::path& directory);

}  // namespace anemone::mil
