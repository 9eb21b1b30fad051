// config.json of a llama, to and from a ModelConfig. A key that changes what the model computes is
// read or refused, never passed over.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "anemone/model/hugging_face.h"
#include "anemone/model/tensor_list.h"

namespace anemone::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongest = std::size_t{1} << 20;
constexpr std::size_t kShown = 60;  // of a wrong value in a message

class ConfigReader {
 public:
  ConfigReader(std::string_view text, const std::string& name) : name_(name) {
    if (text.size() > kLongest)
      throw Error(fmt::format("{} bytes", text.size()), name, fmt::format("at most {}", kLongest));
    const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
      constexpr int kDeepest = 16;  // printing JSON recurses
      if (depth > kDeepest) throw Error("nested too deeply", name_);
      return true;
    };
    json_ = Json::parse(text, shallow, /*allow_exceptions=*/false);
    if (!json_.is_object()) throw Error("not JSON", name, "an object");
  }

  // Not there, or null.
  bool lacks(const char* key) const { return !json_.contains(key) || json_[key].is_null(); }
  const Json& at(const char* key) const { return json_[key]; }

  std::int64_t count(const char* key, std::int64_t if_absent = -1) const {
    if (lacks(key)) {
      if (if_absent < 0) throw Error(fmt::format("there is no \"{}\"", key), name_);
      return if_absent;
    }
    if (!at(key).is_number_unsigned() || at(key) > kLargest) refuse(key, "a whole number above 0");
    return at(key).get<std::int64_t>();
  }
  double number(const char* key, double if_absent) const {
    if (lacks(key)) return if_absent;
    if (!at(key).is_number()) refuse(key, "a number");
    return at(key).get<double>();
  }
  bool flag(const char* key, bool if_absent) const {
    if (lacks(key)) return if_absent;
    if (!at(key).is_boolean()) refuse(key, "true or false");
    return at(key).get<bool>();
  }
  void require(const char* key, const Json& only) const {
    if (!lacks(key) && at(key) != only) refuse(key, only.dump());
  }
  [[noreturn]] void refuse(const char* key, const std::string& expected) const {
    throw Error(fmt::format("\"{}\" is {}", key, shown(at(key))), name_, expected);
  }

 private:
  static constexpr std::int64_t kLargest = std::int64_t{1} << 40;
  static std::string shown(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, kShown);
  }
  const std::string& name_;
  Json json_;
};

void require_llama(const ConfigReader& config, const std::string& name) {
  if (config.lacks("model_type") && config.lacks("architectures"))
    throw Error("it does not say which architecture it is", name, "\"model_type\": \"llama\"");
  config.require("model_type", "llama");
  config.require("architectures", Json::array({"LlamaForCausalLM"}));
  config.require("hidden_act", "silu");
  for (const char* bias : {"attention_bias", "mlp_bias"}) config.require(bias, false);
  if (!config.lacks("quantization_config"))
    config.refuse("quantization_config", "weights that are not quantized");
}

// Newer files keep the angles' numbers together: {"rope_theta": …, "rope_type": "default"}.
double rope_theta(const ConfigReader& config) {
  constexpr double kUsual = 10000;
  const char* const scaled = "positions that are not scaled";
  if (!config.lacks("rope_scaling")) config.refuse("rope_scaling", scaled);
  const double theta = config.number("rope_theta", kUsual);
  if (config.lacks("rope_parameters")) return theta;
  const Json& parameters = config.at("rope_parameters");
  if (!parameters.is_object() || parameters.value("rope_type", Json("default")) != "default")
    config.refuse("rope_parameters", scaled);
  const Json given = parameters.value("rope_theta", Json(theta));
  if (!given.is_number()) config.refuse("rope_parameters", "a number as rope_theta");
  return given.get<double>();
}

}  // namespace

nn::ModelConfig parse_hugging_face_config(std::string_view json, const std::string& name) {
  // What LlamaConfig says where a file says nothing.
  constexpr std::int64_t kUsualPositions = 2048;  // NOLINT: a default of the format
  constexpr double kUsualEps = 1e-6;
  const ConfigReader reader(json, name);
  require_llama(reader, name);
  nn::ModelConfig config;
  config.dim = reader.count("hidden_size");
  config.hidden = reader.count("intermediate_size");
  config.layers = reader.count("num_hidden_layers");
  config.heads = reader.count("num_attention_heads");
  config.kv_heads = reader.count("num_key_value_heads", 0);
  config.head_dim = reader.count("head_dim", 0);
  config.vocab = reader.count("vocab_size");
  config.seq = reader.count("max_position_embeddings", kUsualPositions);
  config.norm_eps = reader.number("rms_norm_eps", kUsualEps);
  config.tied = reader.flag("tie_word_embeddings", false);
  config.rope = nn::Rope::halves;
  config.rope_theta = rope_theta(reader);
  check_config(config, name);
  return config;
}

std::string hugging_face_config(const nn::ModelConfig& config, DType dtype) {
  // llama2.c's vocabularies begin with <unk>, <s>, </s> and the bytes; in a smaller one, such as
  // the bytes alone, ids 1 and 2 are text.
  constexpr std::int64_t kSpecialsAndBytes = 3 + 256;
  const bool marks_ends = config.vocab >= kSpecialsAndBytes;
  const char* const type = dtype == DType::fp16   ? "float16"
                           : dtype == DType::bf16 ? "bfloat16"
                                                  : "float32";
  const Json json = {{"architectures", {"LlamaForCausalLM"}},
                     {"model_type", "llama"},
                     {"hidden_act", "silu"},
                     {"hidden_size", config.dim},
                     {"intermediate_size", config.hidden},
                     {"num_hidden_layers", config.layers},
                     {"num_attention_heads", config.heads},
                     {"num_key_value_heads", config.kv_heads},
                     {"head_dim", config.head_dim},
                     {"vocab_size", config.vocab},
                     {"max_position_embeddings", config.seq},
                     {"rms_norm_eps", config.norm_eps},
                     {"rope_theta", config.rope_theta},
                     {"rope_scaling", nullptr},
                     {"attention_bias", false},
                     {"mlp_bias", false},
                     {"tie_word_embeddings", config.tied},
                     {"bos_token_id", marks_ends ? Json(1) : Json()},
                     {"eos_token_id", marks_ends ? Json(2) : Json()},
                     {"torch_dtype", type}};
  return json.dump(2) + "\n";
}

}  // namespace anemone::model
