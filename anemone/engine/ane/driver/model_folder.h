// The folder in which the framework looks for a program's files: <temporary directory>/<identifier
// of the model>. The name is the framework's, so two users of one program would meet in it: a
// folder is held exclusively (flock) while it is used, readable by its owner only, and removed at
// the end, whatever happened.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace anemone::engine::ane {

class ModelFolder {
 public:
  // Creates and locks it, or takes over one that an ended process left. Nothing when another user
  // holds it; throws Error when it cannot be made or is not safe (a link, another owner, open to
  // others).
  static std::optional<ModelFolder> acquire(const std::filesystem::path& path);

  ModelFolder(ModelFolder&& other) noexcept;
  ModelFolder& operator=(ModelFolder&& other) = delete;
  ~ModelFolder();

  // Writes a new file; `path` relative to the folder, without "..". Throws Error.
  void write(const std::string& path, std::span<const std::byte> bytes);
  void write(const std::string& path, std::string_view text);
  const std::filesystem::path& path() const { return path_; }

 private:
  ModelFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::filesystem::path path_;
  int lock_ = -1;  // the folder itself, open
};

// The part of a path in a program ("@model_path/weights/w.bin") below the folder; throws Error for
// one that leads elsewhere.
std::string path_in_folder(const std::string& path);

}  // namespace anemone::engine::ane
