// MIL Blob Storage v2, the files that hold a program's large constants (weights/*.bin).
// Little-endian.
//
//   0    uint32 count of records, uint32 version (2), 56 reserved bytes
//   64   record: uint32 sentinel 0xDEADBEEF, uint32 data type, uint64 size in bytes, uint64 offset
//        of the data from the start of the file, uint64 padding bits (sub-byte types), 32 reserved
//        bytes
//   then the data; records and data begin at multiples of 64. BLOBFILE(offset = …) in a program
//   addresses a record.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/base/dtype.h"
#include "anemone/base/file.h"
#include "anemone/mil/constant.h"

namespace anemone::mil {

inline constexpr std::uint64_t kFirstBlobRecord = 64;  // the offset of a file's first record

// "l0.wq" or "mask" as the name of a blob file, without ".bin": other characters than letters,
// digits, '.', '-' and '_' become '_'.
std::string blob_file_stem(std::string_view name);
std::string weight_file_stem(const WeightRef& ref);  // with "_t" if it is transposed

struct BlobRecord {
  DType dtype;
  std::span<const std::byte> data;
};

// A mapped blob file. Every access is bounds-checked; errors name the file, the offset and what was
// found.
class BlobReader {
 public:
  explicit BlobReader(const std::filesystem::path& path);
  BlobReader(std::span<const std::byte> bytes, std::string name);  // not owned: fuzzing, tests

  BlobRecord record(std::uint64_t offset) const;
  std::uint32_t count() const;

 private:
  void check_header() const;
  MappedFile file_;
  std::span<const std::byte> bytes_;
  std::string name_;
};

// The layout of a blob file before its bytes are there: where each record and its data will lie.
class BlobImage {
 public:
  // Returns the record's offset, as BLOBFILE names it. Throws Error for a type that blob files do
  // not have (bool, fp64, 64-bit integers, strings).
  std::uint64_t add(DType dtype, std::size_t bytes);
  std::size_t bytes() const;  // of the whole file
  std::size_t records() const { return records_.size(); }
  // Everything but the data, into a file of bytes() bytes.
  void write_headers(std::span<std::byte> file) const;
  std::span<std::byte> data(std::span<std::byte> file, std::size_t record) const;

 private:
  struct Record {
    std::uint32_t type;
    std::uint64_t offset, size;
  };
  std::vector<Record> records_;
};

class BlobWriter {
 public:
  explicit BlobWriter(const std::filesystem::path& path) : path_(path) {}
  std::uint64_t add(DType dtype, std::span<const std::byte> data);  // as BlobImage::add
  Status finish();                                                  // writes and syncs the file

 private:
  std::filesystem::path path_;
  BlobImage image_;
  std::string contents_;
};

}  // namespace anemone::mil
