// `anemone bench`: how fast a training step is here and where its time goes, also over a range of
// sizes; how fast a model writes.
#include <fmt/core.h>

#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/config_flags.h"
#include "anemone/cli/status_line.h"
#include "anemone/cli/whole_number.h"
#include "anemone/train/generate_bench.h"
#include "anemone/train/step_bench.h"
#include "anemone/train/sweep_bench.h"

namespace anemone::cli {
namespace {

constexpr std::uint64_t kMostPositions = std::uint64_t{1}
                                         << 20;  // as many as a model may have positions
constexpr std::uint64_t kMostSteps = 1'000'000;  // the time of each is kept

struct BenchFlags {
  ConfigFlags config;
  std::int64_t steps = 20, tokens = 200;
  bool json = false, explain = false, quick = false;
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
      ->check(whole_number(1, kMostPositions))
      ->capture_default_str();
  declare_output(*generate, flags);
  return generate;
}

CLI::App* declare_sweep(CLI::App& app, BenchFlags& flags) {
  CLI::App* sweep =
      app.add_subcommand("sweep", "Time steps of other sizes: does time grow as the work does?");
  flags.config.declare(*sweep, {"--engine", "--precision", "--partition", "--threads"});
  sweep->add_flag("--quick", flags.quick, "A few sizes only: a minute instead of several");
  sweep->add_flag("--json", flags.json, "Print JSON");
  sweep->footer(
      "Sequences of 128 to 4096 positions and widths of 256 to 4096 channels, one varied while the "
      "other stays the config's, with heads of 64 and of 128 channels. A size for which there is "
      "no "
      "memory is skipped.");
  return sweep;
}

int sweep(const BenchFlags& flags) {
  const train::RunConfig config = config_of(flags);
  StatusLine status;
  const auto progress = [&](const train::SweepSize& size, std::size_t index, std::size_t of,
                            double share) {
    if (share > 0 && status.is_due())
      status.draw(share, fmt::format("{} of {}: seq {}, dim {}, heads of {}", index + 1, of,
                                     size.seq, size.dim, size.head_dim));
  };
  const train::SweepBench bench = train::bench_sweep(config, flags.quick, progress);
  status.clear();
  fmt::print("{}", flags.json ? train::to_json(bench) : train::to_text(bench));
  return kExitOk;
}

Run setup_bench(CLI::App& app) {
  app.require_subcommand(1);
  auto of_step = std::make_shared<BenchFlags>(), of_tokens = std::make_shared<BenchFlags>(),
       of_sweep = std::make_shared<BenchFlags>();
  CLI::App* step = app.add_subcommand("step", "Time training steps of a config, part by part");
  of_step->config.declare(*step,
                          {"--engine", "--precision", "--numerics", "--partition", "--threads"});
  step->add_option("--steps", of_step->steps, "Steps to time (default 20)")
      ->type_name("N")
      ->check(whole_number(1, kMostSteps));
  declare_output(*step, *of_step);
  const CLI::App* generate = declare_generate(app, *of_tokens);
  const CLI::App* sizes = declare_sweep(app, *of_sweep);
  return [=] {
    if (sizes->parsed()) return sweep(*of_sweep);
    return generate->parsed()
               ? print(*of_tokens, train::bench_generate(config_of(*of_tokens), of_tokens->tokens))
               : print(*of_step, train::bench_step(config_of(*of_step), {.steps = of_step->steps}));
  };
}

}  // namespace

const Command bench_command = {
    "bench", "Time a training step part by part, or a model's writing",
    "  anemone bench step --config configs/layer.toml\n"
    "  anemone bench step --config configs/layer.toml --precision bf16 --json\n"
    "  anemone bench step --config configs/layer.toml --partition six --explain\n"
    "  anemone bench sweep --config configs/layer.toml --precision bf16 --quick\n"
    "  anemone bench generate --config configs/stories110m.toml",
    setup_bench};

}  // namespace anemone::cli
