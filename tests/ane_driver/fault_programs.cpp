#include "tests/ane_driver/fault_programs.h"

#include <cstring>
#include <filesystem>
#include <random>

#include "anemone/base/element.h"
#include "anemone/base/file.h"
#include "anemone/engine/engines.h"
#include "anemone/mil/blob_file.h"
#include "anemone/mil/parser.h"

namespace anemone::test {
namespace {

namespace ane = engine::ane;

constexpr const char* kConv = R"(program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 2, 1, 32]> x) {
        tensor<fp16, [2, 2, 1, 1]> w = const()[name = string("w"), val = tensor<fp16, [2, 2, 1, 1]>(BLOBFILE(path = string("@model_path/weights/w.bin"), offset = uint64(64)))];
        tensor<fp16, [2, 2, 1, 1]> v = const()[name = string("v"), val = tensor<fp16, [2, 2, 1, 1]>(BLOBFILE(path = string("@model_path/weights/v.bin"), offset = uint64(64)))];
        tensor<fp16, [1, 2, 1, 32]> h = conv(weight = w, x = x);
        tensor<fp16, [1, 2, 1, 32]> y = conv(weight = v, x = h);
    } -> (y);
}
)";

constexpr const char* kPaddedRows = R"(program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 3, 2, 5]> x) {
        fp16 zero = const()[name = string("zero"), val = fp16(0)];
        tensor<fp16, [1, 3, 2, 5]> y = maximum(x = x, y = zero);
    } -> (y);
}
)";

constexpr const char* kOutOfOrder = R"(program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 2, 1, 32]> b, tensor<fp16, [1, 2, 1, 32]> a) {
        tensor<fp16, [1, 2, 1, 32]> q = mul(x = b, y = a);
        tensor<fp16, [1, 2, 1, 32]> p = sub(x = b, y = a);
    } -> (q, p);
}
)";

constexpr const char* kFunctions = R"(program(1.3)
{
    func twice<ios18>(tensor<fp16, [1, 2, 1, 32]> x0) {
        tensor<fp16, [1, 2, 1, 32]> y0 = add(x = x0, y = x0);
    } -> (y0);
    func squared<ios18>(tensor<fp16, [1, 2, 1, 32]> x1) {
        tensor<fp16, [1, 2, 1, 32]> y1 = mul(x = x1, y = x1);
    } -> (y1);
}
)";

// Values that fp16 products and sums hold exactly.
Values some_values(std::size_t count, std::mt19937& random) {
  Values values(count);
  for (double& value : values) value = (static_cast<int>(random() % 33) - 16) / 8.0;
  return values;
}

ane::DeclaredTensor declared(const mil::Function& function, mil::Value value) {
  return {function.name_of(value), function.type(value)};
}

}  // namespace

FaultProgram::FaultProgram(std::string name, std::string text,
                           const std::vector<std::string>& weight_files)
    : name_(std::move(name)),
      text_(std::move(text)),
      weight_files_(weight_files),
      program_(mil::parse_program(text_, name_)) {
  std::mt19937 random(1);
  for (const mil::Function& function : program_.functions) {
    std::vector<Values>& inputs = inputs_.emplace_back();
    for (const mil::Value value : function.inputs) {
      const auto count = static_cast<std::size_t>(function.type(value).shape.elements());
      inputs.push_back(some_values(count, random));
    }
  }
  for (int version = 0; version < kVersions; ++version) {
    write_weights(version);
    for (std::size_t i = 0; i < program_.functions.size(); ++i) {
      expected_[version].push_back(run_on_cpu(program_.functions[i], inputs_[i], version));
    }
  }
}

void FaultProgram::write_weights(int version) {
  std::mt19937 random(static_cast<unsigned>(version) + 10);
  const std::filesystem::path folder = folders_[version].path() / "weights";
  std::filesystem::create_directories(folder);
  for (const std::string& file : weight_files_) {
    const std::filesystem::path path = folder / (file + ".bin");
    std::vector<std::byte> bytes(4 * 2);
    store_elements(DType::fp16, bytes.data(), some_values(4, random));
    mil::BlobWriter writer(path);
    writer.add(DType::fp16, bytes);
    if (const Status status = writer.finish(); !status.ok()) throw Error(status.message);
    weights_[version].push_back(read_text_file(path));
  }
}

ane::ModelSource FaultProgram::source(int version) const {
  ane::ModelSource source;
  source.name = name_;
  source.text = text_;
  for (std::size_t i = 0; i < weight_files_.size(); ++i) {
    const std::string& contents = weights_[version][i];
    source.files.push_back({"@model_path/weights/" + weight_files_[i] + ".bin", contents.size(),
                            [&contents](std::span<std::byte> bytes) {
                              std::memcpy(bytes.data(), contents.data(), bytes.size());
                            }});
  }
  for (const mil::Function& function : program_.functions) {
    ane::DeclaredFunction& declaration = source.functions.emplace_back();
    declaration.name = function.name;
    for (const mil::Value value : function.inputs) {
      declaration.inputs.push_back(declared(function, value));
    }
    for (const mil::Value value : function.outputs) {
      declaration.outputs.push_back(declared(function, value));
    }
  }
  return source;
}

std::vector<Values> FaultProgram::run_on_cpu(const mil::Function& function,
                                             const std::vector<Values>& inputs, int version) const {
  engine::EngineOptions engine_options;
  engine_options.threads = 1;
  const auto cpu = engine::make_engine("cpu", engine_options);
  engine::CompileOptions options;
  options.model_directory = folders_[version].path();
  const auto executable = cpu->compile(function, options);
  std::vector<std::unique_ptr<engine::Surface>> owned;
  std::vector<engine::Surface*> in, out;
  for (const auto& spec : executable->input_buffers()) {
    in.push_back(owned.emplace_back(cpu->make_surface(spec)).get());
  }
  for (const auto& spec : executable->output_buffers()) {
    out.push_back(owned.emplace_back(cpu->make_surface(spec)).get());
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const engine::Port& port = executable->inputs()[i];
    const engine::HostAccess access(*in[static_cast<std::size_t>(port.buffer)],
                                    engine::Access::write);
    engine::write_port(access.data(), port, std::span<const double>(inputs[i]));
  }
  const auto binding = executable->bind(in, out);
  if (const Status status = binding->run(); !status.ok()) throw Error(status.message);
  std::vector<Values> outputs;
  for (const engine::Port& port : executable->outputs()) {
    const engine::HostAccess access(*out[static_cast<std::size_t>(port.buffer)],
                                    engine::Access::read);
    Values& values = outputs.emplace_back(static_cast<std::size_t>(port.shape.elements()));
    engine::read_port(access.data(), port, std::span<double>(values));
  }
  return outputs;
}

const std::vector<std::unique_ptr<FaultProgram>>& fault_programs() {
  static const auto kPrograms = [] {
    std::vector<std::unique_ptr<FaultProgram>> programs;
    programs.push_back(
        std::make_unique<FaultProgram>("conv", kConv, std::vector<std::string>{"v", "w"}));
    const std::vector<std::string> none;
    programs.push_back(std::make_unique<FaultProgram>("padded", kPaddedRows, none));
    programs.push_back(std::make_unique<FaultProgram>("out_of_order", kOutOfOrder, none));
    programs.push_back(std::make_unique<FaultProgram>("functions", kFunctions, none));
    return programs;
  }();
  return kPrograms;
}

}  // namespace anemone::test
