// The .npy reader and writer: round trips, NumPy's own bytes, and broken headers.
#include "anemone/base/npy.h"

#include <gtest/gtest.h>

#include "anemone/base/file.h"
#include "tests/support/temporary_directory.h"

namespace anemone {
namespace {

std::string make_npy(std::string header, std::size_t data_bytes, int major = 1) {
  std::string text("\x93NUMPY", 6);
  text += {static_cast<char>(major), '\0', static_cast<char>(header.size() & 0xff),
           static_cast<char>(header.size() >> 8)};
  if (major == 2) text += std::string(2, '\0');
  return text + header + std::string(data_bytes, '\0');
}

NpyArray parse(const std::string& file) {
  return parse_npy(std::as_bytes(std::span(file.data(), file.size())), "f");
}

std::string npy_complaint(const std::string& file) {
  try {
    (void)parse(file);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Npy, RoundTripOfEveryTypeAndRank) {
  const test::TemporaryDirectory folder;
  const auto path = folder.path() / "a.npy";
  std::vector<std::byte> data(6 * 8);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7);
  for (const DType dtype :
       {DType::fp16, DType::fp32, DType::fp64, DType::int8, DType::int16, DType::int32,
        DType::int64, DType::uint8, DType::uint16, DType::uint32, DType::uint64, DType::boolean}) {
    for (const Shape& shape : {Shape{}, Shape{6}, Shape{2, 3}, Shape{1, 2, 1, 3}, Shape{0, 3}}) {
      const auto bytes =
          std::span(data).first(static_cast<std::size_t>(shape.elements()) * dtype_size(dtype));
      ASSERT_EQ(write_npy(path, dtype, shape, bytes).message, "");
      const NpyArray read = read_npy(path);
      EXPECT_EQ(read.dtype, dtype);
      EXPECT_EQ(read.shape, shape);
      EXPECT_TRUE(std::equal(read.data.begin(), read.data.end(), bytes.begin(), bytes.end()));
    }
  }
  EXPECT_THROW((void)write_npy(path, DType::bf16, Shape{}, {}), Error);
}

TEST(Npy, WritesWhatNumpyWrites) {
  // numpy.save of numpy.zeros((2, 3), 'f4') and numpy.zeros(3, 'f4'): header text and padding.
  const test::TemporaryDirectory folder;
  const auto path = folder.path() / "a.npy";
  const std::vector<std::byte> zeros(24);
  ASSERT_EQ(write_npy(path, DType::fp32, Shape{2, 3}, zeros).message, "");
  std::string text = read_text_file(path);
  ASSERT_EQ(text.size(), 128U + 24);
  EXPECT_EQ(text.substr(0, 10), std::string("\x93NUMPY\x01\x00v\x00", 10));
  EXPECT_EQ(text.substr(10, 60), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } ");
  EXPECT_EQ(text[127], '\n');
  ASSERT_EQ(write_npy(path, DType::fp32, Shape{3}, std::span(zeros).first(12)).message, "");
  EXPECT_NE(read_text_file(path).find("'shape': (3,), }"), std::string::npos);
}

TEST(Npy, AcceptsBothVersionsAndAnyOrderOfKeys) {
  EXPECT_EQ(
      npy_complaint(make_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 8)),
      "");
  EXPECT_EQ(npy_complaint(make_npy("{'shape':(2,1),'fortran_order':False,'descr':'|u1'}", 2, 2)),
            "");
  EXPECT_EQ(npy_complaint(make_npy("{'descr': '<i8', 'fortran_order': False, 'shape': ()}", 8)),
            "");
}

struct BadFile {
  const char* header;
  std::size_t data_bytes;
  const char* complaint;
};

constexpr BadFile kBadFiles[] = {
    {"", 0, "expected '{'"},
    {"{", 0, "expected '''"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", 4, "text after the dictionary"},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4, "'>f4' is not supported"},
    {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8, "'<c8' is not supported"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4, "expected '''"},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", 4, "Fortran order"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", 4, "True or False"},
    {"{'descr': '<f4', 'fortran_order': False}", 4, "a key is missing"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, "key 'descr'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4, "a dimension"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000000,), }", 4, "too large"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999999,999999999999,), }", 4,
     "too many elements"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4, "at most 8"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1), }", 4, "expected ')'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 4, "expected 2 elements"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 9, "9 bytes of data"},
    {"{'descr': '0123456789012345678901234567890123456789'}", 9, "a short string"},
};

TEST(Npy, RefusesBadFilesWithTheReason) {
  for (const BadFile& bad : kBadFiles) {
    const std::string text = npy_complaint(make_npy(bad.header, bad.data_bytes));
    EXPECT_NE(text.find(bad.complaint), std::string::npos)
        << bad.header << "\n  says: " << text << "\n  expected: " << bad.complaint;
  }
  EXPECT_NE(npy_complaint("").find("not an .npy file"), std::string::npos);
  EXPECT_NE(npy_complaint(make_npy("{}", 0, 3)).find("version 3.0"), std::string::npos);
  const std::string whole = make_npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(npy_complaint(whole.substr(0, size)), "") << size;
  }
}

}  // namespace
}  // namespace anemone
