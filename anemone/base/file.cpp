// Files on POSIX.
#include "anemone/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace anemone {
namespace {

std::string system_reason() { return std::strerror(errno); }

// Closes on scope exit.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

std::size_t regular_file_size(int descriptor, const std::filesystem::path& path) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0)
    throw Error("cannot read: " + system_reason(), path.string());
  if (S_ISDIR(info.st_mode)) throw Error("is a folder", path.string(), "a file");
  if (!S_ISREG(info.st_mode)) throw Error("not a regular file", path.string());
  return static_cast<std::size_t>(info.st_size);
}

int open_for_reading(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw Error("cannot open: " + system_reason(), path.string());
  return descriptor;
}

// fsync alone does not reach the medium on macOS. A pipe or a terminal has none (EINVAL).
int flush_to_medium(int descriptor) {
#if defined(F_FULLFSYNC)
  if (::fcntl(descriptor, F_FULLFSYNC) == 0) return 0;
#endif
  return ::fsync(descriptor) == 0 || errno == EINVAL ? 0 : -1;
}

Status write_parts(FileWriter& writer, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) writer.write(part);
  return writer.finish();
}

Status replace_file(const std::filesystem::path& path,
                    std::initializer_list<std::string_view> parts) {
  auto temporary = path;
  temporary += ".tmp";
  FileWriter writer(temporary, path);
  Status status = write_parts(writer, parts);
  if (status.ok()) status = rename_durably(temporary, path);
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

}  // namespace

std::string read_text_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string read_to_end(int descriptor, const std::string& name) {
  constexpr std::size_t kStep = std::size_t{1} << 16;
  std::string text;
  while (true) {
    const std::size_t size = text.size();
    text.resize(size + kStep);
    const ssize_t count = ::read(descriptor, text.data() + size, kStep);
    if (count < 0 && errno != EINTR) throw Error("cannot read: " + system_reason(), name);
    text.resize(size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) return text;
  }
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  const Descriptor descriptor(open_for_reading(path));
  size_ = regular_file_size(descriptor.get(), path);
  if (size_ == 0) return;
  void* memory = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor.get(), 0);
  if (memory == MAP_FAILED) throw Error("cannot map: " + system_reason(), path.string());
  data_ = static_cast<const std::byte*>(memory);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

FileWriter::FileWriter(const std::filesystem::path& path, const std::filesystem::path& shown)
    : shown_(shown.empty() ? path : shown) {
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail("create");
}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FileWriter::fail(const char* action) {
  if (status_.ok()) {
    status_ = Status::failure(shown_.string() + ": cannot " + action + ": " + system_reason());
  }
}

void FileWriter::write(std::span<const std::byte> bytes) {
  constexpr std::size_t kLargestWrite = std::size_t{1} << 30;  // macOS refuses 2 GiB and above
  hash_.update(bytes);
  while (status_.ok() && !bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kLargestWrite));
    if (count < 0) {
      if (errno != EINTR) fail("write");
      continue;
    }
    written_ += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void FileWriter::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

Status FileWriter::finish() {
  if (status_.ok() && flush_to_medium(descriptor_) != 0) fail("sync");
  if (descriptor_ >= 0 && ::close(std::exchange(descriptor_, -1)) != 0) fail("close");
  return status_;
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view contents) {
  return replace_file(path, {contents});
}

Status write_file(const std::filesystem::path& path,
                  std::initializer_list<std::string_view> parts) {
  std::error_code error;  // of a path that is not there: none yet
  const auto type = std::filesystem::symlink_status(path, error).type();
  if (type == std::filesystem::file_type::regular ||
      type == std::filesystem::file_type::not_found) {
    return replace_file(path, parts);
  }
  FileWriter writer(path);
  return write_parts(writer, parts);
}

std::filesystem::path replaceable_file(const std::filesystem::path& path) {
  if (path.empty()) throw Error("no file is named", "", "the path of a file");
  std::error_code error;
  const auto status = std::filesystem::status(path, error);  // of what a link leads to
  if (status.type() == std::filesystem::file_type::not_found) return path;
  if (!error && status.type() != std::filesystem::file_type::regular)
    throw Error("this is no file that another could replace", path.string(),
                "the path of a file, or of nothing yet");
  return std::filesystem::is_symlink(path, error) ? std::filesystem::canonical(path, error) : path;
}

Status sync_descriptor(int descriptor, const std::filesystem::path& path) {
  if (flush_to_medium(descriptor) == 0) return {};
  return Status::failure(path.string() + ": cannot sync: " + system_reason());
}

Status sync_directory(const std::filesystem::path& directory) {
  const Descriptor descriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0 || flush_to_medium(descriptor.get()) != 0) {
    return Status::failure(directory.string() + ": cannot sync: " + system_reason());
  }
  return {};
}

Status rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    // Where it was written is a name that nobody chose.
    return Status::failure(to.string() + ": cannot be put in place: " + system_reason() +
                           " (what was there is unchanged)");
  }
  const auto parent = to.has_parent_path() ? to.parent_path() : std::filesystem::path(".");
  return sync_directory(parent);
}

std::uint64_t free_disk_bytes(const std::filesystem::path& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0)
    throw Error("cannot ask for free space: " + system_reason(), path.string());
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace anemone
