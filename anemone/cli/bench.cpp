// `anemone bench`: how fast a training step is here and where its time goes; how fast a model
// writes.
#include <fmt/core.h>

#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/config_flags.h"
#include "anemone/cli/whole_number.h"
#include "anemone/train/generate_bench.h"
#include "anemone/train/step_bench.h"

namespace anemone::cli {
namespace {

constexpr std::uint64_t kMostTokens = std::uint64_t{1}
                                      << 20;     // as many as a model may have positions
constexpr std::uint64_t kMostSteps = 1'000'000;  // the time of each is kept

struct BenchFlags {
  ConfigFlags config;
  std::int64_t steps = 20, tokens = 200;
  bool json = false, explain = false;
};

train::RunConfig config_of(const BenchFlags& flags) {
  if (!flags.config.given()) throw UsageError("no config is given", "--config", "a TOML file");
  return flags.config.load();
}

template <class Bench>
int print(const BenchFlags& flags, const Bench& bench) {
  fmt::print("{}", flags.json ? train::to_json(bench) : train::to_text(bench));
  if (flags.explain) fmt::print("\n{}", bench.explain);
  return kExitOk;
}

void declare_output(CLI::App& app, BenchFlags& flags) {
  app.add_flag("--json", flags.json, "Print JSON");
  app.add_flag("--explain", flags.explain, "Also print how each program was compiled");
}

CLI::App* declare_generate(CLI::App& app, BenchFlags& flags) {
  CLI::App* generate = app.add_subcommand(
      "generate", "Time a language model's tokens against the memory's bandwidth");
  flags.config.declare(*generate, {"--engine", "--precision", "--threads"});
  generate->add_option("--tokens", flags.tokens, "Tokens to time, from the first position on")
      ->type_name("N")
      ->check(whole_number(1, kMostTokens))
      ->capture_default_str();
  declare_output(*generate, flags);
  return generate;
}

Run setup(CLI::App& app) {
  app.require_subcommand(1);
  auto of_step = std::make_shared<BenchFlags>(), of_tokens = std::make_shared<BenchFlags>();
  CLI::App* step = app.add_subcommand("step", "Time training steps of a config, part by part");
  of_step->config.declare(*step,
                          {"--engine", "--precision", "--numerics", "--partition", "--threads"});
  step->add_option("--steps", of_step->steps, "Steps to time (default 20)")
      ->type_name("N")
      ->check(whole_number(1, kMostSteps));
  declare_output(*step, *of_step);
  const CLI::App* generate = declare_generate(app, *of_tokens);
  return [=] {
    return generate->parsed()
               ? print(*of_tokens, train::bench_generate(config_of(*of_tokens), of_tokens->tokens))
               : print(*of_step, train::bench_step(config_of(*of_step), of_step->steps));
  };
}

}  // namespace

const Command bench_command = {
    "bench", "Time a training step part by part, or a model's writing",
    "  anemone bench step --config configs/layer.toml\n"
    "  anemone bench step --config configs/layer.toml --precision bf16 --json\n"
    "  anemone bench step --config configs/layer.toml --partition six --explain\n"
    "  anemone bench generate --config configs/stories110m.toml",
    setup};

}  // namespace anemone::cli
