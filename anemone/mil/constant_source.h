// Where the values of a program's constants come from when it is compiled, evaluated or exported:
// inline bytes, blob files found relative to the model's folder (`@model_path`), or the
// WeightStore.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <vector>

#include "anemone/mil/blob_file.h"
#include "anemone/mil/constant.h"
#include "anemone/mil/weight_store.h"

namespace anemone::mil {

class ConstantSource {
 public:
  // Either may be absent: a null store, an empty path.
  explicit ConstantSource(const WeightStore* weights = nullptr,
                          std::filesystem::path model_directory = {});
  ~ConstantSource();

  // The bytes of a numeric constant, row-major in its element type; `scratch` holds them where they
  // must be made (weights: rounding, transposition). Throws Error when the reference cannot be
  // resolved or has another size or type.
  std::span<const std::byte> bytes(const Constant& constant, std::vector<std::byte>& scratch);
  // The same bytes written to `out`, which has their size: weights are made in place.
  void write(const Constant& constant, std::span<std::byte> out);
  const WeightStore* weights() const { return weights_; }

 private:
  const BlobReader& reader(const std::string& path);
  const WeightStore* weights_;
  std::filesystem::path model_directory_;
  std::map<std::string, std::unique_ptr<BlobReader>> readers_;
};

}  // namespace anemone::mil
