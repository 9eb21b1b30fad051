// See legal_folder.h.
#include "anemone/engine/ane/legal_folder.h"

#include <string_view>
#include <system_error>

#include "anemone/base/file.h"

namespace anemone::engine::ane {

std::filesystem::path file_of(const LegalBlob& blob) {
  constexpr std::string_view kModelPath = "@model_path/";
  ANEMONE_CHECK(blob.path.starts_with(kModelPath), "blob files lie below the model's folder");
  return blob.path.substr(kModelPath.size());
}

Status write_model_folder(const LegalizedProgram& legal, mil::ConstantSource& constants,
                          const std::filesystem::path& folder) {
  std::string bytes;
  for (const LegalBlob& blob : legal.blobs) {
    const std::filesystem::path path = folder / file_of(blob);
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) return Status::failure(path.parent_path().string() + ": " + error.message());
    bytes.resize(blob.bytes());
    blob.write(constants, std::as_writable_bytes(std::span(bytes)));
    Status status = write_file_atomically(path, bytes);
    if (!status.ok()) return status;
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return Status::failure(folder.string() + ": " + error.message());
  return write_file_atomically(folder / "model.mil", legal.text);
}

}  // namespace anemone::engine::ane
