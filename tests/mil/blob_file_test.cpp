// Blob files: what is written is read; what is broken is refused with its file and offset.
#include "anemone/mil/blob_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace anemone::mil {
namespace {

std::vector<std::byte> some_bytes(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7 + 1);
  return bytes;
}

std::vector<std::byte> contents(const std::filesystem::path& path) {
  const std::string text = read_text_file(path);
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

template <class T>
void put(std::vector<std::byte>& bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

std::string problem_of(std::span<const std::byte> bytes, std::uint64_t offset) {
  try {
    BlobReader(bytes, "w.bin").record(offset);
    return "none";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(BlobFile, ReadsWhatItWrote) {
  const test::TemporaryDirectory folder;
  const auto path = folder.path() / "w.bin";
  const DType types[] = {DType::fp16,  DType::fp32,   DType::bf16,  DType::int8,  DType::uint8,
                         DType::int16, DType::uint16, DType::int32, DType::uint32};
  BlobWriter writer(path);
  std::vector<std::uint64_t> offsets;
  std::size_t elements = 0;
  for (const DType type : types) {
    offsets.push_back(writer.add(type, some_bytes(dtype_size(type) * elements)));
    elements += 13;
  }
  ASSERT_TRUE(writer.finish().ok());
  const BlobReader reader(path);
  EXPECT_EQ(reader.count(), std::size(types));
  EXPECT_EQ(offsets.front(), kFirstBlobRecord);
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const BlobRecord record = reader.record(offsets[i]);
    const auto expected = some_bytes(dtype_size(types[i]) * i * 13);
    EXPECT_EQ(offsets[i] % 64, 0u);
    EXPECT_EQ(record.dtype, types[i]);
    EXPECT_TRUE(
        std::equal(record.data.begin(), record.data.end(), expected.begin(), expected.end()));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(record.data.data()) % 64, 0u);
  }
}

TEST(BlobFile, RefusesToWriteOtherTypes) {
  BlobWriter writer("nowhere.bin");
  for (const DType type : {DType::boolean, DType::fp64, DType::int64, DType::string}) {
    EXPECT_THROW(writer.add(type, {}), Error);
  }
}

// The 128-byte header that ANE programs written by hand have in front of their weights.
TEST(BlobFile, ReadsAFileOfOneRecordWrittenByHand) {
  std::vector<std::byte> file(128 + 8);
  file[0] = file[68] = std::byte{1};
  file[4] = std::byte{2};
  put<std::uint32_t>(file, 64, 0xDEADBEEF);
  put<std::uint32_t>(file, 72, 8);
  put<std::uint32_t>(file, 80, 128);
  const BlobRecord record = BlobReader(file, "w.bin").record(64);
  EXPECT_EQ(record.dtype, DType::fp16);
  EXPECT_EQ(record.data.size(), 8u);
  EXPECT_EQ(record.data.data(), file.data() + 128);
}

class BrokenBlobFile : public testing::Test {
 protected:
  void SetUp() override {
    BlobWriter writer(folder_.path() / "w.bin");
    first_ = writer.add(DType::fp32, some_bytes(40));
    second_ = writer.add(DType::uint8, some_bytes(3));
    ASSERT_TRUE(writer.finish().ok());
    file_ = contents(folder_.path() / "w.bin");
  }
  test::TemporaryDirectory folder_;
  std::vector<std::byte> file_;
  std::uint64_t first_ = 0, second_ = 0;
};

TEST_F(BrokenBlobFile, IsRefusedWithItsFileAndOffset) {
  const auto broken = [&](std::size_t offset, auto value) {
    auto file = file_;
    put(file, offset, value);
    return problem_of(file, first_);
  };
  EXPECT_EQ(problem_of(file_, first_), "none");
  EXPECT_EQ(problem_of({}, 64), "w.bin: a blob file of 0 bytes (expected 64 bytes of header)");
  EXPECT_EQ(broken(4, 1u), "w.bin: a blob file of version 1 (expected version 2)");
  const std::string at = "w.bin: the record at offset ";
  EXPECT_EQ(problem_of(file_, 0),
            at + "0: no record can be there (expected a multiple of 64, at least 64)");
  EXPECT_EQ(problem_of(file_, 65),
            at + "65: no record can be there (expected a multiple of 64, at least 64)");
  EXPECT_EQ(problem_of(file_, std::uint64_t(-64)),
            at + "18446744073709551552: the file has only 259 "
                 "bytes (expected 64 bytes of record)");
  EXPECT_EQ(problem_of(file_, 256),
            at + "256: the file has only 259 bytes (expected 64 bytes of record)");
  EXPECT_EQ(problem_of(file_, 128), at + "128: it begins with 0x160F0801 (expected 0xDEADBEEF)");
  EXPECT_EQ(broken(68, 8u), at + "64: its data type is 8 (int4), which is not supported");
  EXPECT_EQ(broken(68, 99u), at + "64: its data type is 99, which no element type has");
  EXPECT_EQ(
      broken(72, std::uint64_t{132}),
      at + "64: 132 bytes of data at 128, but the file has 259 (expected data inside the file)");
  // offset + size overflows
  EXPECT_NE(broken(72, ~std::uint64_t{0} - 130).find("expected data inside the file"),
            std::string::npos);
  EXPECT_EQ(broken(72, std::uint64_t{39}),
            at + "64: 39 bytes are no whole number of fp32 elements");
  EXPECT_EQ(broken(80, std::uint64_t{132}),
            at + "64: its data begins at 132 (expected a multiple of 64, at least 64)");
  EXPECT_EQ(broken(80, std::uint64_t{0}),
            at + "64: its data begins at 0 (expected a multiple of 64, at least 64)");
}

TEST_F(BrokenBlobFile, CutAnywhereIsRefusedOrWhole) {
  for (std::size_t size = 0; size < file_.size(); ++size) {
    // A copy of exactly this size: a sanitizer sees every byte beyond it.
    const std::vector<std::byte> cut(file_.begin(), file_.begin() + static_cast<long>(size));
    EXPECT_EQ(problem_of(cut, first_) == "none", size >= 168) << size;
    EXPECT_NE(problem_of(cut, second_), "none") << size;
  }
}

TEST_F(BrokenBlobFile, AnyByteChangedIsReadInsideTheFileOrRefused) {
  for (std::size_t i = 0; i < file_.size(); ++i) {
    for (const unsigned char value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      auto file = file_;
      file[i] = std::byte{value};
      try {
        const BlobReader reader(file, "w.bin");
        for (const std::uint64_t offset : {first_, second_}) {
          const BlobRecord record = reader.record(offset);
          EXPECT_GE(record.data.data(), file.data());
          EXPECT_LE(record.data.data() + record.data.size(), file.data() + file.size());
        }
      } catch (const Error&) {
        // Refused.
      }
    }
  }
}

}  // namespace
}  // namespace anemone::mil
