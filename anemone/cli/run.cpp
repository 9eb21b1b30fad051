// `anemone run`: compiles a function of a MIL program on an engine and runs it on given inputs.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/cli/array_argument.h"
#include "anemone/cli/command.h"
#include "anemone/cli/engine_name.h"
#include "anemone/cli/program_text.h"
#include "anemone/cli/whole_number.h"
#include "anemone/engine/engines.h"
#include "anemone/engine/numerics.h"

namespace anemone::cli {
namespace {

constexpr int kMostRuns = 1'000'000;

struct RunOptions {
  std::string file, function, engine = "auto", target, precision = "fp16", numerics = "exact", fill;
  std::vector<std::string> inputs, outputs;
  int threads = 0, time = 0;
  std::uint64_t seed = 42;
  bool explain = false;
};

const mil::Function& find_function(const mil::Program& program, const std::string& name) {
  if (name.empty() && (program.functions.size() == 1 || program.find("main") != nullptr)) {
    return program.main();
  }
  if (const mil::Function* function = program.find(name)) return *function;
  std::string known;
  for (const mil::Function& function : program.functions) {
    known += (known.empty() ? "" : ", ") + function.name;
  }
  throw UsageError(name.empty() ? "the program has several functions and no 'main'"
                                : "no function '" + name + "' in this program",
                   "--function", known);
}

engine::CompileOptions numerics_of(const RunOptions& options) {
  engine::CompileOptions compile;
  if (options.precision == "bf16") compile.products = engine::ProductPrecision::bf16;
  return compile;
}

std::unique_ptr<engine::Engine> make_engine(const RunOptions& options,
                                            const mil::Function& function) {
  engine::EngineOptions engine_options;
  engine_options.threads = options.threads;
  engine_options.target = options.target;
  engine_options.numerics = options.numerics;
  return engine::choose_engine(
      options.engine, engine_options,
      [&](engine::Engine& candidate) {
        const engine::Support numerics = candidate.supports_options(numerics_of(options));
        return numerics.ok ? candidate.supports(function) : numerics;
      },
      [](const std::string& text) { fmt::print(stderr, "anemone: warning: {}\n", text); });
}

std::string port_names(const std::vector<engine::Port>& ports) {
  std::string text;
  for (const engine::Port& port : ports) text += (text.empty() ? "" : ", ") + port.name;
  return text;
}

// name → value, each name one of `ports`.
std::map<std::string, std::string> by_name(const std::vector<std::string>& arguments,
                                           const std::vector<engine::Port>& ports,
                                           const std::string& flag, const char* forms) {
  std::map<std::string, std::string> values;
  for (const std::string& argument : arguments) {
    ArrayArgument parsed = parse_array_argument(argument, flag, forms);
    const bool known = std::any_of(ports.begin(), ports.end(), [&](const engine::Port& port) {
      return port.name == parsed.name;
    });
    if (!known) {
      throw UsageError("no '" + parsed.name + "' in this program", flag, port_names(ports));
    }
    if (!values.emplace(parsed.name, parsed.value).second) {
      throw UsageError("'" + parsed.name + "' is given twice", flag);
    }
  }
  return values;
}

using Surfaces = std::vector<std::unique_ptr<engine::Surface>>;

Surfaces make_surfaces(engine::Engine& engine, const std::vector<engine::BufferSpec>& specs) {
  Surfaces surfaces;
  for (const engine::BufferSpec& spec : specs) surfaces.push_back(engine.make_surface(spec));
  return surfaces;
}

std::vector<engine::Surface*> pointers(const Surfaces& surfaces) {
  std::vector<engine::Surface*> all;
  for (const auto& surface : surfaces) all.push_back(surface.get());
  return all;
}

void fill_inputs(const RunOptions& options, const std::vector<engine::Port>& ports,
                 const Surfaces& surfaces, std::vector<std::string>& notes) {
  auto values = by_name(options.inputs, ports, "--input", kInputForms);
  std::uint64_t seed = options.seed;
  for (const engine::Port& port : ports) {
    std::string value = values.contains(port.name) ? values[port.name] : options.fill;
    if (value.empty()) {
      throw UsageError(fmt::format("input '{}' ({} {}) is not given", port.name,
                                   dtype_name(port.dtype), port.shape.to_string()),
                       {},
                       fmt::format("--input {0}=@FILE.npy, {0}=zeros, {0}=random or {0}=NUMBER; or "
                                   "--fill random for all that are not given",
                                   port.name));
    }
    const std::vector<double> numbers = make_values(port, value, seed++, notes);
    const engine::HostAccess access(*surfaces[static_cast<std::size_t>(port.buffer)],
                                    engine::Access::write);
    engine::write_port(access.data(), port, numbers);
  }
}

void report_outputs(const RunOptions& options, const std::vector<engine::Port>& ports,
                    const Surfaces& surfaces, std::vector<std::string>& notes) {
  const auto files = by_name(options.outputs, ports, "--output", kOutputForms);
  for (const engine::Port& port : ports) {
    std::vector<double> values(static_cast<std::size_t>(port.shape.elements()));
    {
      const engine::HostAccess access(*surfaces[static_cast<std::size_t>(port.buffer)],
                                      engine::Access::read);
      engine::read_port(access.data(), port, values);
    }
    fmt::print("{}\n", summarize(port, values));
    const auto file = files.find(port.name);
    if (file == files.end()) continue;
    const bool marked = file->second.starts_with('@');
    write_values(port, values, file->second.substr(marked ? 1 : 0), notes);
  }
}

void run_once(engine::Binding& binding, const std::string& name) {
  if (Status status = binding.run(); !status.ok()) throw Error(status.message, name);
}

double median_milliseconds(engine::Binding& binding, const std::string& name, int runs) {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run_once(binding, name);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    times.push_back(took.count());
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

int run_program(const RunOptions& options) {
  const ProgramText file(options.file);
  const mil::Program program = file.load();
  const mil::Function& function = find_function(program, options.function);
  const auto engine = make_engine(options, function);
  if (const engine::Support support = engine->supports(function); !support.ok) {
    throw Error(
        fmt::format("the engine {} does not take this program: {}", engine->name(), support.reason),
        file.name());
  }
  engine::CompileOptions compile = numerics_of(options);
  compile.name = std::filesystem::path(file.name()).stem().string();
  compile.model_directory = file.directory();
  const auto executable = engine->compile(function, compile);
  if (options.explain) fmt::print("{}", executable->explain());

  const Surfaces inputs = make_surfaces(*engine, executable->input_buffers());
  const Surfaces outputs = make_surfaces(*engine, executable->output_buffers());
  // Complain before the work.
  by_name(options.outputs, executable->outputs(), "--output", kOutputForms);
  std::vector<std::string> notes;
  if (const auto numerics = engine::make_numerics(options.numerics))
    notes.push_back("numerics " + engine::describe(*numerics));
  fill_inputs(options, executable->inputs(), inputs, notes);
  const auto binding = executable->bind(pointers(inputs), pointers(outputs));
  run_once(*binding, file.name());
  report_outputs(options, executable->outputs(), outputs, notes);
  for (const std::string& note : notes) fmt::print(stderr, "anemone: note: {}\n", note);
  if (options.time > 0) {
    fmt::print("{:.4g} ms, median of {} runs on {}\n",
               median_milliseconds(*binding, file.name(), options.time), options.time,
               engine->name());
  }
  return kExitOk;
}

Run setup_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  app.add_option("FILE", options->file,
                 "A MIL program, the folder of a compiled model, or - for standard input")
      ->required();
  app.add_option("--input", options->inputs,
                 "NAME=@FILE.npy, NAME=zeros, NAME=random or NAME=NUMBER; once per input")
      ->allow_extra_args(false);
  app.add_option("--fill", options->fill, "zeros, random or a number for inputs that are not given")
      ->check([](const std::string& text) {
        return text.empty() ? std::string("there is nothing to fill with") : std::string();
      });
  app.add_option("--output", options->outputs,
                 "NAME=FILE.npy or NAME=@FILE.npy: write this output; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--function", options->function, "Which function; default: main, or the only one");
  app.add_option("--engine", options->engine, "auto, ane, cpu, reference, …")
      ->check(engine_name())
      ->capture_default_str();
  app.add_option("--target", options->target,
                 "Machine to compile for, where the engine knows several; default: this one");
  app.add_option("--threads", options->threads, "0 = what affinity and cgroup allow")
      ->type_name("N")
      ->check(whole_number(0, engine::EngineOptions::kMostThreads));
  app.add_option("--precision", options->precision,
                 "How products of fp16 values are computed: fp16, or bf16 (rounded first, faster)")
      ->check(CLI::IsMember({"fp16", "bf16"}))
      ->capture_default_str();
  app.add_option("--numerics", options->numerics,
                 "exact, or how a device computes, emulated: ane, ane:m1 … ane:m5")
      ->capture_default_str();
  app.add_option("--seed", options->seed, "Of random inputs")
      ->type_name("N")
      ->check(whole_number(0, std::numeric_limits<std::uint64_t>::max()))
      ->capture_default_str();
  app.add_option("--time", options->time, "Run this many times more and print the median time")
      ->type_name("N")
      ->check(whole_number(0, kMostRuns));
  app.add_flag("--explain", options->explain, "Print what each step of the program became");
  return [options] { return run_program(*options); };
}

}  // namespace

const Command run_command = {
    "run", "Run a MIL program on given inputs",
    "  anemone run model.mil --input x=@x.npy --output y=@y.npy\n"
    "  anemone run model.mlmodelc --fill random --engine reference --explain",
    setup_run};

}  // namespace anemone::cli
