// Our kernels against the same kernels written by someone else (../shared/mil/text), with the same
// weights and inputs.
//
// Theirs differ in one number: where ours divide a sum of squares by C, they multiply it by
// fp16(0.001302), for C = 768. Without rounding that is exactly our norm with another eps and with
// weights divided by sqrt(C * 0.001302…).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "anemone/base/element.h"
#include "anemone/engine/engines.h"
#include "anemone/mil/blob_file.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/passes/pack_io.h"
#include "tests/support/shared.h"
#include "tests/support/step_evaluator.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

const double kInverse = round_to(DType::fp16, 0.001302);
const double kEps = round_to(DType::fp16, 0.00001);
constexpr double kDim = 768;
// Their inverse root mean square is ours times this.
const double kNormFactor = 1 / std::sqrt(kDim * kInverse);

nn::ModelConfig config(DType dtype, double norm_eps) {
  nn::ModelConfig config;
  config.dim = 768;
  config.hidden = 2048;
  config.heads = 12;
  config.seq = 256;
  config.dtype = dtype;
  config.norm_eps = norm_eps;
  return config;
}

struct FileWeight {
  const char* file;
  mil::WeightRef ref;
};
const FileWeight kFiles[] = {
    {"rms1.bin", {"l0.norm1"}},   {"rms2.bin", {"l0.norm2"}},   {"wq.bin", {"l0.wq"}},
    {"wk.bin", {"l0.wk"}},        {"wv.bin", {"l0.wv"}},        {"wo.bin", {"l0.wo"}},
    {"w1.bin", {"l0.w1"}},        {"w2.bin", {"l0.w2"}},        {"w3.bin", {"l0.w3"}},
    {"wqt.bin", {"l0.wq", true}}, {"wkt.bin", {"l0.wk", true}}, {"wvt.bin", {"l0.wv", true}},
    {"w1t.bin", {"l0.w1", true}}, {"w2t.bin", {"l0.w2", true}}, {"w3t.bin", {"l0.w3", true}},
};

// A model folder with the blob files those programs name.
class WeightFolder {
 public:
  explicit WeightFolder(const LayerCase& layer) : seq_(layer.config.seq) {
    std::filesystem::create_directories(path() / "weights");
    mil::ConstantSource constants(&layer.weights);
    for (const FileWeight& file : kFiles) {
      const Shape stored = layer.weights.get(file.ref.name).shape;
      Shape shape = {1, stored[0], 1, 1};
      if (stored.rank() == 2)
        shape = file.ref.transposed ? Shape{stored[1], stored[0], 1, 1}
                                    : Shape{stored[0], stored[1], 1, 1};
      std::vector<std::byte> scratch;
      write(
          file.file,
          constants.bytes(mil::Constant(mil::Type::tensor(DType::fp16, shape), file.ref), scratch));
    }
    write_mask();
  }
  const std::filesystem::path& path() const { return directory_.path(); }

 private:
  void write(const char* file, std::span<const std::byte> bytes) {
    mil::BlobWriter writer(path() / "weights" / file);
    EXPECT_EQ(writer.add(DType::fp16, bytes), 64U);
    EXPECT_TRUE(writer.finish().ok());
  }
  void write_mask() {
    std::vector<double> mask;
    for (std::int64_t i = 0; i < seq_ * seq_; ++i) mask.push_back(i % seq_ > i / seq_ ? -65504 : 0);
    write("mask.bin", mil::Constant::numbers(DType::fp16, {1, 1, seq_, seq_}, mask).bytes());
  }
  TemporaryDirectory directory_;
  std::int64_t seq_;
};

struct Pair {
  const char* name;  // theirs, at the end of the file name
  const char* kernel;
};

class ThirdParty : public testing::TestWithParam<Pair> {};

// Per named output of our kernel: theirs may differ from ours by `relative` of its size.
void expect_same(const mil::PackedLayout& layout, const std::vector<double>& theirs,
                 const std::vector<double>& ours, std::int64_t seq, double relative,
                 const std::string& what) {
  ASSERT_EQ(theirs.size(), ours.size());
  for (const mil::PackedPort& port : layout.outputs) {
    const auto part = [&](const std::vector<double>& packed) {
      return std::vector<double>(packed.begin() + port.channel * seq,
                                 packed.begin() + (port.channel + port.channels) * seq);
    };
    EXPECT_LE(distance(part(theirs), part(ours)), relative * norm(part(ours)))
        << port.name << " " << what;
  }
}

struct Packed {
  mil::Program program;
  mil::PackedLayout layout;
  const mil::Function& main() const { return program.main(); }
};

Packed our_kernel(const nn::ModelConfig& model, const std::string& name) {
  for (nn::Kernel& kernel : nn::layer_kernels(model, "six")) {
    if (kernel.name != name) continue;
    Packed packed{std::move(kernel.program), {}};
    packed.layout = mil::pack_io(packed.program.main(), name);
    return packed;
  }
  ADD_FAILURE() << name;
  return {};
}

// The only result of a packed program.
std::vector<double> run(const mil::Function& function, const std::vector<double>& input,
                        mil::ConstantSource& constants, bool round) {
  const auto result = mil::evaluate<double>(
      function, {{function.name_of(function.inputs[0]), input}}, constants, {.round = round});
  return result.at(function.name_of(function.outputs[0]));
}

TEST_P(ThirdParty, ComputesTheSame) {
  ANEMONE_SHARED_OR_SKIP(file, std::string("mil/text/christopherkarani__Espresso__Fixtures__") +
                                   GetParam().name + ".mil");
  const std::string kernel = std::string("l0.") + GetParam().kernel;
  const LayerCase layer(config(DType::fp16, kEps), 21);
  const WeightFolder folder(layer);
  const mil::Program program = mil::load_program(file);
  const mil::Function& theirs = program.main();
  const Packed ours = our_kernel(layer.config, kernel);

  std::mt19937 random(5);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> input(
      static_cast<std::size_t>(theirs.type(theirs.inputs[0]).shape.elements()));
  for (double& value : input) value = round_to(DType::fp16, uniform(random));

  // Without rounding, with their eps and factor in our norm.
  mil::WeightStore adjusted;
  std::vector<std::vector<float>> norms;
  for (const auto& [name, tensor] : layer.weights.tensors()) {
    std::span<const float> values = tensor.values;
    if (tensor.shape.rank() == 1) {
      norms.emplace_back(values.begin(), values.end());
      for (float& value : norms.back()) value = static_cast<float>(value * kNormFactor);
      values = norms.back();
    }
    adjusted.add(name, tensor.shape, values);
  }
  mil::ConstantSource their_constants(nullptr, folder.path()), adjusted_constants(&adjusted),
      our_constants(&layer.weights);
  const int operations = count_operations(theirs) + count_operations(ours.main());
  {
    const Packed exact = our_kernel(config(DType::fp32, kEps / (kDim * kInverse)), kernel);
    expect_same(exact.layout, run(theirs, input, their_constants, false),
                run(exact.main(), input, adjusted_constants, false), layer.config.seq,
                rounding(operations, layer.config.hidden, DType::fp32), "without rounding");
  }

  // In fp16: every value is rounded once, and what their factor does to xnorm goes on to products
  // of up to three of it.
  const double relative =
      rounding(operations, layer.config.hidden, DType::fp16) + 3 * std::abs(kNormFactor - 1);
  const auto expected = run(ours.main(), input, our_constants, true);
  expect_same(ours.layout, run(theirs, input, their_constants, true), expected, layer.config.seq,
              relative, "in fp16");

  for (const engine::EngineEntry& entry : engine::engines()) {
    if (!entry.support().ok || entry.name == "reference")
      continue;  // the reference engine is what was just run
    const auto engine = entry.make({});
    const auto on_engine = [&](const mil::Function& function,
                               const engine::CompileOptions& options) {
      return run_on_engine(*engine, function, {{function.name_of(function.inputs[0]), input}},
                           options)
          .at(function.name_of(function.outputs[0]));
    };
    engine::CompileOptions with_folder, with_store;
    with_folder.model_directory = folder.path();
    with_store.weights = &layer.weights;
    const std::string where = "on " + std::string(entry.name);
    expect_same(ours.layout, on_engine(theirs, with_folder), expected, layer.config.seq, relative,
                "theirs " + where);
    expect_same(ours.layout, on_engine(ours.main(), with_store), expected, layer.config.seq,
                relative, "ours " + where);
  }
}

INSTANTIATE_TEST_SUITE_P(Espresso, ThirdParty,
                         testing::Values(Pair{"sdpa_fwd_taps", "fwd_attn"},
                                         Pair{"ffn_fwd_taps", "fwd_ffn"},
                                         Pair{"ffn_bwd", "ffn_bwd"}, Pair{"qkvb", "qkv_bwd"}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace anemone::test
