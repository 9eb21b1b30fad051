// The folder: names of tensors, shards, and a folder that appears whole.
#include "anemone/model/hugging_face.h"

#include <fmt/format.h>

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "anemone/base/file.h"
#include "anemone/model/find_tokenizer.h"
#include "anemone/model/rope_order.h"
#include "anemone/model/tensor_list.h"
#include "anemone/nn/language_model.h"

namespace anemone::model {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.json";
constexpr const char* kTensorFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

struct Name {
  const char *ours, *theirs;
};
constexpr Name kLayerNames[] = {{"wq", "self_attn.q_proj"},
                                {"wk", "self_attn.k_proj"},
                                {"wv", "self_attn.v_proj"},
                                {"wo", "self_attn.o_proj"},
                                {"w1", "mlp.gate_proj"},
                                {"w3", "mlp.up_proj"},
                                {"w2", "mlp.down_proj"},
                                {"norm1", "input_layernorm"},
                                {"norm2", "post_attention_layernorm"}};
constexpr Name kNames[] = {
    {"embedding", "model.embed_tokens"}, {"final_norm", "model.norm"}, {"classifier", "lm_head"}};

// The files that hold the tensors; an index names them beside each tensor.
std::set<std::string> tensor_files(const fs::path& folder) {
  if (!fs::exists(folder / kIndexFile)) return {kTensorFile};
  const std::string place = (folder / kIndexFile).string();
  const auto index = nlohmann::json::parse(read_text_file(folder / kIndexFile), nullptr,
                                           /*allow_exceptions=*/false);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    throw Error("there is no \"weight_map\"", place, "an object: a file for each tensor");
  std::set<std::string> files;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    // A name, not a way out of the folder.
    if (!file.is_string() ||
        fs::path(file.get<std::string>()).filename() != file.get<std::string>())
      throw Error("the file of a tensor", place, "the name of a file in this folder");
    files.insert(file.get<std::string>());
  }
  return files;
}

// Tables that older files carry; every model computes them.
bool is_computed(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

std::vector<NamedTensor> named_as_ours(const std::deque<SafetensorsReader>& files,
                                       const nn::ModelConfig& config, const std::string& place) {
  std::map<std::string, std::string> ours;
  for (const nn::ParameterSpec& spec : nn::model_parameters(config))
    ours.emplace(hugging_face_name(spec.name), spec.name);
  std::vector<NamedTensor> tensors;
  for (const SafetensorsReader& file : files) {
    for (const auto& [name, tensor] : file.tensors()) {
      if (const auto found = ours.find(name); found != ours.end()) {
        tensors.push_back({found->second, tensor});
      } else if (!is_computed(name) && !(config.tied && name == hugging_face_name("classifier"))) {
        throw Error("the model has no parameter " + name, place,
                    "the tensors of a llama without biases or adapters");
      }
    }
  }
  return tensors;
}

Status write_files(const fs::path& folder, const nn::ModelConfig& config,
                   const std::vector<NamedTensor>& tensors, std::string_view vocabulary) {
  std::vector<NamedTensor> named;
  std::deque<std::vector<std::byte>> reordered;
  for (const NamedTensor& tensor : tensors) {
    named.push_back({hugging_face_name(tensor.name), tensor.tensor});
    if (has_rope_order(tensor.name) && config.rope != nn::Rope::halves)
      named.back().tensor.data = reordered.emplace_back(
          in_rope_order(tensor.tensor, config.head_dim, config.rope, nn::Rope::halves));
  }
  const DType dtype = tensors.front().tensor.dtype;
  Status status = write_file_atomically(folder / kConfigFile, hugging_face_config(config, dtype));
  if (status.ok() && !vocabulary.empty())
    status = write_file_atomically(folder / kTokenizerFile, vocabulary);
  if (status.ok()) status = write_safetensors(folder / kTensorFile, named, {{"format", "pt"}});
  if (status.ok()) status = sync_directory(folder);
  return status;
}

}  // namespace

std::string hugging_face_name(const std::string& parameter) {
  for (const Name& name : kNames)
    if (parameter == name.ours) return fmt::format("{}.weight", name.theirs);
  const std::size_t dot = parameter.find('.');
  ANEMONE_CHECK(parameter.starts_with('l') && dot != std::string::npos, "a parameter of a layer");
  for (const Name& name : kLayerNames)
    if (parameter.substr(dot + 1) == name.ours)
      return fmt::format("model.layers.{}.{}.weight", parameter.substr(1, dot - 1), name.theirs);
  ANEMONE_CHECK(false, "every parameter has a name in Hugging Face's llama");
  return {};
}

ModelFile read_hugging_face(const fs::path& folder) {
  ModelFile file;
  file.config = parse_hugging_face_config(read_text_file(folder / kConfigFile),
                                          (folder / kConfigFile).string());
  const auto files = std::make_shared<std::deque<SafetensorsReader>>();
  for (const std::string& name : tensor_files(folder)) files->emplace_back(folder / name);
  const auto found = named_as_ours(*files, file.config, folder.string());
  const TensorList list(file.config, found, folder.string());
  for (const nn::ParameterSpec& spec : nn::model_parameters(file.config))
    file.tensors.push_back({spec.name, list.get(spec.name)});
  file.memory = files;
  file.description = describe("Hugging Face", file);
  return file;
}

Status write_hugging_face(const fs::path& folder, const nn::ModelConfig& config,
                          const std::vector<NamedTensor>& tensors, std::string_view vocabulary) {
  if (config.rope == nn::Rope::none)
    throw Error("a llama has rotary embedding", folder.string(),
                "model.rope = \"pairs\" or \"halves\"");
  (void)TensorList(config, tensors, folder.string());
  if (fs::exists(folder)) throw Error("it is there already", folder.string(), "a new folder");
  const fs::path unfinished = folder.string() + ".tmp";
  std::error_code error;
  const auto clear = [&] {  // also what a run that was killed left: these files, no others
    std::error_code ignored;
    for (const char* name : {kConfigFile, kTensorFile, kTokenizerFile})
      fs::remove(unfinished / name, ignored);
    fs::remove(unfinished, ignored);
  };
  clear();
  fs::create_directory(unfinished, error);
  if (error) return Status::failure(unfinished.string() + ": cannot create: " + error.message());
  Status status = write_files(unfinished, config, tensors, vocabulary);
  if (status.ok()) status = rename_durably(unfinished, folder);
  if (!status.ok()) clear();
  return status;
}

}  // namespace anemone::model
