// The sample checkpoint of the tests.
#include "tests/train/sample_checkpoint.h"

#include <fmt/format.h>

#include <cstring>

namespace anemone::train {

SampleCheckpoint::SampleCheckpoint(std::uint64_t step, std::uint64_t seed)
    : step_(step),
      state_(fmt::format(R"({{"step":{},"seed":{}}})", step, seed)),
      weights_(300),
      moments_(150) {
  const auto base = static_cast<float>(step * 1000 + seed);
  for (std::size_t i = 0; i < weights_.size(); ++i)
    weights_[i] = base + static_cast<float>(i) / 512;
  for (std::size_t i = 0; i < moments_.size(); ++i) moments_[i] = -base - static_cast<float>(i);
}

CheckpointContents SampleCheckpoint::contents() const {
  const auto view = [](const std::vector<float>& values, Shape shape) {
    return TensorView{DType::fp32, shape, std::as_bytes(std::span(values))};
  };
  return {
      step_, state_, {{"param.w", view(weights_, {30, 10})}, {"adam.m.w", view(moments_, {150})}}};
}

std::string SampleCheckpoint::difference(const LoadedCheckpoint& loaded) const {
  if (loaded.state_json != state_) return "state " + loaded.state_json;
  for (const NamedTensor& named : contents().tensors) {
    const TensorView& read = loaded.tensors.get(named.name);
    if (read.shape != named.tensor.shape || read.dtype != named.tensor.dtype ||
        std::memcmp(read.data.data(), named.tensor.data.data(), read.data.size()) != 0) {
      return "tensor " + named.name;
    }
  }
  return "";
}

}  // namespace anemone::train
