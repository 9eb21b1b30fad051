// The .npy reader: a strict parser of the header, which is a Python dictionary literal such as
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. Bytes after the data are an error.
#include "anemone/base/npy.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <string_view>

#include "anemone/base/file.h"

namespace anemone {
namespace {

static_assert(std::endian::native == std::endian::little, "'<' is the byte order of this machine");

constexpr std::string_view kMagic{"\x93NUMPY", 6};
constexpr std::size_t kLargestNpyHeader = 65536;  // NumPy's own headers are below 200 bytes
constexpr std::size_t kAlignment = 64;            // of the data, as NumPy writes it

struct Descr {
  const char* text;
  DType dtype;
};
constexpr Descr kDescrs[] = {
    {"<f2", DType::fp16},   {"<f4", DType::fp32},   {"<f8", DType::fp64},
    {"|i1", DType::int8},   {"<i2", DType::int16},  {"<i4", DType::int32},
    {"<i8", DType::int64},  {"|u1", DType::uint8},  {"<u2", DType::uint16},
    {"<u4", DType::uint32}, {"<u8", DType::uint64}, {"|b1", DType::boolean}};

std::string known_descrs() {
  std::string text;
  for (const Descr& descr : kDescrs) text += (text.empty() ? "" : ", ") + std::string(descr.text);
  return text;
}

class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  // Fills dtype and shape.
  void parse(NpyArray& array) {
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        array.dtype = dtype(string());
        descr = true;
      } else if (key == "fortran_order" && !order) {
        if (boolean())
          fail("the array is in Fortran order", "C order: numpy.ascontiguousarray(array)");
        order = true;
      } else if (key == "shape" && !shape) {
        array.shape = dims();
        shape = true;
      } else {
        fail("key '" + key + "'", "descr, fortran_order and shape, once each");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) fail("text after the dictionary", "spaces and a newline");
    if (!descr || !order || !shape) fail("a key is missing", "descr, fortran_order and shape");
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& expected) const {
    throw Error(what, fmt::format("{}: header byte {}", name_, at_), expected);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool accept(char symbol) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != symbol) return false;
    ++at_;
    return true;
  }

  void expect(char symbol) {
    if (!accept(symbol)) fail("malformed header", std::string("'") + symbol + "'");
  }

  std::string string() {
    expect('\'');
    const std::size_t end = text_.find('\'', at_);
    if (end == std::string_view::npos || end - at_ > 32) fail("malformed header", "a short string");
    std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }

  bool boolean() {
    skip_space();
    for (const std::string_view word : {"False", "True"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return word == "True";
    }
    fail("malformed header", "True or False");
  }

  DType dtype(const std::string& text) const {
    for (const Descr& descr : kDescrs) {
      if (text == descr.text) return descr.dtype;
    }
    fail("element type '" + text + "' is not supported", known_descrs());
  }

  std::int64_t dimension() {
    skip_space();
    const std::size_t start = at_;
    std::int64_t value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      if (at_ - start >= 18) fail("a dimension is too large", "below 10^18");
      value = value * 10 + (text_[at_++] - '0');
    }
    if (at_ == start) fail("malformed shape", "a dimension");
    return value;
  }

  Shape dims() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      if (shape.rank() == Shape::kMaxRank) fail("too many dimensions", "at most 8");
      shape.push_back(dimension());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
};

// The header's text, and where the data begins.
std::pair<std::string_view, std::size_t> find_header(std::string_view text,
                                                     const std::string& name) {
  if (text.substr(0, kMagic.size()) != kMagic || text.size() < kMagic.size() + 2) {
    throw Error("not an .npy file", name, "the bytes 93 'NUMPY' first");
  }
  const int major = static_cast<unsigned char>(text[6]),
            minor = static_cast<unsigned char>(text[7]);
  if ((major != 1 && major != 2) || minor != 0) {
    throw Error(fmt::format("version {}.{}", major, minor), name, "1.0 or 2.0");
  }
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  const std::size_t start = kMagic.size() + 2 + length_bytes;
  std::uint32_t length = 0;
  if (text.size() >= start) std::memcpy(&length, text.data() + kMagic.size() + 2, length_bytes);
  if (text.size() < start || length > text.size() - start || length > kLargestNpyHeader) {
    throw Error(fmt::format("the header claims {} bytes", length), name,
                fmt::format("at most {} in a file of {} bytes", kLargestNpyHeader, text.size()));
  }
  return {text.substr(start, length), start + length};
}

}  // namespace

NpyArray read_npy(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_npy(file.bytes(), path.string());
}

NpyArray parse_npy(std::span<const std::byte> bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto [header, start] = find_header(text, name);
  NpyArray array;
  HeaderParser(header, name).parse(array);
  const auto data = bytes.subspan(start);
  const auto elements = array.shape.checked_elements();
  const std::size_t size = dtype_size(array.dtype);
  if (!elements || data.size() % size != 0 ||
      static_cast<std::uint64_t>(*elements) != data.size() / size) {
    throw Error(fmt::format("{} bytes of data", data.size()), name,
                fmt::format("{} elements of {} bytes for shape {}",
                            elements ? std::to_string(*elements) : "too many", size,
                            array.shape.to_string()));
  }
  array.data.assign(data.begin(), data.end());
  return array;
}

Status write_npy(const std::filesystem::path& path, DType dtype, const Shape& shape,
                 std::span<const std::byte> data) {
  const char* descr = nullptr;
  for (const Descr& known : kDescrs) {
    if (known.dtype == dtype) descr = known.text;
  }
  if (descr == nullptr) {
    throw Error(std::string("NumPy has no element type ") + dtype_name(dtype), path.string(),
                known_descrs());
  }
  const std::string dims = fmt::format("{}{}", fmt::join(shape.begin(), shape.end(), ", "),
                                       shape.rank() == 1 ? "," : "");
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  constexpr std::size_t kFront = 10;  // magic, version, 2-byte length
  header.resize(
      (kFront + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment - kFront - 1, ' ');
  header += '\n';
  const auto length = static_cast<std::uint16_t>(header.size());
  std::string front(kMagic);
  front += {'\1', '\0', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  front += header;
  return write_file(path, {front, {reinterpret_cast<const char*>(data.data()), data.size()}});
}

}  // namespace anemone
