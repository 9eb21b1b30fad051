// The safetensors reader and writer: round trips, and every rule of the format broken once.
#include "anemone/base/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/temporary_directory.h"

namespace anemone {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string make_safetensors(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string text(8, '\0');
  std::memcpy(text.data(), &length, 8);
  return text + header + std::string(data_bytes, '\0');
}

// What the reader says of a file; empty = it is accepted.
std::string safetensors_complaint(const std::string& file) {
  try {
    SafetensorsReader reader(bytes_of(file), "f");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string safetensors_complaint(const std::string& header, std::size_t data_bytes) {
  return safetensors_complaint(make_safetensors(header, data_bytes));
}

TEST(Safetensors, RoundTripKeepsBytesShapesAndMetadata) {
  const test::TemporaryDirectory folder;
  const float a[6] = {1, 2, 3, 4, 5, 6};
  const std::uint16_t b[1] = {0x3c00};
  const std::vector<NamedTensor> tensors = {
      {"z \"quoted\"", {DType::fp32, Shape{2, 3}, std::as_bytes(std::span(a))}},
      {"b", {DType::fp16, Shape{}, std::as_bytes(std::span(b))}},
      {"none", {DType::int64, Shape{0, 7}, {}}}};
  const auto path = folder.path() / "t.safetensors";
  ASSERT_EQ(write_safetensors(path, tensors, {{"k", "v"}, {"", "empty"}}).message, "");

  const SafetensorsReader reader(path);
  ASSERT_EQ(reader.tensors().size(), 3U);
  EXPECT_EQ(reader.metadata().at("k"), "v");
  EXPECT_EQ(reader.metadata().at(""), "empty");
  for (const NamedTensor& named : tensors) {
    const TensorView& read = reader.get(named.name);
    EXPECT_EQ(read.dtype, named.tensor.dtype);
    EXPECT_EQ(read.shape, named.tensor.shape);
    ASSERT_EQ(read.data.size(), named.tensor.data.size());
    EXPECT_TRUE(std::equal(read.data.begin(), read.data.end(), named.tensor.data.begin()));
  }
  // The first tensor's data is aligned as its elements want it.
  const std::string text = read_text_file(path);
  EXPECT_EQ(safetensors_header_bytes(tensors, {{"k", "v"}, {"", "empty"}}) % 8, 0U);
  EXPECT_EQ(safetensors_header_bytes(tensors, {{"k", "v"}, {"", "empty"}}) + 26, text.size());
}

TEST(Safetensors, WriterRefusesWhatItsReaderWould) {
  const test::TemporaryDirectory folder;
  const float a[2] = {1, 2};
  const TensorView view{DType::fp32, Shape{2}, std::as_bytes(std::span(a))};
  const NamedTensor twice[] = {{"a", view}, {"a", view}};
  EXPECT_THROW((void)write_safetensors(folder.path() / "x", twice), Error);
  const NamedTensor wrong[] = {{"a", {DType::fp32, Shape{3}, view.data}}};
  EXPECT_THROW((void)write_safetensors(folder.path() / "x", wrong), Error);
}

TEST(Safetensors, MissingTensorNamesWhatThereIs) {
  const std::string file =
      make_safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1);
  const SafetensorsReader reader(bytes_of(file), "f");
  try {
    (void)reader.get("b");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "f: no tensor 'b' (expected a)");
  }
}

TEST(Safetensors, AcceptsWhatTheFormatAllows) {
  EXPECT_EQ(safetensors_complaint("{}", 0), "");
  EXPECT_EQ(safetensors_complaint("{}    ", 0), "");
  EXPECT_EQ(safetensors_complaint(R"({"__metadata__":{}})", 0), "");
  EXPECT_EQ(safetensors_complaint(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},)"
                                  R"("a":{"data_offsets":[0,4],"shape":[2,2],"dtype":"I8"}})",
                                  8),
            "");
}

struct BadHeader {
  const char* header;
  std::size_t data_bytes;
  const char* complaint;  // a part of the message
};

constexpr BadHeader kBadHeaders[] = {
    {"", 0, "does not begin with '{'"},
    {" {}", 0, "does not begin with '{'"},
    {"[]", 0, "does not begin with '{'"},
    {"{", 0, "not JSON"},
    {"{}x", 0, "not JSON"},
    {"{\"a\xff\":{}}", 0, "not JSON"},
    {R"({"a":1})", 0, "found the number 1"},
    {R"({"a":[1]})", 0, "found an array"},
    {R"({"a":null})", 0, "found null"},
    {R"({"a":{}})", 0, "no dtype"},
    {R"({"a":{"dtype":"U8"}})", 0, "no shape"},
    {R"({"a":{"dtype":"U8","shape":[]}})", 1, "no data_offsets"},
    {R"({"a":{"dtype":"F8_E4M3","shape":[],"data_offsets":[0,1]}})", 1,
     "'F8_E4M3' is not supported"},
    {R"({"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1, "a second dtype"},
    {R"({"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", 1, "a second shape"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"data_offsets":[0,1]}})", 1,
     "a second data_offsets"},
    {R"({"a":{"dtype":"U8","shape":[1],"offset":[0,1]}})", 1, "unknown field 'offset'"},
    {R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "a negative number"},
    {R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1, "the number 1.0"},
    {R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1, "found an array"},
    {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1, "a ninth"},
    {R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", 1, "dimension"},
    {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
     "too large"},
    {R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0, "too large"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "1 data offsets (expected 2)"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1, "a third data offset"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1, "data offsets [1, 0]"},
    {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 1, "by 1, the end of the file"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "to begin at 0"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2, "2 bytes of data"},
    {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
     R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
     3, "tensor 'b': data offsets [1, 3]"},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "12 for F32 [3]"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
     R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
     2, "two tensors of this name"},
    {R"({"__metadata__":{"a":1}})", 0, "__metadata__: found the number 1"},
    {R"({"__metadata__":{"a":{}}})", 0, "__metadata__: found an object"},
    {R"({"__metadata__":{"a":"1","a":"2"}})", 0, "two entries 'a'"},
    {R"({"__metadata__":"x"})", 0, "found a string"},
};

TEST(Safetensors, RefusesBadHeadersWithTheReason) {
  for (const BadHeader& bad : kBadHeaders) {
    const std::string text = safetensors_complaint(bad.header, bad.data_bytes);
    EXPECT_NE(text.find(bad.complaint), std::string::npos)
        << bad.header << "\n  says: " << text << "\n  expected: " << bad.complaint;
    EXPECT_EQ(text.rfind("f", 0), 0U) << text;
  }
}

TEST(Safetensors, RefusesBadLengths) {
  EXPECT_NE(safetensors_complaint("").find("0 bytes are too few"), std::string::npos);
  EXPECT_NE(safetensors_complaint("1234567").find("7 bytes are too few"), std::string::npos);
  EXPECT_NE(
      safetensors_complaint(std::string(8, '\xff') + "{}").find("at most 2: the file ends there"),
      std::string::npos);
  std::string huge(200'000'000, ' ');
  const std::uint64_t length = huge.size() - 8;
  std::memcpy(huge.data(), &length, 8);
  EXPECT_NE(safetensors_complaint(huge).find("the limit of the format"), std::string::npos);
}

TEST(Safetensors, NestingDoesNotRecurse) {
  EXPECT_NE(
      safetensors_complaint("{\"a\":" + std::string(1'000'000, '['), 0).find("found an array"),
      std::string::npos);
  EXPECT_NE(safetensors_complaint("{\"a\":" + std::string(1'000'000, '{'), 0).find("not JSON"),
            std::string::npos);
}

}  // namespace
}  // namespace anemone
