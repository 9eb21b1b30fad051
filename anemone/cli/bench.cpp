// `anemone bench step`: how fast a training step is here, and where its time goes.
#include <fmt/core.h>

#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/config_flags.h"
#include "anemone/cli/whole_number.h"
#include "anemone/train/step_bench.h"

namespace anemone::cli {
namespace {

constexpr std::uint64_t kMostSteps = 1'000'000;  // the time of each is kept

struct BenchFlags {
  ConfigFlags config;
  std::int64_t steps = 20;
  bool json = false, explain = false;
};

int run(const BenchFlags& flags) {
  if (!flags.config.given()) throw UsageError("no config is given", "--config", "a TOML file");
  const train::StepBench bench = train::bench_step(flags.config.load(), flags.steps);
  fmt::print("{}", flags.json ? train::to_json(bench) : train::to_text(bench));
  if (flags.explain) fmt::print("\n{}", bench.explain);
  return kExitOk;
}

Run setup(CLI::App& app) {
  auto flags = std::make_shared<BenchFlags>();
  app.require_subcommand(1);
  CLI::App* step = app.add_subcommand("step", "Time training steps of a config, part by part");
  flags->config.declare(*step,
                        {"--engine", "--precision", "--numerics", "--partition", "--threads"});
  step->add_option("--steps", flags->steps, "Steps to time (default 20)")
      ->type_name("N")
      ->check(whole_number(1, kMostSteps));
  step->add_flag("--json", flags->json, "Print JSON");
  step->add_flag("--explain", flags->explain, "Also print how each program was compiled");
  return [flags] { return run(*flags); };
}

}  // namespace

const Command bench_command = {
    "bench", "Time a training step, part by part",
    "  anemone bench step --config configs/layer.toml\n"
    "  anemone bench step --config configs/layer.toml --precision bf16 --json\n"
    "  anemone bench step --config configs/layer.toml --partition six --explain",
    setup};

}  // namespace anemone::cli
