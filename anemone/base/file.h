// Files: whole reads, memory maps, and writes that survive a crash.
//
// Reading functions throw Error naming the path and the system's reason. Writing functions return a
// Status, since a full disk while saving is an expected outcome that the trainer must survive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "anemone/base/error.h"
#include "anemone/base/hash.h"

namespace anemone {

std::string read_text_file(const std::filesystem::path& path);
// All that an open descriptor (a pipe, a terminal) still gives; `name` is for the message.
std::string read_to_end(int descriptor, const std::string& name);

// A read-only memory map of a whole file. An empty file gives an empty span.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// A file being written from its beginning. Every call reports the first failure; `finish` flushes
// to the disk itself (fsync; F_FULLFSYNC on macOS) and closes. A file that is not finished is left
// incomplete.
class FileWriter {
 public:
  // Creates or truncates. Messages name `shown`, where it is given: the file that this one will be.
  explicit FileWriter(const std::filesystem::path& path, const std::filesystem::path& shown = {});
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  Status finish();
  const Status& status() const { return status_; }
  std::uint64_t bytes_written() const { return written_; }
  std::string hash() const { return hash_.hex(); }  // of what was to be written (hash.h)

 private:
  void fail(const char* action);
  std::filesystem::path shown_;
  int descriptor_ = -1;
  std::uint64_t written_ = 0;
  ContentHash hash_;
  Status status_;
};

// Writes beside `path`, syncs, renames over it and syncs the folder: readers see the old file or
// the new one, and a failure leaves nothing behind.
Status write_file_atomically(const std::filesystem::path& path, std::string_view contents);
// Writes the parts to where a user says: atomically if that is a file or nothing yet. What else is
// there (a device such as /dev/stdout, a pipe, a link) stays, and is written into.
Status write_file(const std::filesystem::path& path, std::initializer_list<std::string_view> parts);
// Where a file that a user names is, once it is to be replaced whole: at the end of a link. Throws
// Error for what no file may take the place of: a device, a pipe, a folder.
std::filesystem::path replaceable_file(const std::filesystem::path& path);
// Flushes an open file to the disk itself; `path` is for the message.
Status sync_descriptor(int descriptor, const std::filesystem::path& path);
// Makes renames and new names in a folder durable.
Status sync_directory(const std::filesystem::path& directory);
Status rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);
// Bytes that can still be written below `path` by this user.
std::uint64_t free_disk_bytes(const std::filesystem::path& path);

}  // namespace anemone
