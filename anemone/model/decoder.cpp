// Compiles the programs of one position, binds them to one set of surfaces, and runs them token by
// token.
#include "anemone/model/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "anemone/base/element.h"
#include "anemone/compute/copy.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/nn/decode.h"

namespace anemone::model {
namespace {

// The smallest cache that attention is compiled for; others are twice as long each.
constexpr std::int64_t kShortest = 64;

std::vector<std::int64_t> cache_lengths(std::int64_t positions) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t length = kShortest; length < positions; length *= 2) lengths.push_back(length);
  lengths.push_back(positions);
  return lengths;
}

}  // namespace

class Decoder::Impl {
 public:
  Impl(const nn::ModelConfig& given, std::int64_t positions, const mil::WeightStore& weights,
       engine::Engine& engine, const engine::CompileOptions& options)
      : config_(given), engine_(engine), options_(options), positions_(positions) {
    config_.resolve();
    if (positions < 1)
      throw Error(fmt::format("a cache of {} positions", positions), "positions", "1 or more");
    if (engine.traits().packed_io)
      throw Error(fmt::format("the engine {} wants its inputs packed", engine.name()), "generation",
                  "the engine cpu or reference");
    const nn::DecodeGraph graph = nn::decode_graph(config_);
    name_weights(weights, graph);
    make_surfaces();
    bind_layers(graph);
    bind_attention();
    bind_logits(graph);
    options_.weights = nullptr;
    reset();
  }

  std::int64_t position() const { return position_; }
  std::int64_t positions() const { return positions_; }
  std::int64_t vocabulary() const { return config_.vocab; }
  std::span<const float> logits() const { return logits_; }

  void reset() {
    position_ = 0;
    fill("mask", nn::kUnseen);
  }

  Status take(std::uint32_t token, bool wants_logits) {
    if (token >= config_.vocab)
      throw Error(fmt::format("token {} is not in the vocabulary", token), {},
                  fmt::format("0 to {}", config_.vocab - 1));
    if (position_ == positions_)
      return Status::failure(fmt::format("all {} positions are used", positions_));
    write_position(token);
    const auto length = static_cast<std::size_t>(
        std::lower_bound(lengths_.begin(), lengths_.end(), position_ + 1) - lengths_.begin());
    for (Layer& layer : layers_) {
      if (Status status = layer.qkv->run(); !status.ok()) return status;
      keep(*layer.keys, "k");
      keep(*layer.values, "v");
      if (Status status = layer.attention[length]->run(); !status.ok()) return status;
      if (Status status = layer.ffn->run(); !status.ok()) return status;
    }
    ++position_;
    return wants_logits ? compute_logits() : Status{};
  }

  std::size_t weight_bytes() const {
    std::size_t bytes = 0;
    for (const auto& executable : executables_) bytes += executable->constant_bytes();
    return bytes;
  }
  std::size_t bytes() const {
    std::size_t bytes = weight_bytes() + logits_.size() * sizeof(float);
    for (const auto& executable : executables_) bytes += executable->scratch_bytes();
    for (const auto& [name, surface] : surfaces_) bytes += surface->bytes();
    return bytes;
  }
  std::size_t cache_bytes(std::int64_t position) const {
    const auto length = std::lower_bound(lengths_.begin(), lengths_.end(), position + 1);
    return static_cast<std::size_t>(2 * config_.layers * *length * config_.kv_dim()) *
           dtype_size(config_.dtype);
  }
  std::string explain() const {
    std::string text;
    for (const std::size_t i : explained_) text += executables_[i]->explain();
    return text;
  }

 private:
  struct Layer {
    std::unique_ptr<engine::Binding> qkv, ffn;
    std::vector<std::unique_ptr<engine::Binding>> attention;  // one for each length
    engine::Surface *keys = nullptr, *values = nullptr;
  };
  struct LogitsPart {
    std::unique_ptr<engine::Binding> binding;
    engine::Surface* surface = nullptr;
    compute::CopyPlan copy;  // to floats
    std::int64_t first = 0;
  };
  using Names = std::map<std::string, std::string>;  // port → surface, where they differ

  // The weights as programs name them: the parts of the vocabulary have names of their own.
  void name_weights(const mil::WeightStore& weights, const nn::DecodeGraph& graph) {
    for (const nn::ParameterSpec& spec : graph.parameters) {
      const mil::WeightStore::Tensor& tensor = weights.get(spec.name);
      if (tensor.shape != spec.shape)
        throw Error(fmt::format("weight {} is {}", spec.name, tensor.shape.to_string()), {},
                    spec.shape.to_string());
      weights_.add(spec.name, tensor.shape, tensor.values);
    }
    for (const nn::ParameterRows& rows : graph.parameter_rows) {
      const auto values = weights.get(rows.parameter).values;
      weights_.add(rows.name, {rows.count, config_.dim},
                   values.subspan(static_cast<std::size_t>(rows.first * config_.dim),
                                  static_cast<std::size_t>(rows.count * config_.dim)));
    }
    embedding_ = weights.get("embedding").values;
    options_.weights = &weights_;
  }

  std::size_t element() const { return dtype_size(config_.dtype); }

  engine::Surface& make_surface(const std::string& name, std::int64_t elements) {
    const engine::BufferSpec spec{name, static_cast<std::size_t>(elements) * element()};
    return *(surfaces_[name] = engine_.make_surface(spec));
  }

  void make_surfaces() {
    lengths_ = cache_lengths(positions_);
    // A layer reads one and writes the other.
    make_surface("even", config_.dim);
    make_surface("odd", config_.dim);
    make_surface("q", config_.q_dim());
    make_surface("k", config_.kv_dim());
    make_surface("v", config_.kv_dim());
    make_surface("attn", config_.q_dim());
    make_surface("mask", positions_);
    make_surface("ynorm", config_.dim);
    if (config_.rope != nn::Rope::none) {
      make_surface("cos", config_.head_dim / 2);
      make_surface("sin", config_.head_dim / 2);
    }
    for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
      Layer& made = layers_.emplace_back();
      made.keys = &make_surface(fmt::format("k_cache{}", layer), positions_ * config_.kv_dim());
      made.values = &make_surface(fmt::format("v_cache{}", layer), positions_ * config_.kv_dim());
    }
  }

  engine::Executable& compile(const nn::Kernel& kernel) {
    engine::CompileOptions options = options_;
    options.name = kernel.name;
    return *executables_.emplace_back(engine_.compile(kernel.program.main(), options));
  }

  std::unique_ptr<engine::Binding> bind(engine::Executable& executable, const Names& names) {
    const auto find = [&](const std::vector<engine::Port>& ports) {
      std::vector<engine::Surface*> surfaces;
      for (const engine::Port& port : ports) {
        const auto other = names.find(port.name);
        surfaces.push_back(surfaces_.at(other == names.end() ? port.name : other->second).get());
      }
      return surfaces;
    };
    const auto inputs = find(executable.inputs()), outputs = find(executable.outputs());
    return executable.bind(inputs, outputs);
  }

  // The stream of a token in front of a layer.
  std::string stream(std::int64_t layer) const { return layer % 2 == 0 ? "even" : "odd"; }

  void bind_layers(const nn::DecodeGraph& graph) {
    explained_ = {0, 1};
    for (std::int64_t i = 0; i < config_.layers; ++i) {
      const nn::DecodeGraph::Layer& layer = graph.layers[static_cast<std::size_t>(i)];
      Layer& made = layers_[static_cast<std::size_t>(i)];
      made.qkv = bind(compile(layer.qkv), {{"x", stream(i)}});
      made.ffn = bind(compile(layer.ffn), {{"x", stream(i)}, {"y", stream(i + 1)}});
    }
  }

  void bind_attention() {
    for (const std::int64_t length : lengths_) {
      explained_.push_back(executables_.size());
      engine::Executable& executable = compile(nn::decode_attention(config_, length));
      for (std::int64_t i = 0; i < config_.layers; ++i) {
        layers_[static_cast<std::size_t>(i)].attention.push_back(bind(
            executable,
            {{"k_cache", fmt::format("k_cache{}", i)}, {"v_cache", fmt::format("v_cache{}", i)}}));
      }
    }
  }

  void bind_logits(const nn::DecodeGraph& graph) {
    explained_.push_back(executables_.size());
    norm_ = bind(compile(graph.norm), {{"y", stream(config_.layers)}});
    logits_.resize(static_cast<std::size_t>(config_.vocab));
    explained_.push_back(executables_.size());
    for (std::size_t part = 0; part < graph.logits.size(); ++part) {
      const nn::ParameterRows& rows = graph.parameter_rows[part];
      const std::string name = fmt::format("logits{}", part);
      LogitsPart& made = logits_parts_.emplace_back();
      made.surface = &make_surface(name, rows.count);
      made.first = rows.first;
      made.binding = bind(compile(graph.logits[part]), {{"logits", name}});
      made.copy = compute::plan_copy({Shape{rows.count}, config_.dtype, {1}, DType::fp32, {1}});
    }
  }

  void fill(const std::string& name, double value) {
    engine::Surface& surface = *surfaces_.at(name);
    const engine::HostAccess access(surface, engine::Access::write);
    for (std::size_t i = 0; i < surface.bytes() / element(); ++i)
      store_element(config_.dtype, access.data(), i, value);
  }

  void write_position(std::uint32_t token) {
    {
      const engine::HostAccess x(*surfaces_.at("even"), engine::Access::write);
      const float* row = embedding_.data() + std::int64_t{token} * config_.dim;
      for (std::int64_t i = 0; i < config_.dim; ++i)
        store_element(config_.dtype, x.data(), static_cast<std::size_t>(i), row[i]);
    }
    {
      const engine::HostAccess mask(*surfaces_.at("mask"), engine::Access::write);
      store_element(config_.dtype, mask.data(), static_cast<std::size_t>(position_), 0);
    }
    if (config_.rope == nn::Rope::none) return;
    const engine::HostAccess cos(*surfaces_.at("cos"), engine::Access::write),
        sin(*surfaces_.at("sin"), engine::Access::write);
    for (std::int64_t pair = 0; pair < config_.head_dim / 2; ++pair) {
      const nn::RopeTurn turn = nn::rope_turn(config_, position_, pair);
      store_element(config_.dtype, cos.data(), static_cast<std::size_t>(pair), turn.cos);
      store_element(config_.dtype, sin.data(), static_cast<std::size_t>(pair), turn.sin);
    }
  }

  // The token's key or value into its row of a cache.
  void keep(engine::Surface& cache, const char* from) {
    const std::size_t row = static_cast<std::size_t>(config_.kv_dim()) * element();
    const engine::HostAccess source(*surfaces_.at(from), engine::Access::read),
        target(cache, engine::Access::read_write);
    std::memcpy(target.data() + static_cast<std::size_t>(position_) * row, source.data(), row);
  }

  Status compute_logits() {
    if (Status status = norm_->run(); !status.ok()) return status;
    for (LogitsPart& part : logits_parts_) {
      if (Status status = part.binding->run(); !status.ok()) return status;
      const engine::HostAccess access(*part.surface, engine::Access::read);
      compute::run(host_, part.copy, access.data(), logits_.data() + part.first);
    }
    return {};
  }

  nn::ModelConfig config_;
  engine::Engine& engine_;
  engine::CompileOptions options_;
  std::int64_t positions_, position_ = 0;
  std::vector<std::int64_t> lengths_;  // of the beginnings of the caches, the shortest first
  mil::WeightStore weights_;
  std::span<const float> embedding_;
  std::map<std::string, std::unique_ptr<engine::Surface>> surfaces_;
  std::vector<std::unique_ptr<engine::Executable>> executables_;
  std::vector<std::size_t> explained_;  // of these, those whose like was not explained yet
  std::vector<Layer> layers_;
  std::unique_ptr<engine::Binding> norm_;
  std::vector<LogitsPart> logits_parts_;
  std::vector<float> logits_;
  compute::ThreadPool host_{1};  // conversions too small for more
};

Decoder::Decoder(const nn::ModelConfig& config, std::int64_t positions,
                 const mil::WeightStore& weights, engine::Engine& engine,
                 const engine::CompileOptions& options)
    : impl_(std::make_unique<Impl>(config, positions, weights, engine, options)) {}
Decoder::~Decoder() = default;

std::int64_t Decoder::position() const { return impl_->position(); }
std::int64_t Decoder::positions() const { return impl_->positions(); }
std::int64_t Decoder::vocabulary() const { return impl_->vocabulary(); }
void Decoder::reset() { impl_->reset(); }
Status Decoder::take(std::uint32_t token, bool wants_logits) {
  return impl_->take(token, wants_logits);
}
std::span<const float> Decoder::logits() const { return impl_->logits(); }
std::size_t Decoder::bytes() const { return impl_->bytes(); }
std::size_t Decoder::weight_bytes() const { return impl_->weight_bytes(); }
std::size_t Decoder::cache_bytes(std::int64_t position) const {
  return impl_->cache_bytes(position);
}
std::string Decoder::explain() const { return impl_->explain(); }

}  // namespace anemone::model
