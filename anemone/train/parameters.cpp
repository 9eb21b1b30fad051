// The parameter list: one block of memory, cut into values, gradients and Adam's two moments.
#include "anemone/train/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/base/random.h"
#include "anemone/base/system_info.h"

namespace anemone::train {
namespace {

// Every parameter begins at an aligned address; what is between stays zero, so that whole-model
// loops need not know.
constexpr std::size_t kAlignedFloats = AlignedBuffer::kAlignment / sizeof(float);

std::size_t padded(std::size_t elements) {
  return (elements + kAlignedFloats - 1) / kAlignedFloats * kAlignedFloats;
}

TensorView view_of(const nn::ParameterSpec& spec, std::span<const float> values) {
  return {DType::fp32, spec.shape, std::as_bytes(values)};
}

// Copies a tensor of a file into fp32 memory; any float type is taken where `any_float`, else fp32
// bit for bit.
void read_tensor(const TensorView& tensor, const std::string& name, const nn::ParameterSpec& spec,
                 std::span<float> values, bool any_float) {
  if (!(tensor.shape == spec.shape))
    throw Error(fmt::format("tensor {} has shape {}", name, tensor.shape.to_string()), "",
                spec.shape.to_string());
  if (tensor.dtype == DType::fp32) {
    std::memcpy(values.data(), tensor.data.data(), values.size_bytes());
    return;
  }
  if (!any_float || !is_float(tensor.dtype))
    throw Error(fmt::format("tensor {} has element type {}", name, dtype_name(tensor.dtype)), "",
                any_float ? "a float type" : "fp32");
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(load_element(tensor.dtype, tensor.data.data(), i));
}

void read_tensor(const SafetensorsReader& reader, const std::string& name,
                 const nn::ParameterSpec& spec, std::span<float> values, bool any_float) {
  read_tensor(reader.get(name), name, spec, values, any_float);
}

}  // namespace

ParameterList::ParameterList(std::vector<nn::ParameterSpec> specs, Holds holds) : holds_(holds) {
  std::size_t elements = 0;
  for (const nn::ParameterSpec& spec : specs) {
    count_ += spec.shape.elements();
    elements += padded(static_cast<std::size_t>(spec.shape.elements()));
  }
  const std::size_t bytes = blocks() * elements * sizeof(float);
  const std::uint64_t available = memory_info().available_bytes;
  // Refused here: the system would grant the memory and run out of it while it is being filled.
  if (available != 0 && bytes > available) {
    throw Error(
        fmt::format("{} parameters take {:.1f} GB{}", count_, static_cast<double>(bytes) / 1e9,
                    holds == Holds::training ? " with gradients and moments" : ""),
        "model",
        fmt::format("at most the {:.1f} GB available", static_cast<double>(available) / 1e9));
  }
  memory_ = AlignedBuffer(bytes);
  std::size_t offset = 0;
  for (nn::ParameterSpec& spec : specs) {
    const auto size = static_cast<std::size_t>(spec.shape.elements());
    Parameter parameter;
    parameter.value = block(0).subspan(offset, size);
    if (holds == Holds::training) {
      parameter.gradient = block(1).subspan(offset, size);
      parameter.moment1 = block(2).subspan(offset, size);
      parameter.moment2 = block(3).subspan(offset, size);
    }
    store_.add(spec.name, spec.shape, parameter.value);
    parameter.spec = std::move(spec);
    parameters_.push_back(std::move(parameter));
    offset += padded(size);
  }
}

ParameterList::ParameterList(const nn::StepGraph& graph, Holds holds)
    : ParameterList(graph.parameters, holds) {
  add_rows(graph.parameter_rows);
}

std::span<float> ParameterList::block(std::size_t index) {
  const std::size_t elements = memory_.size() / sizeof(float) / blocks();
  return memory_.as<float>().subspan(index * elements, elements);
}

void ParameterList::add_rows(std::span<const nn::ParameterRows> rows) {
  for (const nn::ParameterRows& part : rows) {
    const Parameter& whole = get(part.parameter);
    const Shape& shape = whole.spec.shape;
    ANEMONE_CHECK(shape.rank() == 2 && part.first >= 0 && part.count > 0 &&
                      part.count <= shape[0] - part.first,
                  "rows are rows of their parameter");
    const auto width = static_cast<std::size_t>(shape[1]);
    store_.add(part.name, {part.count, shape[1]},
               whole.value.subspan(static_cast<std::size_t>(part.first) * width,
                                   static_cast<std::size_t>(part.count) * width));
  }
}

Parameter& ParameterList::get(std::string_view name) {
  std::string names;
  for (Parameter& parameter : parameters_) {
    if (parameter.spec.name == name) return parameter;
    names += (names.empty() ? "" : ", ") + parameter.spec.name;
  }
  throw Error(fmt::format("no parameter named {}", name), "", names);
}

std::size_t ParameterList::bytes() const { return memory_.size(); }

std::span<float> ParameterList::values() { return block(0); }

std::span<float> ParameterList::gradients() {
  return holds_ == Holds::training ? block(1) : std::span<float>();
}

std::vector<NamedTensor> ParameterList::tensors(bool with_gradient) const {
  ANEMONE_CHECK(holds_ == Holds::training, "a checkpoint is of a list that trains");
  std::vector<NamedTensor> list;
  for (const Parameter& parameter : parameters_)
    list.push_back({"param." + parameter.spec.name, view_of(parameter.spec, parameter.value)});
  for (const Parameter& parameter : parameters_)
    list.push_back({"adam.m." + parameter.spec.name, view_of(parameter.spec, parameter.moment1)});
  for (const Parameter& parameter : parameters_)
    list.push_back({"adam.v." + parameter.spec.name, view_of(parameter.spec, parameter.moment2)});
  if (!with_gradient) return list;
  for (const Parameter& parameter : parameters_)
    list.push_back({"grad." + parameter.spec.name, view_of(parameter.spec, parameter.gradient)});
  return list;
}

void ParameterList::load(const SafetensorsReader& reader, bool with_gradient) {
  ANEMONE_CHECK(holds_ == Holds::training, "a checkpoint is of a list that trains");
  for (Parameter& parameter : parameters_) {
    const std::string& name = parameter.spec.name;
    read_tensor(reader, "param." + name, parameter.spec, parameter.value, false);
    read_tensor(reader, "adam.m." + name, parameter.spec, parameter.moment1, false);
    read_tensor(reader, "adam.v." + name, parameter.spec, parameter.moment2, false);
    if (with_gradient)
      read_tensor(reader, "grad." + name, parameter.spec, parameter.gradient, false);
    else
      std::fill(parameter.gradient.begin(), parameter.gradient.end(), 0.0F);
  }
}

void ParameterList::load_values(const SafetensorsReader& reader) try {
  // A checkpoint's tensors.safetensors is taken too: its weights carry a prefix and have
  // companions.
  const bool checkpoint =
      !parameters_.empty() && reader.tensors().count("param." + parameters_[0].spec.name) != 0;
  const std::string prefix = checkpoint ? "param." : "";
  for (Parameter& parameter : parameters_)
    read_tensor(reader, prefix + parameter.spec.name, parameter.spec, parameter.value, true);
  if (checkpoint) return;
  for (const auto& entry : reader.tensors()) {
    const std::string& name = entry.first;
    const bool known = std::any_of(parameters_.begin(), parameters_.end(),
                                   [&](const Parameter& p) { return p.spec.name == name; });
    if (!known) throw Error(fmt::format("tensor {} is no parameter of this model", name));
  }
} catch (const Error& error) {
  if (error.where() == reader.name()) throw;
  throw Error(error.where().empty() ? error.problem() : error.where() + ": " + error.problem(),
              reader.name(), error.expected());
}

void ParameterList::load_values(std::span<const NamedTensor> tensors,
                                const std::string& where) try {
  for (Parameter& parameter : parameters_) {
    const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& tensor) {
      return tensor.name == parameter.spec.name;
    });
    if (found == tensors.end())
      throw Error(fmt::format("there is no tensor {}", parameter.spec.name));
    read_tensor(found->tensor, found->name, parameter.spec, parameter.value, true);
  }
} catch (const Error& error) {
  throw Error(error.problem(), where, error.expected());
}

double Drand48::next() {
  constexpr std::uint64_t kMultiplier = 0x5DEECE66DULL, kIncrement = 0xB, kMask = (1ULL << 48) - 1;
  state_ = (state_ * kMultiplier + kIncrement) & kMask;
  return std::ldexp(static_cast<double>(state_), -48);
}

namespace {

bool ends_with(std::string_view name, std::string_view suffix) {
  return name.size() >= suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
}

// The original scales every matrix by its number of rows, also where that is not the number of
// summands.
double original_scale(const Parameter& parameter) {
  return 1 / std::sqrt(static_cast<double>(parameter.spec.shape[0]));
}

void fill_alone(Parameter& parameter, double scale, Drand48& random) {
  for (float& value : parameter.value) value = static_cast<float>(scale * random.uniform());
}

void fill_interleaved(Parameter& first, Parameter& second, Drand48& random) {
  const double scale1 = original_scale(first), scale2 = original_scale(second);
  const std::size_t longest = std::max(first.value.size(), second.value.size());
  for (std::size_t i = 0; i < longest; ++i) {
    if (i < first.value.size()) first.value[i] = static_cast<float>(scale1 * random.uniform());
    if (i < second.value.size()) second.value[i] = static_cast<float>(scale2 * random.uniform());
  }
}

}  // namespace

void initialize_original(ParameterList& parameters, std::uint32_t seed) {
  Drand48 random(seed);
  for (Parameter& parameter : parameters.all()) {
    const std::string& name = parameter.spec.name;
    if (parameter.spec.init == nn::Init::ones)
      std::fill(parameter.value.begin(), parameter.value.end(), 1.0F);
    if (!ends_with(name, ".wq")) continue;
    const std::string layer = name.substr(0, name.size() - 2);  // "l0."
    fill_interleaved(parameter, parameters.get(layer + "wk"), random);
    fill_interleaved(parameters.get(layer + "wv"), parameters.get(layer + "wo"), random);
    for (const char* matrix : {"w1", "w2", "w3"}) {
      Parameter& next = parameters.get(layer + matrix);
      fill_alone(next, original_scale(next), random);
    }
  }
}

namespace {

// The polar form of two uniform numbers gives two normal ones (Box & Muller 1958).
void fill_normal(Parameter& parameter, std::uint64_t seed) {
  SplitMix64 random(seed);
  const double scale = parameter.spec.init_scale;
  for (std::size_t i = 0; i < parameter.value.size(); i += 2) {
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
    const double angle = 2 * std::numbers::pi * random.uniform();
    parameter.value[i] = static_cast<float>(scale * radius * std::cos(angle));
    if (i + 1 < parameter.value.size())
      parameter.value[i + 1] = static_cast<float>(scale * radius * std::sin(angle));
  }
}

}  // namespace

void initialize_by_specs(ParameterList& parameters, std::uint32_t seed) {
  Drand48 random(seed);
  SplitMix64 seeds(seed);
  for (Parameter& parameter : parameters.all()) {
    const std::uint64_t own_seed = seeds.next();
    switch (parameter.spec.init) {
      case nn::Init::ones:
        std::fill(parameter.value.begin(), parameter.value.end(), 1.0F);
        break;
      case nn::Init::uniform:
        fill_alone(parameter, parameter.spec.init_scale, random);
        break;
      case nn::Init::normal:
        fill_normal(parameter, own_seed);
        break;
    }
  }
}

}  // namespace anemone::train
