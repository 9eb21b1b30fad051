// One walk over the parts of the layout serves the reader, which needs their places, and the
// writer, which needs their order.
#include "anemone/model/llama2c_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstring>
#include <map>

#include "anemone/base/file.h"
#include "anemone/model/rope_order.h"
#include "anemone/model/tensor_list.h"
#include "anemone/nn/language_model.h"

namespace anemone::model {
namespace {

constexpr double kTheta = 10000, kEps = 1e-5;
// Version 1 and later begin with this number ("ak42").
constexpr std::int32_t kVersionedMagic = 0x616b3432;

struct Header {
  std::int32_t dim, hidden, layers, heads, kv_heads, vocab, seq;
};

// Calls part(parameter, its shape) for each tensor in the file's order, and tables(fp32 numbers)
// where the rotary tables lie.
template <class Part, class Tables>
void walk(const nn::ModelConfig& config, Part part, Tables tables) {
  std::map<std::string, Shape> shapes;
  for (const nn::ParameterSpec& spec : nn::model_parameters(config))
    shapes.emplace(spec.name, spec.shape);
  const auto one = [&](const std::string& name) { part(name, shapes.at(name)); };
  one("embedding");
  for (const char* kind : {"norm1", "wq", "wk", "wv", "wo", "norm2", "w1", "w2", "w3"})
    for (std::int64_t layer = 0; layer < config.layers; ++layer)
      one(fmt::format("l{}.{}", layer, kind));
  one("final_norm");
  tables(config.seq * config.head_dim);
  if (!config.tied) one("classifier");
}

std::uint64_t file_bytes(const nn::ModelConfig& config) {
  std::uint64_t numbers = 0;
  walk(
      config,
      [&](const std::string&, const Shape& shape) {
        numbers += static_cast<std::uint64_t>(shape.elements());
      },
      [&](std::int64_t table) { numbers += static_cast<std::uint64_t>(table); });
  return sizeof(Header) + numbers * sizeof(float);
}

nn::ModelConfig parse_header(std::span<const std::byte> bytes, const std::string& name) {
  Header header;
  if (bytes.size() < sizeof header)
    throw Error(fmt::format("{} bytes are too few for a header", bytes.size()), name,
                "a llama2.c model file, which begins with seven int32");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.dim == kVersionedMagic)
    throw Error("it has llama2.c's versioned layout", name,
                "the legacy layout (export.py --version 0)");
  nn::ModelConfig config;
  config.dim = header.dim;
  config.hidden = header.hidden;
  config.layers = header.layers;
  config.heads = header.heads;
  config.kv_heads = header.kv_heads;
  config.vocab = std::abs(std::int64_t{header.vocab});
  config.seq = header.seq;
  config.tied = header.vocab > 0;
  config.rope = nn::Rope::pairs;
  config.rope_theta = kTheta;
  config.norm_eps = kEps;
  check_config(config, name);
  if (config.head_dim * config.heads != config.dim)
    throw Error(fmt::format("{} heads of a model of dim {}", config.heads, config.dim), name,
                "a divisor of dim");
  return config;
}

// What the layout says of the model without saying it.
void require_expressible(const nn::ModelConfig& config, const std::string& name) {
  const auto refuse = [&](const std::string& what, const std::string& expected) {
    throw Error(what + " has no place in llama2.c's layout", name, expected);
  };
  if (config.rope == nn::Rope::none)
    refuse("a model without rotary embedding", "model.rope = \"pairs\" or \"halves\"");
  if (config.rope_theta != kTheta)
    refuse(fmt::format("rope_theta = {}", config.rope_theta), fmt::format("{}", kTheta));
  // Configs and fp32 arithmetic spell it in more ways than one.
  if (std::abs(config.norm_eps - kEps) > kEps * 1e-6)
    refuse(fmt::format("norm_eps = {}", config.norm_eps), fmt::format("{}", kEps));
  if (config.head_dim * config.heads != config.dim)
    refuse(fmt::format("head_dim = {}", config.head_dim),
           fmt::format("dim / heads = {}/{}", config.dim, config.heads));
}

// cos and sin of every position's angles, in the arithmetic of the model's first exporter: fp32.
std::vector<float> rope_table(const nn::ModelConfig& config, bool sine) {
  std::vector<float> table;
  const std::int64_t half = config.head_dim / 2;
  for (std::int64_t position = 0; position < config.seq; ++position) {
    for (std::int64_t i = 0; i < half; ++i) {
      const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
      const float frequency = 1.0F / std::pow(static_cast<float>(config.rope_theta), exponent);
      const float angle = static_cast<float>(position) * frequency;
      table.push_back(sine ? std::sin(angle) : std::cos(angle));
    }
  }
  return table;
}

void write_parts(FileWriter& writer, const nn::ModelConfig& config, const TensorList& tensors) {
  const Header header{static_cast<std::int32_t>(config.dim),
                      static_cast<std::int32_t>(config.hidden),
                      static_cast<std::int32_t>(config.layers),
                      static_cast<std::int32_t>(config.heads),
                      static_cast<std::int32_t>(config.kv_heads),
                      static_cast<std::int32_t>(config.tied ? config.vocab : -config.vocab),
                      static_cast<std::int32_t>(config.seq)};
  writer.write(std::as_bytes(std::span(&header, 1)));
  walk(
      config,
      [&](const std::string& name, const Shape&) {
        TensorView tensor = tensors.get(name);
        std::vector<std::byte> ordered;
        if (has_rope_order(name) && config.rope != nn::Rope::pairs) {
          ordered = in_rope_order(tensor, config.head_dim, config.rope, nn::Rope::pairs);
          tensor.data = ordered;
        }
        if (tensor.dtype == DType::fp32) {
          writer.write(tensor.data);
        } else {
          writer.write(std::as_bytes(std::span<const float>(to_fp32(tensor))));
        }
      },
      [&](std::int64_t) {
        for (const bool sine : {false, true})
          writer.write(std::as_bytes(std::span<const float>(rope_table(config, sine))));
      });
}

}  // namespace

ModelFile parse_llama2c(std::span<const std::byte> bytes, const std::string& name) {
  ModelFile file;
  file.config = parse_header(bytes, name);
  const std::uint64_t expected = file_bytes(file.config);
  if (bytes.size() != expected)
    throw Error(
        fmt::format("the file has {} bytes", bytes.size()), name,
        fmt::format("{} for dim {}, hidden {}, {} layers, {} heads, {} key/value heads, {} "
                    "tokens, {} positions",
                    expected, file.config.dim, file.config.hidden, file.config.layers,
                    file.config.heads, file.config.kv_heads, file.config.vocab, file.config.seq));
  std::map<std::string, TensorView> found;
  std::size_t at = sizeof(Header);
  walk(
      file.config,
      [&](const std::string& parameter, const Shape& shape) {
        const std::size_t size = static_cast<std::size_t>(shape.elements()) * sizeof(float);
        found[parameter] = {DType::fp32, shape, bytes.subspan(at, size)};
        at += size;
      },
      [&](std::int64_t numbers) { at += static_cast<std::size_t>(numbers) * sizeof(float); });
  for (const nn::ParameterSpec& spec : nn::model_parameters(file.config))
    file.tensors.push_back({spec.name, found.at(spec.name)});
  file.description = describe("llama2.c", file);
  return file;
}

Status write_llama2c(const std::filesystem::path& given, const nn::ModelConfig& config,
                     const std::vector<NamedTensor>& tensors) {
  const std::filesystem::path path = replaceable_file(given);
  require_expressible(config, path.string());
  const TensorList list(config, tensors, path.string());
  const std::filesystem::path unfinished = path.string() + ".tmp";
  Status status;
  {
    FileWriter writer(unfinished, path);
    write_parts(writer, config, list);
    status = writer.finish();
  }
  if (status.ok()) status = rename_durably(unfinished, path);
  if (!status.ok()) ::unlink(unfinished.c_str());
  return status;
}

}  // namespace anemone::model
