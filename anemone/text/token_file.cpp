// Reading and writing files of token ids.
#include "anemone/text/token_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "anemone/base/error.h"

namespace anemone::text {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "ANEMTOK1";
constexpr std::uint64_t kLargest16 = std::uint64_t{1} << 16, kLargest32 = std::uint64_t{1} << 32;

struct Header {
  std::array<char, 8> magic;
  std::uint32_t width, zero;
  std::uint64_t vocabulary, count;
  std::array<char, 32> hash;
};
static_assert(sizeof(Header) == 64);

// llm.c's: its first three of 256 numbers.
struct LlmcHeader {
  std::int32_t magic, version, count;
};
constexpr std::size_t kLlmcHeaderBytes = 1024;
constexpr std::int32_t kLlmc16 = 20240520, kLlmc32 = 20240801;

template <class T>
T begin_of(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

TokenFile::TokenFile(const fs::path& path, std::uint64_t vocabulary) : path_(path), file_(path) {
  read_header();
  check(vocabulary != 0 ? vocabulary : vocabulary_);
}

void TokenFile::read_header() {
  data_ = file_.bytes();
  std::uint64_t count = data_.size() / width_;
  if (data_.size() >= kMagic.size() &&
      std::memcmp(data_.data(), kMagic.data(), kMagic.size()) == 0) {
    if (data_.size() < sizeof(Header))
      throw Error("the file ends within its header", path_.string());
    const auto header = begin_of<Header>(data_);
    if (header.width != 2 && header.width != 4)
      throw Error(fmt::format("ids of {} bytes", header.width), path_.string(), "2 or 4");
    width_ = header.width;
    count = header.count;
    vocabulary_ = header.vocabulary;
    hash_.assign(header.hash.data(), header.hash.size());
    data_ = data_.subspan(sizeof(Header));
  } else if (data_.size() >= kLlmcHeaderBytes) {
    const auto header = begin_of<LlmcHeader>(data_);
    if (header.magic == kLlmc16 || header.magic == kLlmc32) {
      width_ = header.magic == kLlmc16 ? 2 : 4;
      count = static_cast<std::uint32_t>(header.count);
      data_ = data_.subspan(kLlmcHeaderBytes);
    }
  }
  if (data_.size() % width_ != 0 || data_.size() / width_ != count)
    throw Error(fmt::format("{} bytes of ids", data_.size()), path_.string(),
                fmt::format("{} ids of {} bytes", count, width_));
  size_ = count;
}

TokenId TokenFile::at(std::uint64_t index) const {
  const std::byte* from = data_.data() + index * width_;
  if (width_ == 2) {
    std::uint16_t id;
    std::memcpy(&id, from, sizeof id);
    return id;
  }
  std::uint32_t id;
  std::memcpy(&id, from, sizeof id);
  return id;
}

void TokenFile::check(std::uint64_t vocabulary) const {
  if (!hash_.empty()) {
    if (const std::string now = content_hash(data_); now != hash_)
      throw Error(fmt::format("it is damaged: its ids have the hash {}", now), path_.string(),
                  hash_ + ", as its header says");
  }
  if (vocabulary == 0) return;
  for (std::uint64_t i = 0; i < size_; ++i) {
    if (const TokenId id = at(i); id >= vocabulary)
      throw Error(fmt::format("id {} at position {}", id, i), path_.string(),
                  fmt::format("ids below {}, the vocabulary", vocabulary));
  }
}

std::string TokenFile::hash() const { return hash_.empty() ? content_hash(data_) : hash_; }

void TokenFile::read(std::uint64_t begin, std::span<TokenId> ids) const {
  ANEMONE_CHECK(begin <= size_ && ids.size() <= size_ - begin, "ids beyond the file");
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = at(begin + i);
}

TokenWriter::TokenWriter(const fs::path& path, std::uint64_t vocabulary)
    : path_(replaceable_file(path)),
      unfinished_(fmt::format("{}.{}.tmp", path_.string(), ::getpid())),
      vocabulary_(vocabulary),
      width_(vocabulary > kLargest16 ? 4 : 2) {
  if (vocabulary == 0 || vocabulary > kLargest32)
    throw Error(fmt::format("a vocabulary of {}", vocabulary), path.string(),
                fmt::format("1 to {}", kLargest32));
  file_ = std::make_unique<FileWriter>(unfinished_, path_);
  if (!file_->status().ok()) throw Error(file_->status().message);
  const Header room{};  // until the numbers are known
  file_->write(std::as_bytes(std::span(&room, 1)));
}

TokenWriter::~TokenWriter() {
  if (!file_) return;
  file_.reset();
  std::error_code ignored;
  fs::remove(unfinished_, ignored);
}

void TokenWriter::write(std::span<const TokenId> ids) {
  buffer_.resize(ids.size() * width_);
  std::byte* to = buffer_.data();
  for (const TokenId id : ids) {
    ANEMONE_CHECK(id < vocabulary_, "an id that is not in the vocabulary");
    std::memcpy(to, &id, width_);  // little-endian: the low bytes are the first
    to += width_;
  }
  hash_.update(buffer_);
  file_->write(buffer_);
  written_ += ids.size();
}

Status TokenWriter::finish() {
  Status status = file_->finish();
  if (status.ok()) {
    Header header{};
    std::memcpy(header.magic.data(), kMagic.data(), header.magic.size());
    header.width = width_;
    header.vocabulary = vocabulary_;
    header.count = written_;
    std::memcpy(header.hash.data(), hash_.hex().data(), header.hash.size());
    const int descriptor = ::open(unfinished_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0 ||
        ::pwrite(descriptor, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) {
      status = Status::failure(
          Error(fmt::format("cannot write: {}", std::strerror(errno)), path_.string()).what());
    } else {
      status = sync_descriptor(descriptor, path_);
    }
    if (descriptor >= 0) ::close(descriptor);
  }
  if (status.ok()) status = rename_durably(unfinished_, path_);
  if (status.ok()) file_.reset();  // nothing left to remove
  return status;
}

}  // namespace anemone::text
