// A legalized program as files: model.mil and what lies below @model_path, for reading, for other
// tools and for the compiler, which wants them on disk.
#pragma once

#include <filesystem>

#include "anemone/base/error.h"
#include "anemone/engine/ane/legalize.h"

namespace anemone::engine::ane {

// Where a blob's file lies below the folder: "weights/l0.wq.bin".
std::filesystem::path file_of(const LegalBlob& blob);

// Creates `folder` and its subfolders where they do not exist. Throws Error when a constant cannot
// be resolved; a failed Status when writing fails.
Status write_model_folder(const LegalizedProgram& legal, mil::ConstantSource& constants,
                          const std::filesystem::path& folder);

}  // namespace anemone::engine::ane
