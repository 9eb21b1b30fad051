// The lock of a run folder.
#include "anemone/train/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

#include "anemone/base/file.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;
constexpr const char* kLockVariable = "ANEMONE_RUN_LOCK_FD";

// The descriptor that the process before exec left, if it is this lock file; -1 otherwise.
int inherited_lock(const fs::path& lock_path) {
  const char* text = std::getenv(kLockVariable);
  if (text == nullptr) return -1;
  const std::string_view digits(text);
  int descriptor = -1;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), descriptor);
  if (error != std::errc() || end != digits.data() + digits.size() || descriptor < 0) return -1;
  struct stat inherited {
  }, named{};
  if (::fstat(descriptor, &inherited) != 0 || ::stat(lock_path.c_str(), &named) != 0) return -1;
  if (inherited.st_dev != named.st_dev || inherited.st_ino != named.st_ino) return -1;
  ::unsetenv(kLockVariable);
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return descriptor;
}

// The pid that the holder wrote, or "unknown".
std::string read_owner(int descriptor) {
  char text[24] = {};
  const ssize_t count = ::pread(descriptor, text, sizeof text - 1, 0);
  std::string owner(text, count > 0 ? static_cast<std::size_t>(count) : 0);
  while (!owner.empty() && owner.back() == '\n') owner.pop_back();
  return owner.empty() ? "unknown" : owner;
}

void write_owner(int descriptor, const fs::path& path) {
  const std::string text = fmt::format("{}\n", ::getpid());
  const auto size = static_cast<off_t>(text.size());
  if (::pwrite(descriptor, text.data(), text.size(), 0) != size ||
      ::ftruncate(descriptor, size) != 0) {
    throw Error(fmt::format("cannot write: {}", std::strerror(errno)), path.string());
  }
}

// create_directories, each new name made durable. False if it was there.
bool create_durably(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return false;
  if (fs::exists(path, error)) throw Error("this is not a folder", path.string());
  const fs::path parent = path.parent_path();
  if (!parent.empty() && parent != path) create_durably(parent);
  if (!fs::create_directory(path, error) && !fs::is_directory(path)) {
    throw Error(fmt::format("cannot create this folder: {}", error.message()), path.string());
  }
  if (Status status = sync_directory(parent); !status.ok()) throw Error(status.message);
  return true;
}

}  // namespace

Error no_run_to_resume(const fs::path& folder) {
  return Error("there is no run to resume", folder.string(),
               "the folder of a run, with config.toml and checkpoints in it");
}

RunDirectory::RunDirectory(fs::path path) : path_(fs::absolute(path).lexically_normal()) {
  if (!path_.has_filename()) path_ = path_.parent_path();
  new_ = create_durably(path_);
  const fs::path lock_path = path_ / "lock";
  lock_ = inherited_lock(lock_path);
  if (lock_ < 0) lock_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) {
    throw Error(fmt::format("cannot open: {}", std::strerror(errno)), lock_path.string());
  }
  try {
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) {
        throw Error(fmt::format("cannot lock: {}", std::strerror(errno)), lock_path.string());
      }
      throw Error(fmt::format("another run uses this folder: process {}", read_owner(lock_)),
                  path_.string(), "one run at a time; wait for it or choose another folder");
    }
    write_owner(lock_, lock_path);
  } catch (const Error&) {
    ::close(lock_);
    throw;
  }
}

RunDirectory::~RunDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

void RunDirectory::discard_if_new() {
  if (!new_) return;
  std::error_code ignored;
  for (const fs::path& file : {config_path(), metrics_path(), path_ / "lock"})
    fs::remove(file, ignored);
  fs::remove(path_, ignored);  // only an empty folder goes
}

void RunDirectory::keep_for_exec() {
  if (lock_ < 0) return;
  ::fcntl(lock_, F_SETFD, 0);
  ::setenv(kLockVariable, std::to_string(lock_).c_str(), 1);
  lock_ = -1;  // the descriptor stays open
}

}  // namespace anemone::train
