// Creating, locking and removing.
#include "anemone/engine/ane/driver/model_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "anemone/base/error.h"

namespace anemone::engine::ane {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kModelPath = "@model_path/";
constexpr int kMaxTries = 100;  // of a folder that others remove and create all the time

std::string reason() { return std::generic_category().message(errno); }

[[noreturn]] void fail(const char* what, const fs::path& path) {
  throw Error(fmt::format("{}: {}", what, reason()), path.string());
}

// The folder opened, or -1 when it vanished meanwhile.
int open_folder(const fs::path& path) {
  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0 && errno != ENOENT) fail("cannot open the program's folder", path);
  return folder;
}

// A folder that was there before: ours alone?
void check_safe(int folder, const fs::path& path) {
  struct stat info {};
  if (fstat(folder, &info) != 0) fail("cannot examine the program's folder", path);
  if (info.st_uid == geteuid() && (info.st_mode & 077) == 0) return;
  close(folder);
  throw Error("the folder for the program's files belongs to somebody else or is open to others",
              path.string(), "a folder of this user with mode 0700, or none");
}

// Is `path` still the folder that was opened?
bool is_same(int folder, const fs::path& path) {
  struct stat opened {
  }, named{};
  return fstat(folder, &opened) == 0 && lstat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

void write_whole(int file, std::span<const std::byte> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      close(file);
      errno = error;
      fail("cannot write the program's file", path);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::optional<ModelFolder> ModelFolder::acquire(const fs::path& path) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
      fail("cannot make the program's folder", path);
    const int folder = open_folder(path);
    if (folder < 0) continue;
    check_safe(folder, path);
    if (flock(folder, LOCK_EX | LOCK_NB) != 0) {
      const bool held = errno == EWOULDBLOCK;
      close(folder);
      if (held) return {};
      fail("cannot lock the program's folder", path);
    }
    if (!is_same(folder, path)) {  // removed by its user between opening and locking
      close(folder);
      continue;
    }
    std::error_code ignored;
    for (const fs::directory_entry& left : fs::directory_iterator(path, ignored))
      fs::remove_all(left.path(), ignored);
    return ModelFolder(path, folder);
  }
  return {};
}

ModelFolder::ModelFolder(ModelFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

ModelFolder::~ModelFolder() {
  if (lock_ < 0) return;
  std::error_code ignored;  // a file left in a temporary directory is no reason to stop
  fs::remove_all(path_, ignored);
  close(lock_);
}

void ModelFolder::write(const std::string& path, std::span<const std::byte> bytes) {
  const fs::path file_path = path_ / path;
  std::error_code error;
  fs::create_directories(file_path.parent_path(), error);
  if (error) throw Error("cannot make a folder: " + error.message(), file_path.string());
  const int file =
      open(file_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) fail("cannot create the program's file", file_path);
  write_whole(file, bytes, file_path);
  if (close(file) != 0) fail("cannot write the program's file", file_path);
}

void ModelFolder::write(const std::string& path, std::string_view text) {
  write(path, std::as_bytes(std::span(text.data(), text.size())));
}

std::string path_in_folder(const std::string& path) {
  const bool below = path.rfind(kModelPath, 0) == 0;
  const fs::path relative = below ? path.substr(kModelPath.size()) : path;
  bool safe = below && !relative.empty() && !relative.is_absolute();
  for (const fs::path& part : relative) safe = safe && part != ".." && part != "." && !part.empty();
  if (!safe)
    throw Error(fmt::format("the program names the file '{}'", path), {},
                "a path below @model_path/");
  return relative.string();
}

}  // namespace anemone::engine::ane
