// Reading and writing blob files. A file is untrusted: every number in it is checked before use.
#include "anemone/mil/blob_file.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <string_view>
#include <utility>

#include "anemone/base/error.h"

namespace anemone::mil {
namespace {

static_assert(std::endian::native == std::endian::little, "blob files are little-endian");

struct Header {
  std::uint32_t count;
  std::uint32_t version;
  std::uint64_t reserved[7];
};
static_assert(sizeof(Header) == 64);

struct Metadata {
  std::uint32_t sentinel;
  std::uint32_t type;
  std::uint64_t size;
  std::uint64_t offset;
  std::uint64_t padding_bits;
  std::uint64_t reserved[4];
};
static_assert(sizeof(Metadata) == 64);

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kSentinel = 0xDEADBEEF;

// The numbers of element types in blob files (other ones than in a model's protobuf).
struct TypeNumber {
  std::uint32_t number;
  DType type;
};
constexpr TypeNumber kTypes[] = {
    {1, DType::fp16},   {2, DType::fp32},   {3, DType::uint8},
    {4, DType::int8},   {5, DType::bf16},   {6, DType::int16},
    {7, DType::uint16}, {14, DType::int32}, {15, DType::uint32},
};

// Types that exist but are not supported, for the error.
constexpr std::pair<std::uint32_t, std::string_view> kOtherTypes[] = {
    {8, "int4"},   {9, "uint1"},  {10, "uint2"},      {11, "uint4"},
    {12, "uint3"}, {13, "uint6"}, {16, "fp8 e4m3fn"}, {17, "fp8 e5m2"},
};

std::string type_name(std::uint32_t number) {
  for (const auto& [known, name] : kOtherTypes) {
    if (known == number) return fmt::format("{} ({}), which is not supported", number, name);
  }
  return fmt::format("{}, which no element type has", number);
}

std::uint64_t aligned(std::uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

template <class T>
T load(std::span<const std::byte> bytes, std::uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

std::string blob_file_stem(std::string_view name) {
  std::string stem;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_';
    stem += plain ? c : '_';
  }
  // Neither nothing nor a hidden file.
  return stem.empty() || stem.front() == '.' ? "constant" + stem : stem;
}

std::string weight_file_stem(const WeightRef& ref) {
  return blob_file_stem(ref.name + (ref.transposed ? "_t" : ""));
}

BlobReader::BlobReader(const std::filesystem::path& path)
    : file_(path), bytes_(file_.bytes()), name_(path.string()) {
  check_header();
}

BlobReader::BlobReader(std::span<const std::byte> bytes, std::string name)
    : bytes_(bytes), name_(std::move(name)) {
  check_header();
}

void BlobReader::check_header() const {
  if (bytes_.size() < sizeof(Header)) {
    throw Error(fmt::format("a blob file of {} bytes", bytes_.size()), name_, "64 bytes of header");
  }
  const auto version = load<Header>(bytes_, 0).version;
  if (version != kVersion) {
    throw Error(fmt::format("a blob file of version {}", version), name_, "version 2");
  }
}

std::uint32_t BlobReader::count() const { return load<Header>(bytes_, 0).count; }

BlobRecord BlobReader::record(std::uint64_t offset) const {
  const auto fail = [&](const std::string& problem, const std::string& expected) {
    throw Error(fmt::format("the record at offset {}: {}", offset, problem), name_, expected);
  };
  const std::uint64_t size = bytes_.size();
  if (offset < sizeof(Header) || offset % kAlignment != 0) {
    fail("no record can be there", "a multiple of 64, at least 64");
  }
  if (offset > size || size - offset < sizeof(Metadata)) {
    fail(fmt::format("the file has only {} bytes", size), "64 bytes of record");
  }
  const auto metadata = load<Metadata>(bytes_, offset);
  if (metadata.sentinel != kSentinel) {
    fail(fmt::format("it begins with 0x{:08X}", metadata.sentinel), "0xDEADBEEF");
  }
  const TypeNumber* type = nullptr;
  for (const TypeNumber& known : kTypes) {
    if (known.number == metadata.type) type = &known;
  }
  if (type == nullptr) fail("its data type is " + type_name(metadata.type), {});
  if (metadata.offset < sizeof(Header) || metadata.offset % kAlignment != 0) {
    fail(fmt::format("its data begins at {}", metadata.offset), "a multiple of 64, at least 64");
  }
  if (metadata.offset > size || metadata.size > size - metadata.offset) {
    fail(fmt::format("{} bytes of data at {}, but the file has {}", metadata.size, metadata.offset,
                     size),
         "data inside the file");
  }
  if (metadata.size % dtype_size(type->type) != 0) {
    fail(fmt::format("{} bytes are no whole number of {} elements", metadata.size,
                     dtype_name(type->type)),
         {});
  }
  return {type->type, bytes_.subspan(metadata.offset, metadata.size)};
}

std::uint64_t BlobImage::add(DType dtype, std::size_t bytes) {
  const TypeNumber* type = nullptr;
  for (const TypeNumber& known : kTypes) {
    if (known.type == dtype) type = &known;
  }
  if (type == nullptr) throw Error(fmt::format("a blob file cannot hold {}", dtype_name(dtype)));
  const std::uint64_t offset = aligned(this->bytes());
  records_.push_back({type->number, offset, bytes});
  return offset;
}

std::size_t BlobImage::bytes() const {
  if (records_.empty()) return sizeof(Header);
  return records_.back().offset + sizeof(Metadata) + records_.back().size;
}

void BlobImage::write_headers(std::span<std::byte> file) const {
  ANEMONE_CHECK(file.size() == bytes(), "the file has the image's size");
  Header header{};
  header.count = static_cast<std::uint32_t>(records_.size());
  header.version = kVersion;
  std::memcpy(file.data(), &header, sizeof header);
  std::uint64_t end = sizeof header;  // of what is written: from here to the next record are zeros
  for (const Record& record : records_) {
    Metadata metadata{};
    metadata.sentinel = kSentinel;
    metadata.type = record.type;
    metadata.size = record.size;
    metadata.offset = record.offset + sizeof metadata;
    std::memset(file.data() + end, 0, record.offset - end);
    std::memcpy(file.data() + record.offset, &metadata, sizeof metadata);
    end = metadata.offset + record.size;
  }
}

std::span<std::byte> BlobImage::data(std::span<std::byte> file, std::size_t record) const {
  return file.subspan(records_[record].offset + sizeof(Metadata), records_[record].size);
}

std::uint64_t BlobWriter::add(DType dtype, std::span<const std::byte> data) {
  std::uint64_t offset = 0;
  try {
    offset = image_.add(dtype, data.size());
  } catch (const Error& error) {
    throw Error(error.problem(), path_.string());
  }
  contents_.resize(offset + sizeof(Metadata));
  contents_.append(reinterpret_cast<const char*>(data.data()), data.size());
  return offset;
}

Status BlobWriter::finish() {
  contents_.resize(image_.bytes());
  image_.write_headers(std::as_writable_bytes(std::span(contents_)));
  return write_file_atomically(path_, contents_);
}

}  // namespace anemone::mil
