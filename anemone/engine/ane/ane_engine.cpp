// The engine `ane`: legalize, then the driver.
#include "anemone/engine/ane/ane_engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "anemone/base/cpu_features.h"
#include "anemone/base/error.h"
#include "anemone/engine/ane/device.h"
#include "anemone/engine/ane/executable.h"
#include "anemone/engine/ane/grouping.h"
#include "anemone/engine/ane/legalize.h"
#include "anemone/engine/engines.h"

namespace anemone::engine::ane {
namespace {

#ifdef __APPLE__
constexpr bool kOnApple = true;
#else
constexpr bool kOnApple = false;
#endif

class AneEngine final : public Engine {
 public:
  explicit AneEngine(const AneOptions& options)
      : framework_(options.framework != nullptr ? options.framework : Framework::open()),
        clock_(options.service.clock != nullptr ? *options.service.clock : system_clock()),
        map_surfaces_(options.map_surfaces),
        multi_function_(options.engine.multi_function),
        service_(std::make_shared<CompileService>(framework_, options.service)) {
    target_ =
        options.engine.target.empty()
            ? choose_target(read_device(*framework_), cpu_model_name(), macos_version()).target
            : find_target(options.engine.target, macos_version());
    traits_.compile_limit = kCompileLimit;
    traits_.packed_io = true;
    traits_.runs_on_host = false;
    traits_.update_recompiles = true;
    traits_.default_partition = "six";
  }

  std::string_view name() const override { return "ane"; }
  const EngineTraits& traits() const override { return traits_; }
  int compiles_used() const override { return service_->compiles(); }

  Support supports(const mil::Function& function) const override {
    try {
      CompileOptions options;
      legal({&function, 1}, options);
    } catch (const Error& error) {
      return {false, error.what()};
    }
    return {};
  }

  Support supports_options(const CompileOptions& options) const override {
    if (options.products != ProductPrecision::bf16) return {};
    return {false, "the Neural Engine multiplies fp16 numbers, not bf16"};
  }

  std::unique_ptr<engine::Executable> compile(const mil::Function& function,
                                              const CompileOptions& options) override {
    check_options(options);
    return std::make_unique<Executable>(
        std::make_shared<Program>(legal({&function, 1}, options), setup(options)), 0);
  }

  std::vector<std::unique_ptr<engine::Executable>> compile_together(
      std::span<const CompileItem> items) override {
    if (!multi_function_) return Engine::compile_together(items);
    std::vector<int> tensors;
    for (const CompileItem& item : items) {
      check_options(item.options);
      int count = 0;
      for (const LegalBlob& blob : legal({item.function, 1}, item.options).blobs)
        count += static_cast<int>(blob.tensors.size());
      tensors.push_back(count);
    }
    std::vector<std::unique_ptr<engine::Executable>> executables;
    for (const auto& group : group_functions(tensors, kMaxBlobTensorsScalar))
      compile_group(items.subspan(group.front(), group.size()), executables);
    return executables;
  }

  std::unique_ptr<Surface> make_surface(const BufferSpec& spec) override {
    return std::make_unique<IoSurface>(framework_, spec);
  }

 private:
  void check_options(const CompileOptions& options) const {
    const Support support = supports_options(options);
    if (!support.ok) throw Error(support.reason, options.name, "--precision fp16");
  }

  // One program of several functions, each called as its item.
  void compile_group(std::span<const CompileItem> items,
                     std::vector<std::unique_ptr<engine::Executable>>& executables) {
    CompileOptions options = items.front().options;
    std::vector<mil::Function> functions;
    for (const CompileItem& item : items) {
      functions.push_back(*item.function);
      if (items.size() == 1) break;
      functions.back().name =
          fmt::format("f{}_{}", functions.size() - 1, mil::blob_file_stem(item.options.name));
      std::replace_if(
          functions.back().name.begin(), functions.back().name.end(),
          [](char c) { return c == '.' || c == '-'; }, '_');
      if (functions.size() > 1) options.name += " + " + item.options.name;
    }
    const auto program = std::make_shared<Program>(legal(functions, options), setup(options));
    for (std::size_t i = 0; i < items.size(); ++i)
      executables.push_back(std::make_unique<Executable>(program, i));
  }

  LegalizedProgram legal(std::span<const mil::Function> functions,
                         const CompileOptions& options) const {
    mil::Program program;
    program.functions.assign(functions.begin(), functions.end());
    mil::ConstantSource constants(options.weights, options.model_directory);
    LegalizeOptions legalize_options;
    legalize_options.name = options.name;
    legalize_options.constants = &constants;
    return legalize(std::move(program), target_, legalize_options);
  }

  Program::Setup setup(const CompileOptions& options) const {
    Program::Setup setup;
    setup.service = service_;
    setup.clock = &clock_;
    setup.map_surfaces = map_surfaces_;
    setup.name = options.name;
    setup.weights = options.weights;
    setup.model_directory = options.model_directory;
    return setup;
  }

  std::shared_ptr<const Framework> framework_;
  Clock& clock_;
  bool map_surfaces_, multi_function_;
  std::shared_ptr<CompileService> service_;
  Target target_;
  EngineTraits traits_;
};

std::string join(const std::vector<std::string>& names) {
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

void add_device(const Device& device, Facts& facts) {
  const auto add_number = [&](const char* name, int value) {
    facts.emplace_back(name, value < 0 ? "not said" : std::to_string(value));
  };
  add_number("present", device.present);
  add_number("virtual machine", device.virtual_machine);
  add_number("engines", device.engines);
  add_number("cores", device.cores);
  facts.emplace_back("architecture", device.architecture + " " + device.sub_type);
  facts.emplace_back("product", device.product + " " + device.build);
  const DeviceTarget target = choose_target(device, cpu_model_name(), macos_version());
  facts.emplace_back("target", fmt::format("{} ({})", target.target.name, target.how));
}

}  // namespace

std::unique_ptr<Engine> make_engine(const AneOptions& options) {
  return std::make_unique<AneEngine>(options);
}

Support support() {
  Support result;
  result.expected = kOnApple || !Framework::library_paths().empty();
  const auto refuse = [&](std::string why) {
    result.ok = false;
    result.reason = std::move(why);
    return result;
  };
  try {
    const auto framework = Framework::open();
    const Device device = read_device(*framework);
    if (device.present == 0) return refuse("this machine has no Neural Engine");
    if (device.virtual_machine == 1)
      return refuse("a virtual machine has no access to the Neural Engine");
  } catch (const Error& error) {
    return refuse(error.what());
  }
  return result;
}

Facts facts() {
  Facts facts;
  try {
    const auto framework = Framework::inspect(Framework::library_paths());
    facts.emplace_back("library", Framework::library_paths().front());
    facts.emplace_back("found",
                       fmt::format("{} classes, methods and functions", framework->found.size()));
    facts.emplace_back("missing", join(framework->missing_required));
    facts.emplace_back("missing, optional", join(framework->missing_optional));
    add_device(read_device(*framework), facts);
  } catch (const Error& error) {
    facts.emplace_back("problem", error.what());
  }
  return facts;
}

}  // namespace anemone::engine::ane

namespace anemone::engine {

std::unique_ptr<Engine> make_ane_engine(const EngineOptions& options);
Support ane_engine_support();

std::unique_ptr<Engine> make_ane_engine(const EngineOptions& options) {
  ane::AneOptions ane;
  ane.engine = options;
  ane.service.limits = ane::CallLimits::from_environment();
  return ane::make_engine(ane);
}
Support ane_engine_support() { return ane::support(); }

}  // namespace anemone::engine
