// Resolving references, and turning a trainer's fp32 weights into a program's constants. The latter
// happens at every update: 7 M values, rounded and half of them transposed.
#include "anemone/mil/constant_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "anemone/base/element.h"
#include "anemone/base/error.h"

namespace anemone::mil {
namespace {

constexpr std::string_view kModelPath = "@model_path/";

// Weights of [O, I] serve as constants of [O, I, 1, 1] and the like.
bool same_without_ones(const Shape& a, const Shape& b) {
  Shape short_a, short_b;
  for (const std::int64_t dim : a) {
    if (dim != 1) short_a.push_back(dim);
  }
  for (const std::int64_t dim : b) {
    if (dim != 1) short_b.push_back(dim);
  }
  return short_a == short_b;
}

// (first, second, rest) with the first two axes of `shape`, and whatever follows as one.
struct Matrix {
  std::size_t rows = 1, columns = 1, depth = 1;
};

Matrix as_matrix(const Shape& shape) {
  Matrix m;
  for (int i = 0; i < shape.rank(); ++i) {
    (i == 0 ? m.rows : i == 1 ? m.columns : m.depth) *= static_cast<std::size_t>(shape[i]);
  }
  return m;
}

// to[c][r] = convert(from[r][c]), each element `depth` values; in tiles that fit the L1 cache on
// both sides.
template <class To, class Convert>
void transpose(const Matrix& m, const float* from, To* to, Convert convert) {
  constexpr std::size_t kTile = 32;
  for (std::size_t r0 = 0; r0 < m.rows; r0 += kTile) {
    const std::size_t r1 = std::min(m.rows, r0 + kTile);
    for (std::size_t c0 = 0; c0 < m.columns; c0 += kTile) {
      const std::size_t c1 = std::min(m.columns, c0 + kTile);
      for (std::size_t c = c0; c < c1; ++c) {
        for (std::size_t r = r0; r < r1; ++r) {
          const float* source = from + (r * m.columns + c) * m.depth;
          To* target = to + (c * m.rows + r) * m.depth;
          for (std::size_t i = 0; i < m.depth; ++i) target[i] = convert(source[i]);
        }
      }
    }
  }
}

template <class To, class Convert>
void convert_weights(const WeightStore::Tensor& tensor, bool transposed, std::byte* out,
                     Convert convert) {
  To* to = reinterpret_cast<To*>(out);
  if (transposed) {
    transpose(as_matrix(tensor.shape), tensor.values.data(), to, convert);
  } else {
    std::transform(tensor.values.begin(), tensor.values.end(), to, convert);
  }
}

// Throws Error unless the stored tensor can serve as a constant of `type`.
void check_weight(const WeightStore::Tensor& tensor, const WeightRef& ref, const Type& type) {
  Shape shape = tensor.shape;
  if (ref.transposed) {
    if (shape.rank() < 2) {
      throw Error(fmt::format("weight {} of shape {} has no second axis to swap with its first",
                              ref.name, shape.to_string()));
    }
    std::swap(shape[0], shape[1]);
  }
  if (!type.is_tensor() || !same_without_ones(shape, type.shape)) {
    throw Error(fmt::format("weight {}{} has shape {}", ref.name,
                            ref.transposed ? " (transposed)" : "", shape.to_string()),
                {}, type.to_string());
  }
  if (type.dtype != DType::fp16 && type.dtype != DType::bf16 && type.dtype != DType::fp32) {
    throw Error("weight " + ref.name + " as " + type.to_string(), {}, "a float type");
  }
}

void write_weight(const WeightStore::Tensor& tensor, const WeightRef& ref, DType dtype,
                  std::byte* out) {
  switch (dtype) {
    case DType::fp16:
      return convert_weights<f16>(tensor, ref.transposed, out,
                                  [](float v) { return f16_from_float(v); });
    case DType::bf16:
      return convert_weights<bf16>(tensor, ref.transposed, out,
                                   [](float v) { return bf16_from_float(v); });
    default:
      return convert_weights<float>(tensor, ref.transposed, out, [](float v) { return v; });
  }
}

}  // namespace

ConstantSource::ConstantSource(const WeightStore* weights, std::filesystem::path model_directory)
    : weights_(weights), model_directory_(std::move(model_directory)) {}

ConstantSource::~ConstantSource() = default;

std::span<const std::byte> ConstantSource::bytes(const Constant& constant,
                                                 std::vector<std::byte>& scratch) {
  if (constant.has_bytes()) return constant.bytes();
  const Type& type = constant.type();
  if (const WeightRef* ref = constant.weight()) {
    if (weights_ == nullptr)
      throw Error("the program refers to weight " + ref->name, {}, "weights");
    const WeightStore::Tensor& tensor = weights_->get(ref->name);
    check_weight(tensor, *ref, type);
    if (type.dtype == DType::fp32 && !ref->transposed) return std::as_bytes(tensor.values);
    scratch.resize(tensor.values.size() * dtype_size(type.dtype));
    write_weight(tensor, *ref, type.dtype, scratch.data());
    return scratch;
  }
  const BlobRef* ref = constant.blob();
  if (ref == nullptr) throw Error("a constant of strings where numbers are needed");
  const BlobRecord record = reader(ref->path).record(ref->offset);
  const auto elements = type.shape.checked_elements();
  const auto found = record.data.size() / dtype_size(record.dtype);
  if (record.dtype != type.dtype || !elements || static_cast<std::size_t>(*elements) != found) {
    throw Error(fmt::format("the record at offset {} holds {} elements of {}", ref->offset, found,
                            dtype_name(record.dtype)),
                ref->path, type.to_string());
  }
  return record.data;
}

void ConstantSource::write(const Constant& constant, std::span<std::byte> out) {
  const WeightRef* ref = constant.weight();
  if (ref == nullptr || weights_ == nullptr) {
    std::vector<std::byte> scratch;
    const std::span<const std::byte> from = bytes(constant, scratch);
    ANEMONE_CHECK(from.size() == out.size(), "as many bytes as the constant's type has");
    std::copy(from.begin(), from.end(), out.begin());
    return;
  }
  const WeightStore::Tensor& tensor = weights_->get(ref->name);
  const DType dtype = constant.type().dtype;
  check_weight(tensor, *ref, constant.type());
  ANEMONE_CHECK(tensor.values.size() * dtype_size(dtype) == out.size(),
                "as many bytes as the constant's type has");
  write_weight(tensor, *ref, dtype, out.data());
}

const BlobReader& ConstantSource::reader(const std::string& path) {
  std::unique_ptr<BlobReader>& reader = readers_[path];
  if (reader != nullptr) return *reader;
  std::filesystem::path relative(path.starts_with(kModelPath) ? path.substr(kModelPath.size())
                                                              : path);
  if (model_directory_.empty()) {
    throw Error("the program refers to a file, but its folder is not known", path);
  }
  // A program must not make us read files elsewhere.
  bool leaves = relative.empty() || relative.is_absolute();
  for (const auto& part : relative) leaves |= part == "..";
  if (leaves) throw Error("a path that leaves the model's folder", path, "@model_path/…");
  reader = std::make_unique<BlobReader>(model_directory_ / relative);
  return *reader;
}

}  // namespace anemone::mil
