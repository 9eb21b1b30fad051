// safetensors: named tensors in one file. Format: uint64 length of a JSON header (little-endian),
// the header
// {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, "__metadata__": {..}},
// then the data.
//
// The reader trusts nothing: header size, depth, dtype, shape products, offsets in order, inside
// the file and without gaps or overlaps are checked before a tensor is handed out.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/base/dtype.h"
#include "anemone/base/file.h"
#include "anemone/base/shape.h"

namespace anemone {

struct TensorView {
  DType dtype = DType::fp32;
  Shape shape;
  std::span<const std::byte> data;  // row-major; at any address: copy before reading as floats
};

class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::filesystem::path& path);
  SafetensorsReader(MappedFile file, const std::string& name);
  SafetensorsReader(std::span<const std::byte> bytes, const std::string& name);  // not owned

  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  const std::string& name() const { return name_; }    // of the file
  const TensorView& get(std::string_view name) const;  // Error naming what there is
  const std::map<std::string, std::string, std::less<>>& metadata() const { return metadata_; }

 private:
  void parse(std::span<const std::byte> bytes, const std::string& name);
  MappedFile file_;
  std::string name_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> metadata_;
};

struct NamedTensor {
  std::string name;
  TensorView tensor;
};

// Bytes before the first tensor's data in a file of these tensors.
std::uint64_t safetensors_header_bytes(std::span<const NamedTensor> tensors,
                                       const std::map<std::string, std::string>& metadata = {});

// Writes through `writer`, copying no tensor; the tensors' order is kept and the data starts at a
// multiple of 8. Throws Error for two tensors of one name, or data that does not match its shape.
void write_safetensors(FileWriter& writer, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});
// The same into a file of its own, synced.
Status write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace anemone
