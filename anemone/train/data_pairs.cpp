// Recorded activations: tensors x and y of shape [N, dim, seq] in a mapped safetensors file. The
// last `held_out` samples are for validation.
#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/base/safetensors.h"
#include "anemone/train/data_source.h"

namespace anemone::train {
namespace {

class PairsSource final : public DataSource {
 public:
  explicit PairsSource(const RunConfig& config)
      : path_(config.data.path),
        file_(std::filesystem::path(path_)),
        x_(checked("x", config)),
        y_(checked("y", config)),
        elements_(static_cast<std::size_t>(config.model.dim * config.model.seq)),
        held_out_(config.data.held_out),
        order_(training_samples(config), static_cast<std::uint64_t>(config.train.seed)) {}

  std::int64_t samples() const override { return x_.shape[0] - held_out_; }
  std::int64_t held_out() const override { return held_out_; }
  void training(std::int64_t step, Sample& sample) override { read(order_.sample(step), sample); }
  void validation(std::int64_t index, Sample& sample) override { read(samples() + index, sample); }
  std::string describe() const override {
    return fmt::format("pairs: {} samples and {} held out from {}", samples(), held_out(), path_);
  }
  DataMemory memory() const override { return {order_.bytes(), x_.data.size() + y_.data.size()}; }

 private:
  const TensorView& checked(const char* name, const RunConfig& config) const {
    const TensorView& tensor = file_.get(name);
    const Shape& shape = tensor.shape;
    if (!is_float(tensor.dtype))
      throw Error(fmt::format("tensor {} has element type {}", name, dtype_name(tensor.dtype)),
                  path_, "a float type");
    if (shape.rank() != 3 || shape[1] != config.model.dim || shape[2] != config.model.seq)
      throw Error(fmt::format("tensor {} has shape {}", name, shape.to_string()), path_,
                  fmt::format("[N, {}, {}]: samples, model.dim, model.seq", config.model.dim,
                              config.model.seq));
    return tensor;
  }

  std::int64_t training_samples(const RunConfig& config) const {
    if (x_.shape[0] != y_.shape[0])
      throw Error(fmt::format("x has {} samples and y {}", x_.shape[0], y_.shape[0]), path_,
                  "as many");
    if (config.data.held_out >= x_.shape[0])
      throw Error(fmt::format("all {} samples are held out (data.held_out = {})", x_.shape[0],
                              config.data.held_out),
                  path_, "at least one sample to train on");
    return x_.shape[0] - config.data.held_out;
  }

  void read(std::int64_t index, Sample& sample) const {
    read(x_, index, sample.x);
    read(y_, index, sample.target);
  }

  void read(const TensorView& tensor, std::int64_t sample, std::vector<float>& values) const {
    values.resize(elements_);
    const std::byte* first = tensor.data.data() + static_cast<std::size_t>(sample) * elements_ *
                                                      dtype_size(tensor.dtype);
    if (tensor.dtype == DType::fp32) {
      std::memcpy(values.data(), first, elements_ * sizeof(float));
    } else {
      for (std::size_t i = 0; i < elements_; ++i)
        values[i] = static_cast<float>(load_element(tensor.dtype, first, i));
    }
  }

  std::string path_;
  SafetensorsReader file_;
  const TensorView& x_;
  const TensorView& y_;
  std::size_t elements_;
  std::int64_t held_out_;
  SampleOrder order_;
};

}  // namespace

std::unique_ptr<DataSource> make_pairs_source(const RunConfig& config, engine::Engine&,
                                              const Poll&) {
  if (config.data.path.empty())
    throw Error("data.path is empty", "", "a safetensors file with x and y of shape [N, dim, seq]");
  return std::make_unique<PairsSource>(config);
}

}  // namespace anemone::train
