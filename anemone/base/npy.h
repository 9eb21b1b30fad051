// NumPy's .npy files (versions 1.0 and 2.0; little-endian, C order; f2, f4, f8, i1…i8, u1…u8,
// bool).
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "anemone/base/dtype.h"
#include "anemone/base/error.h"
#include "anemone/base/shape.h"

namespace anemone {

struct NpyArray {
  DType dtype = DType::fp32;
  Shape shape;
  std::vector<std::byte> data;  // row-major
};

NpyArray read_npy(const std::filesystem::path& path);
NpyArray parse_npy(std::span<const std::byte> bytes, const std::string& name);
// Writes as write_file does. Throws Error for an element type that NumPy does not have (bf16).
Status write_npy(const std::filesystem::path& path, DType dtype, const Shape& shape,
                 std::span<const std::byte> data);

}  // namespace anemone
