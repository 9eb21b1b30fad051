// The one list of trainable tensors: it allocates, initializes, saves, loads, updates and reports
// them. Master weights, Adam's moments and the gradient are fp32, each kind in one block of memory.
// A list of values only serves where a model is used and not trained.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/base/aligned_buffer.h"
#include "anemone/base/safetensors.h"
#include "anemone/mil/weight_store.h"
#include "anemone/nn/layer.h"

namespace anemone::train {

struct Parameter {
  nn::ParameterSpec spec;
  std::span<float> value;                       // row-major, spec.shape
  std::span<float> gradient, moment1, moment2;  // the same, or empty: a list of values only
};

enum class Holds : std::uint8_t {
  training,  // values, gradients and both moments
  values,
};

class ParameterList {
 public:
  explicit ParameterList(std::vector<nn::ParameterSpec> specs, Holds holds = Holds::training);
  // Also names the rows that the graph's programs refer to (ParameterRows).
  explicit ParameterList(const nn::StepGraph& graph, Holds holds = Holds::training);

  std::span<Parameter> all() { return parameters_; }
  std::span<const Parameter> all() const { return parameters_; }
  Parameter& get(std::string_view name);                          // Error naming what there is
  std::int64_t count() const { return count_; }                   // elements in all
  std::size_t bytes() const;                                      // of all that it holds
  std::size_t block_bytes() const { return bytes() / blocks(); }  // of the values, or gradients …

  // Every parameter laid end to end, for whole-model loops (optimizer, norm, finite check).
  std::span<float> values();
  std::span<float> gradients();  // empty for a list of values only

  mil::WeightStore& weights() { return store_; }  // views of the values, whole and of rows
  void add_rows(std::span<const nn::ParameterRows> rows);

  // For checkpoints of a list that trains: "param.NAME", "adam.m.NAME", "adam.v.NAME", and
  // "grad.NAME" when asked for.
  std::vector<NamedTensor> tensors(bool with_gradient) const;
  void load(const SafetensorsReader& reader, bool with_gradient);
  // Values only, by parameter name (--init): a safetensors file with exactly these names and
  // shapes, or a checkpoint's.
  void load_values(const SafetensorsReader& reader);
  // The same from tensors of just these names and shapes in any order; `where` is for messages.
  void load_values(std::span<const NamedTensor> tensors, const std::string& where);

 private:
  std::size_t blocks() const { return holds_ == Holds::training ? 4 : 1; }
  std::span<float> block(std::size_t index);
  std::vector<Parameter> parameters_;
  Holds holds_;
  std::int64_t count_ = 0;
  AlignedBuffer memory_;
  mil::WeightStore store_;
};

// POSIX drand48, portable: the generator of the original job.
class Drand48 {
 public:
  explicit Drand48(std::uint32_t seed)
      : state_((static_cast<std::uint64_t>(seed) << 16) | 0x330eu) {}
  double next();  // [0, 1)
  double uniform() { return 2 * next() - 1; }
  std::uint64_t state() const { return state_; }

 private:
  std::uint64_t state_;
};

// The original's order: wq and wk interleaved element by element, then wv and wo interleaved, then
// w1, w2, w3; norms 1.
void initialize_original(ParameterList& parameters, std::uint32_t seed);
// Each parameter as its spec says: uniform ones in the list's order from one stream, normal ones
// each from a stream of its own, by its place in the list.
void initialize_by_specs(ParameterList& parameters, std::uint32_t seed);

}  // namespace anemone::train
