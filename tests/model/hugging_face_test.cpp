// Hugging Face's folders: round trips over both formats, variants that are refused, damaged files.
#include "anemone/model/hugging_face.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "anemone/base/file.h"
#include "anemone/model/model_weights.h"
#include "anemone/model/rope_order.h"
#include "tests/model/small_model.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::complaint;

TEST(RopeOrder, IsAnExchangeOfRowsWithinHeads) {
  std::vector<std::int64_t> halves;
  for (std::int64_t row = 0; row < 16; ++row)
    halves.push_back(rope_source_row(row, 8, nn::Rope::pairs, nn::Rope::halves));
  EXPECT_EQ(halves,
            (std::vector<std::int64_t>{0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15}));
  for (std::int64_t row = 0; row < 48; ++row) {
    const std::int64_t there = rope_source_row(row, 12, nn::Rope::pairs, nn::Rope::halves);
    EXPECT_EQ(rope_source_row(there, 12, nn::Rope::halves, nn::Rope::pairs), row);
  }
}

TEST(HuggingFace, ComesBackAsItWas) {
  for (const bool tied : {true, false}) {
    const test::SmallModel model(test::small_config(nn::Rope::halves, tied));
    const test::TemporaryDirectory folder;
    const auto path = folder.path() / "m";
    ASSERT_EQ(write_hugging_face(path, model.config(), model.tensors()).message, "");
    const ModelFile read = read_model(path);
    EXPECT_EQ(read.config.rope, nn::Rope::halves);
    EXPECT_EQ(read.config.tied, tied);
    EXPECT_EQ(read.config.kv_heads, 2);
    EXPECT_EQ(read.config.norm_eps, 1e-5);
    EXPECT_EQ(read.config.seq, 12);
    test::expect_same_tensors(read.tensors, model.tensors());
    EXPECT_FALSE(fs::exists(folder.path() / "m.tmp"));
  }
}

// Only a vocabulary that can be llama2.c's has ids that begin and end a text.
TEST(HuggingFace, SaysWhichIdsAreNoText) {
  nn::ModelConfig config = test::small_config(nn::Rope::halves, true);
  const auto ends = [&](std::int64_t vocab) {
    config.vocab = vocab;
    const json written = json::parse(hugging_face_config(config, DType::fp32));
    return json{written.at("bos_token_id"), written.at("eos_token_id")};
  };
  EXPECT_EQ(ends(256), (json{nullptr, nullptr}));
  EXPECT_EQ(ends(258), (json{nullptr, nullptr}));
  EXPECT_EQ(ends(259), (json{1, 2}));
  EXPECT_EQ(ends(32000), (json{1, 2}));
}

TEST(HuggingFace, NamesAsTransformersDoes) {
  EXPECT_EQ(hugging_face_name("embedding"), "model.embed_tokens.weight");
  EXPECT_EQ(hugging_face_name("l0.wq"), "model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(hugging_face_name("l12.w1"), "model.layers.12.mlp.gate_proj.weight");
  EXPECT_EQ(hugging_face_name("l1.w2"), "model.layers.1.mlp.down_proj.weight");
  EXPECT_EQ(hugging_face_name("l1.w3"), "model.layers.1.mlp.up_proj.weight");
  EXPECT_EQ(hugging_face_name("l1.norm2"), "model.layers.1.post_attention_layernorm.weight");
  EXPECT_EQ(hugging_face_name("final_norm"), "model.norm.weight");
  EXPECT_EQ(hugging_face_name("classifier"), "lm_head.weight");
}

// Pairs to halves and back: the rows of wq and wk are where they were.
TEST(HuggingFace, ALlama2cModelComesBack) {
  const test::SmallModel model(test::small_config(nn::Rope::pairs, false));
  const test::TemporaryDirectory folder;
  const auto there = folder.path() / "m", back = folder.path() / "m.bin";
  ASSERT_EQ(write_model(there, ModelFormat::hugging_face, model.config(), model.tensors()).message,
            "");
  const ModelFile halves = read_model(there);
  ASSERT_EQ(write_model(back, ModelFormat::llama2c, halves.config, halves.tensors).message, "");
  test::expect_same_tensors(read_model(back).tensors, model.tensors());
}

TEST(HuggingFace, RealModelsComeBack) {
  for (const char* name : {"models/aidreams260K.bin", "models/stories260K.bin"}) {
    ANEMONE_SHARED_OR_SKIP(path, name);
    const ModelFile file = read_model(path);
    const test::TemporaryDirectory folder;
    const auto there = folder.path() / "m/", back = folder.path() / "m.bin";
    ASSERT_EQ(write_model(there, ModelFormat::hugging_face, file.config, file.tensors).message, "");
    const ModelFile halves = read_model(there);
    ASSERT_EQ(write_model(back, ModelFormat::llama2c, halves.config, halves.tensors).message, "");
    test::expect_same_tensors(read_model(back).tensors, file.tensors);
  }
}

// A folder with what `tensors` and `config` say, in one file of tensors for each of `parts`.
void write_folder(const fs::path& folder, const json& config,
                  const std::vector<std::vector<NamedTensor>>& parts) {
  fs::create_directory(folder);
  ASSERT_TRUE(write_file_atomically(folder / "config.json", config.dump()).ok());
  json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", json::object()}};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string name =
        parts.size() == 1 ? "model.safetensors" : "part-" + std::to_string(i) + ".safetensors";
    ASSERT_TRUE(write_safetensors(folder / name, parts[i]).ok());
    for (const NamedTensor& tensor : parts[i]) index["weight_map"][tensor.name] = name;
  }
  if (parts.size() > 1) {
    ASSERT_TRUE(write_file_atomically(folder / "model.safetensors.index.json", index.dump()).ok());
  }
}

struct Fixture {
  test::SmallModel model{test::small_config(nn::Rope::halves, true)};
  json config = json::parse(hugging_face_config(model.config(), DType::fp32));
  std::vector<NamedTensor> named;
  test::TemporaryDirectory folder;

  Fixture() {
    for (const NamedTensor& tensor : model.tensors())
      named.push_back({hugging_face_name(tensor.name), tensor.tensor});
  }
  ModelFile read(const std::vector<std::vector<NamedTensor>>& parts) {
    const auto path = folder.path() / "m";
    fs::remove_all(path);
    write_folder(path, config, parts);
    return read_model(path);
  }
  std::string said(const std::vector<std::vector<NamedTensor>>& parts) {
    return complaint([&] { (void)read(parts); });
  }
};

TEST(HuggingFace, ReadsShards) {
  Fixture f;
  const auto middle = f.named.begin() + 7;
  const ModelFile read = f.read({{f.named.begin(), middle}, {middle, f.named.end()}});
  test::expect_same_tensors(read.tensors, f.model.tensors());

  const auto path = f.folder.path() / "m";
  ASSERT_TRUE(write_file_atomically(path / "model.safetensors.index.json",
                                    R"({"weight_map":{"a":"../m/part-0.safetensors"}})")
                  .ok());
  EXPECT_NE(complaint([&] { (void)read_model(path); }).find("in this folder"), std::string::npos);
}

TEST(HuggingFace, ReadsHalfPrecision) {
  Fixture f;
  std::vector<std::vector<std::uint16_t>> halves;
  std::map<std::string, std::vector<float>> expected;
  for (std::size_t i = 0; i < f.named.size(); ++i) {
    TensorView& tensor = f.named[i].tensor;
    const bool brain = i % 2 == 0;
    std::vector<std::uint16_t> bits;
    for (std::size_t at = 0; at < tensor.data.size(); at += sizeof(float)) {
      float value;
      std::memcpy(&value, tensor.data.data() + at, sizeof value);
      bits.push_back(brain ? bf16_from_float(value).bits : f16_from_float(value).bits);
      expected[f.model.tensors()[i].name].push_back(brain ? to_float(bf16{bits.back()})
                                                          : to_float(f16{bits.back()}));
    }
    tensor.dtype = brain ? DType::bf16 : DType::fp16;
    tensor.data = std::as_bytes(std::span(halves.emplace_back(std::move(bits))));
  }
  const ModelFile read = f.read({f.named});
  const ModelWeights weights(read);
  for (const auto& [name, values] : expected) {
    const auto found = weights.store().get(name).values;
    EXPECT_TRUE(std::equal(found.begin(), found.end(), values.begin(), values.end())) << name;
  }
}

TEST(HuggingFace, TakesWhatOtherFilesCarry) {
  Fixture f;
  f.config.erase("head_dim");
  f.config.erase("rope_scaling");
  f.config["rope_parameters"] = {{"rope_theta", 10000.0}, {"rope_type", "default"}};
  const float table[4] = {1, 2, 3, 4};
  const TensorView view{DType::fp32, {4}, std::as_bytes(std::span(table))};
  f.named.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", view});
  f.named.push_back({"lm_head.weight", f.named[0].tensor});  // tied: the same as the embedding
  test::expect_same_tensors(f.read({f.named}).tensors, f.model.tensors());
}

TEST(HuggingFace, RefusesOtherModels) {
  struct Case {
    const char* key;
    json value;
    const char* said;
  };
  const Case cases[] = {
      {"model_type", "mistral", "\"model_type\" is \"mistral\""},
      {"architectures", json::array({"GPT2LMHeadModel"}), "GPT2LMHeadModel"},
      {"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}, "rope_scaling"},
      {"rope_parameters", {{"rope_type", "llama3"}}, "rope_parameters"},
      {"hidden_act", "gelu", "hidden_act"},
      {"attention_bias", true, "attention_bias"},
      {"mlp_bias", true, "mlp_bias"},
      {"quantization_config", {{"bits", 4}}, "quantization_config"},
      {"hidden_size", -1, "hidden_size"},
      {"hidden_size", 1.5, "hidden_size"},
      {"hidden_size", "48", "hidden_size"},
      {"hidden_size", nullptr, "there is no \"hidden_size\""},
      {"vocab_size", 0, "a vocabulary of 0"},
      {"num_key_value_heads", 4, "kv_heads"},
      {"num_hidden_layers", 1000000, "model.layers"},
      {"rms_norm_eps", -1, "norm_eps"},
      {"tie_word_embeddings", 1, "tie_word_embeddings"},
  };
  for (const Case& c : cases) {
    Fixture f;
    f.config[c.key] = c.value;
    const std::string said = f.said({f.named});
    EXPECT_NE(said.find(c.said), std::string::npos) << c.key << ": " << said;
    EXPECT_NE(said.find("config.json"), std::string::npos) << said;
  }
}

TEST(HuggingFace, SaysWhichTensorIsWrong) {
  Fixture f;
  auto missing = f.named;
  missing.erase(missing.begin() + 3);
  EXPECT_NE(f.said({missing}).find("no tensor l0.wv"), std::string::npos);
  auto bias = f.named;
  bias.push_back({"model.layers.0.self_attn.q_proj.bias", f.named.back().tensor});
  EXPECT_NE(f.said({bias}).find("no parameter model.layers.0.self_attn.q_proj.bias"),
            std::string::npos);
  auto shape = f.named;
  shape[1].tensor.shape = {24, 96};
  EXPECT_NE(f.said({shape}).find("tensor l0.wq is fp32 [24, 96]"), std::string::npos)
      << f.said({shape});
  f.config["tie_word_embeddings"] = false;
  EXPECT_NE(f.said({f.named}).find("no tensor classifier"), std::string::npos);
}

TEST(HuggingFace, DamagedFilesAreErrors) {
  Fixture f;
  (void)f.read({f.named});
  const auto path = f.folder.path() / "m";
  for (const char* name : {"config.json", "model.safetensors"}) {
    const std::string whole = read_text_file(path / name);
    for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 50) {
      std::ofstream(path / name, std::ios::binary) << whole.substr(0, size);
      EXPECT_THROW((void)read_model(path), Error) << name << " " << size;
    }
    std::ofstream(path / name, std::ios::binary) << whole;
  }
  EXPECT_NO_THROW((void)read_model(path));
  fs::remove(path / "model.safetensors");
  EXPECT_THROW((void)read_model(path), Error);
  EXPECT_THROW((void)parse_hugging_face_config(std::string(100000, '['), "c"), Error);
}

TEST(HuggingFace, AnExistingFolderStays) {
  const test::SmallModel model(test::small_config(nn::Rope::halves, true));
  const test::TemporaryDirectory folder;
  EXPECT_NE(complaint([&] {
              (void)write_hugging_face(folder.path(), model.config(), model.tensors());
            }).find("there already"),
            std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(ModelFile, LooksLikeOne) {
  const test::TemporaryDirectory folder;
  EXPECT_FALSE(looks_like_model(folder.path()));
  EXPECT_FALSE(looks_like_model(folder.path() / "none.bin"));
  std::ofstream(folder.path() / "x.bin") << "x";
  std::ofstream(folder.path() / "config.json") << "{}";
  EXPECT_TRUE(looks_like_model(folder.path() / "x.bin"));
  EXPECT_TRUE(looks_like_model(folder.path()));
  EXPECT_FALSE(looks_like_model(folder.path() / "config.json"));
}

}  // namespace
}  // namespace anemone::model
