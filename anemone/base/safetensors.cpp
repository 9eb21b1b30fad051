// The safetensors reader: a state machine over JSON events, so that nesting and memory are bounded
// by the format and not by the file. The writer follows the reader's rules.
#include "anemone/base/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

namespace anemone {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kLargestSafetensorsHeader =
    100'000'000;  // the limit of the format's own reader
constexpr std::uint64_t kDataAlignment = 8;

struct DTypeName {
  const char* name;
  DType dtype;
};
constexpr DTypeName kDTypeNames[] = {
    {"F16", DType::fp16},     {"BF16", DType::bf16}, {"F32", DType::fp32},   {"F64", DType::fp64},
    {"BOOL", DType::boolean}, {"I8", DType::int8},   {"I16", DType::int16},  {"I32", DType::int32},
    {"I64", DType::int64},    {"U8", DType::uint8},  {"U16", DType::uint16}, {"U32", DType::uint32},
    {"U64", DType::uint64}};

std::string known_dtypes() {
  std::string text;
  for (const DTypeName& entry : kDTypeNames)
    text += (text.empty() ? "" : ", ") + std::string(entry.name);
  return text;
}

const char* dtype_text(DType dtype) {
  for (const DTypeName& entry : kDTypeNames) {
    if (entry.dtype == dtype) return entry.name;
  }
  return nullptr;
}

// What the header says of one tensor, before it is checked against the data.
struct Entry {
  std::string name;
  std::optional<DType> dtype;
  std::optional<Shape> shape;
  std::vector<std::uint64_t> offsets;
  bool has_offsets = false;
};

// Takes JSON events; anything that is not {name: {dtype, shape, data_offsets}} is an Error.
class HeaderHandler final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderHandler(const std::string& file) : file_(file) {}

  std::vector<Entry> entries;
  std::map<std::string, std::string, std::less<>> metadata;

  bool null() override { reject("null"); }
  bool boolean(bool) override { reject("a boolean"); }
  bool number_integer(number_integer_t) override { reject("a negative number"); }
  bool number_float(number_float_t, const string_t& text) override {
    reject("the number " + text.substr(0, 40));
  }
  bool binary(binary_t&) override { reject("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (where_ == Where::shape) {
      if (value > static_cast<std::uint64_t>(INT64_MAX)) reject(fmt::format("dimension {}", value));
      if (dims_.size() == Shape::kMaxRank) reject("a ninth dimension");
      dims_.push_back(static_cast<std::int64_t>(value));
    } else if (where_ == Where::offsets) {
      if (entries.back().offsets.size() == 2) reject("a third data offset");
      entries.back().offsets.push_back(value);
    } else {
      reject(fmt::format("the number {}", value));
    }
    return true;
  }

  bool string(string_t& value) override {
    if (where_ == Where::metadata) {
      metadata[key_] = value;
    } else if (where_ == Where::tensor && key_ == "dtype") {
      set_dtype(value);
    } else {
      reject("a string");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (where_ == Where::outside) {
      where_ = Where::top;
    } else if (where_ == Where::top) {
      where_ = in_metadata_ ? Where::metadata : Where::tensor;
    } else {
      reject("an object");
    }
    return true;
  }

  bool key(string_t& value) override {
    key_ = value;
    if (where_ == Where::top) {
      in_metadata_ = value == "__metadata__";
      if (!names_.insert(value).second) throw Error("two tensors of this name", place());
      if (!in_metadata_) entries.push_back({value, {}, {}, {}, false});
    } else if (where_ == Where::tensor) {
      if (value != "dtype" && value != "shape" && value != "data_offsets") {
        throw Error("unknown field '" + value.substr(0, 80) + "'", place(),
                    "dtype, shape, data_offsets");
      }
    } else if (where_ == Where::metadata && metadata.contains(value)) {
      throw Error("two entries '" + value.substr(0, 80) + "'", place());
    }
    return true;
  }

  bool end_object() override {
    if (where_ == Where::tensor) {
      const Entry& entry = entries.back();
      if (!entry.dtype) throw Error("no dtype", place());
      if (!entry.shape) throw Error("no shape", place());
      if (!entry.has_offsets) throw Error("no data_offsets", place());
    }
    where_ = where_ == Where::top ? Where::outside : Where::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (where_ == Where::tensor && key_ == "shape" && !entries.back().shape) {
      where_ = Where::shape;
      dims_.clear();
    } else if (where_ == Where::tensor && key_ == "data_offsets" && !entries.back().has_offsets) {
      where_ = Where::offsets;
      entries.back().has_offsets = true;
    } else {
      reject(key_ == "dtype" || where_ != Where::tensor ? "an array" : "a second " + key_);
    }
    return true;
  }

  bool end_array() override {
    if (where_ == Where::shape) {
      entries.back().shape = Shape(dims_);
    } else if (entries.back().offsets.size() != 2) {
      throw Error(fmt::format("{} data offsets", entries.back().offsets.size()), place(), "2");
    }
    where_ = Where::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    throw Error(fmt::format("the header is not JSON: {}", error.what()),
                fmt::format("{}: byte {}", file_, kLengthBytes + position));
  }

 private:
  enum class Where { outside, top, metadata, tensor, shape, offsets };

  std::string place() const {
    if (in_metadata_) return file_ + ": __metadata__";
    if (entries.empty()) return file_;
    return fmt::format("{}: tensor '{}'", file_, entries.back().name.substr(0, 200));
  }

  [[noreturn]] void reject(const std::string& found) const {
    static constexpr const char* kExpected[] = {"an object of tensors",
                                                "an object for each tensor",
                                                "strings",
                                                "dtype, shape, data_offsets once each",
                                                "at most 8 dimensions below 2^63",
                                                "two offsets"};
    throw Error("found " + found, place(), kExpected[static_cast<int>(where_)]);
  }

  void set_dtype(const std::string& text) {
    if (entries.back().dtype) reject("a second dtype");
    for (const DTypeName& known : kDTypeNames) {
      if (text == known.name) entries.back().dtype = known.dtype;
    }
    if (!entries.back().dtype) {
      throw Error("element type '" + text.substr(0, 80) + "' is not supported", place(),
                  known_dtypes());
    }
  }

  const std::string& file_;
  Where where_ = Where::outside;
  bool in_metadata_ = false;
  std::string key_;
  std::set<std::string, std::less<>> names_;
  std::vector<std::int64_t> dims_;
};

std::span<const std::byte> header_of(std::span<const std::byte> bytes, const std::string& name) {
  if (bytes.size() < kLengthBytes) {
    throw Error(fmt::format("{} bytes are too few for a safetensors file", bytes.size()), name,
                "at least 8");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const std::uint64_t most =
      std::min<std::uint64_t>(bytes.size() - kLengthBytes, kLargestSafetensorsHeader);
  if (length > most) {
    throw Error(fmt::format("the header claims {} bytes", length), name,
                fmt::format("at most {}: {}", most,
                            most == kLargestSafetensorsHeader ? "the limit of the format"
                                                              : "the file ends there"));
  }
  const auto header = bytes.subspan(kLengthBytes, length);
  if (header.empty() || header[0] != std::byte{'{'}) {
    throw Error("the header does not begin with '{'", name, "a safetensors file");
  }
  return header;
}

// The elements of `entry` fill its offsets exactly.
void check_size(const Entry& entry, const std::string& place) {
  const auto [begin, end] = std::pair(entry.offsets[0], entry.offsets[1]);
  const auto elements = entry.shape->checked_elements();
  const std::uint64_t size = dtype_size(*entry.dtype);
  if (!elements || static_cast<std::uint64_t>(*elements) > UINT64_MAX / size) {
    throw Error("the product of " + entry.shape->to_string() + " is too large", place);
  }
  if (static_cast<std::uint64_t>(*elements) * size != end - begin) {
    throw Error(fmt::format("data of {} bytes", end - begin), place,
                fmt::format("{} for {} {}", static_cast<std::uint64_t>(*elements) * size,
                            dtype_text(*entry.dtype), entry.shape->to_string()));
  }
}

// Where the writer puts things: the header with its length in front.
std::string make_header(std::span<const NamedTensor> tensors,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const NamedTensor& named : tensors) {
    const TensorView& tensor = named.tensor;
    const char* dtype = dtype_text(tensor.dtype);
    const auto elements = tensor.shape.checked_elements();
    if (dtype == nullptr || !elements ||
        static_cast<std::uint64_t>(*elements) * dtype_size(tensor.dtype) != tensor.data.size()) {
      throw Error(fmt::format("{} bytes of data", tensor.data.size()),
                  "tensor '" + named.name + "'",
                  fmt::format("{} {}", dtype_name(tensor.dtype), tensor.shape.to_string()));
    }
    if (header.contains(named.name))
      throw Error("two tensors of this name", "tensor '" + named.name + "'");
    const auto dims = tensor.shape.dims();
    header[named.name] = {{"dtype", dtype},
                          {"shape", std::vector<std::int64_t>(dims.begin(), dims.end())},
                          {"data_offsets", {offset, offset + tensor.data.size()}}};
    offset += tensor.data.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment, ' ');
  const std::uint64_t length = text.size();
  std::string prefix(kLengthBytes, '\0');
  std::memcpy(prefix.data(), &length, kLengthBytes);
  return prefix + text;
}

}  // namespace

SafetensorsReader::SafetensorsReader(const std::filesystem::path& path)
    : SafetensorsReader(MappedFile(path), path.string()) {}

SafetensorsReader::SafetensorsReader(MappedFile file, const std::string& name)
    : file_(std::move(file)), name_(name) {
  parse(file_.bytes(), name);
}

SafetensorsReader::SafetensorsReader(std::span<const std::byte> bytes, const std::string& name)
    : name_(name) {
  parse(bytes, name);
}

void SafetensorsReader::parse(std::span<const std::byte> bytes, const std::string& name) {
  const auto header = header_of(bytes, name);
  const auto data = bytes.subspan(kLengthBytes + header.size());
  HeaderHandler handler(name);
  const char* text = reinterpret_cast<const char*>(header.data());
  nlohmann::json::sax_parse(text, text + header.size(), &handler);
  metadata_ = std::move(handler.metadata);

  auto& entries = handler.entries;
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
  std::uint64_t covered = 0;
  for (Entry& entry : entries) {
    const std::string place = fmt::format("{}: tensor '{}'", name, entry.name.substr(0, 200));
    const auto [begin, end] = std::pair(entry.offsets[0], entry.offsets[1]);
    if (begin != covered || end < begin || end > data.size()) {
      throw Error(fmt::format("data offsets [{}, {}]", begin, end), place,
                  fmt::format("to begin at {}, where the tensor before it ends, and to end by {}, "
                              "the end of the file",
                              covered, data.size()));
    }
    check_size(entry, place);
    tensors_[std::move(entry.name)] = {*entry.dtype, *entry.shape,
                                       data.subspan(begin, end - begin)};
    covered = end;
  }
  if (covered != data.size()) {
    throw Error(fmt::format("{} bytes of data", data.size()), name,
                fmt::format("{}, the end of the last tensor", covered));
  }
}

const TensorView& SafetensorsReader::get(std::string_view name) const {
  if (const auto found = tensors_.find(name); found != tensors_.end()) return found->second;
  constexpr std::size_t kListed = 20;
  std::string known;
  std::size_t count = 0;
  for (const auto& [key, tensor] : tensors_) {
    if (++count > kListed) break;
    known += (known.empty() ? "" : ", ") + key;
  }
  if (count > kListed) known += fmt::format(", … {} in all", tensors_.size());
  throw Error(fmt::format("no tensor '{}'", name), name_, known.empty() ? "a tensor" : known);
}

std::uint64_t safetensors_header_bytes(std::span<const NamedTensor> tensors,
                                       const std::map<std::string, std::string>& metadata) {
  return make_header(tensors, metadata).size();
}

void write_safetensors(FileWriter& writer, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  writer.write(make_header(tensors, metadata));
  for (const NamedTensor& named : tensors) writer.write(named.tensor.data);
}

Status write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                         const std::map<std::string, std::string>& metadata) {
  FileWriter writer(path);
  write_safetensors(writer, tensors, metadata);
  return writer.finish();
}

}  // namespace anemone
