// `anemone train`: one training run, from its config to its report; signals, re-execution and the
// run folder's default name live here.
#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "anemone/base/counted.h"
#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/config_flags.h"
#include "anemone/cli/progress.h"
#include "anemone/train/run_directory.h"
#include "anemone/train/run_plan.h"
#include "anemone/train/trainer.h"

namespace anemone::cli {
namespace {

namespace fs = std::filesystem;

// CLI11 takes an empty value for none.
void refuse_empty(const CLI::Option* option, const std::string& value) {
  if (option->count() > 0 && value.empty())
    throw UsageError("the value is empty", option->get_name());
}

struct TrainFlags {
  ConfigFlags config;
  std::string out;
  bool resume = false, print_config = false, dry_run = false, json = false;
  double continued = -1;  // seconds spent by the processes before this one; < 0: there were none
};

volatile std::sig_atomic_t pending_signal = 0;

// The first signal asks the run to stop; the second ends the process at once.
extern "C" void on_signal(int signal) {
  if (pending_signal != 0) _exit(128 + signal);
  pending_signal = signal;
  constexpr char kText[] = "\nstopping after this step, with a checkpoint (again: at once)\n";
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, kText, sizeof kText - 1);
}

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // A process that re-executes itself holds them back until here.
  const sigset_t set = stop_signals();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

fs::path numbered(const fs::path& base, int number) {
  return number == 1 ? base : fs::path(base.string() + "-" + std::to_string(number));
}

bool holds_run(const fs::path& folder) {
  return fs::exists(folder / "metrics.jsonl") || fs::exists(folder / "checkpoints");
}

// What is given; else runs/NAME, or runs/NAME-2 … : the last one that is there to resume, the first
// free one for a new run.
fs::path out_folder(const TrainFlags& flags) {
  if (!flags.out.empty()) return flags.out;
  const fs::path base = fs::path("runs") / flags.config.name();
  int number = 1;
  while (holds_run(numbered(base, number))) ++number;
  if (!flags.resume) return numbered(base, number);
  if (number == 1) throw train::no_run_to_resume(base);
  return numbered(base, number - 1);
}

std::string path_of_this_program(const char* fallback) {
#ifdef __APPLE__
  char path[4096];
  std::uint32_t size = sizeof path;
  return _NSGetExecutablePath(path, &size) == 0 ? path : fallback;
#else
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  return error ? fallback : path.string();
#endif
}

std::vector<std::string> resume_arguments(const TrainFlags& flags, const fs::path& out) {
  std::vector<std::string> arguments = flags.config.arguments();
  arguments.insert(arguments.begin(), "train");
  arguments.insert(arguments.end(), {"--out", out.string(), "--resume"});
  return arguments;
}

std::string quoted(const std::string& argument) {
  const bool plain = !argument.empty() && argument.find_first_not_of(
                                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789_-./=,:+@%") == std::string::npos;
  if (plain) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string resume_command(const TrainFlags& flags, const fs::path& out) {
  std::string text = quoted(path_of_this_program("anemone"));
  for (const std::string& argument : resume_arguments(flags, out)) text += " " + quoted(argument);
  return text;
}

// Becomes a new process that goes on with the run. Returns only if that fails.
[[nodiscard]] std::string execute_again(const TrainFlags& flags, const fs::path& out,
                                        double seconds) {
  std::vector<std::string> arguments = resume_arguments(flags, out);
  arguments.insert(arguments.begin(), "anemone");
  arguments.insert(arguments.end(), {"--continued", fmt::format("{:.3f}", seconds)});
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  // A signal now waits for the new process, which has handlers for it.
  const sigset_t set = stop_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  if (pending_signal != 0) raise(pending_signal);
  const std::string program = path_of_this_program("anemone");
  execv(program.c_str(), pointers.data());
  return fmt::format("cannot execute {} again: {}", program, std::strerror(errno));
}

int conclude_failure(const TrainFlags& flags, const fs::path& out,
                     const train::TrainResult& result) {
  fmt::print(stderr, "anemone: error: {}\n", result.message);
  const std::string lost = counted(result.steps_lost, "step");
  if (result.has_checkpoint) {
    const std::string gap = result.steps_lost == 0 ? "" : fmt::format(" and {} lost", lost);
    fmt::print(stderr, "the last checkpoint stands (after {}{}); go on with: {}\n",
               counted(result.step, "step"), gap, resume_command(flags, out));
  } else if (result.steps_lost > 0) {
    fmt::print(stderr, "there is no checkpoint: {} lost\n", lost);
  }
  return kExitFailure;
}

int conclude(const TrainFlags& flags, const fs::path& out, const train::TrainResult& result) {
  switch (result.outcome) {
    case train::Outcome::finished:
      fmt::print("{}", train::to_text(result.report));
      fmt::print("run folder: {} (curves: loss.svg)\n", out.string());
      return kExitOk;
    case train::Outcome::time_is_up:
    case train::Outcome::interrupted:
      fmt::print("{}\n", result.message);
      if (result.has_checkpoint)
        fmt::print("go on with: {}\n", resume_command(flags, out));
      else
        fmt::print("nothing was done yet\n");
      return result.signal == 0 ? kExitOk : 128 + result.signal;
    case train::Outcome::out_of_compiles:
    case train::Outcome::failed:
      break;
  }
  return conclude_failure(flags, out, result);
}

int print_plan(const TrainFlags& flags, train::TrainerOptions& options) {
  options.on_message = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  const train::RunPlan plan = train::plan_run(options);
  fmt::print("{}", flags.json ? train::to_json(plan) : train::to_text(plan));
  return kExitOk;
}

int run(TrainFlags& flags) {
  const bool names_run = flags.resume && !flags.out.empty();
  if (!flags.config.given() && flags.resume && !names_run)
    throw UsageError("which run goes on is not given", "--resume", "--out and the run's folder");
  if (!flags.config.given() && !names_run)
    throw UsageError("nothing to train is given", "--config",
                     "a TOML file; or --text FILE, for a small language model");
  train::TrainerOptions options;
  options.out = out_folder(flags);
  const fs::path saved = options.out / train::kRunConfigFile;
  if (flags.resume && !flags.config.given() && !fs::exists(saved))
    throw train::no_run_to_resume(options.out);
  if (flags.resume && fs::exists(saved)) flags.config.set_run(saved);
  options.config = flags.config.load();
  if (flags.print_config) {
    fmt::print("{}", train::to_toml(options.config));
    return kExitOk;
  }
  const auto started = std::chrono::steady_clock::now();
  options.init = flags.config.init();
  if (flags.dry_run) return print_plan(flags, options);
  catch_signals();
  options.resume = flags.resume;
  options.continues = flags.continued >= 0;
  options.seconds_spent = std::max(0.0, flags.continued);
  ProgressDisplay display;
  options.on_progress = [&](const train::Progress& progress) { display.update(progress); };
  options.on_validation = [&](std::uint64_t done, std::uint64_t of) {
    display.validation(done, of);
  };
  options.on_message = [&](const std::string& text) { display.message(text); };
  options.pending_signal = [] { return static_cast<int>(pending_signal); };
  train::TrainResult result = train::train(options);
  display.finish();
  if (result.outcome == train::Outcome::out_of_compiles) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;
    result.message = execute_again(flags, options.out, options.seconds_spent + spent.count());
  }
  return conclude(flags, options.out, result);
}

Run setup_train(CLI::App& app) {
  auto flags = std::make_shared<TrainFlags>();
  flags->config.declare(app, {});
  flags->config.declare_training(app);
  CLI::Option* out =
      app.add_option("--out", flags->out,
                     "Run folder (default: runs/CONFIG, with a number behind it if that is taken)");
  out->type_name("DIR");
  CLI::Option* resume =
      app.add_flag("--resume", flags->resume, "Go on with the run in --out, bit for bit");
  resume->excludes(app.get_option("--init"));
  app.add_flag("--print-config", flags->print_config, "Print the resolved config, and do nothing");
  CLI::Option* dry_run = app.add_flag(
      "--dry-run", flags->dry_run,
      "Print what the run would take (memory, work, time by a few steps), and start none");
  dry_run->excludes(resume);
  app.add_flag("--json", flags->json, "The plan of --dry-run as JSON")->needs(dry_run);
  app.add_option("--continued", flags->continued)->group("");
  return [flags, out] {
    refuse_empty(out, flags->out);
    return run(*flags);
  };
}

}  // namespace

const Command train_command = {
    "train", "Train a language model on text, or a layer, and print a report",
    "  anemone train --text book.txt\n"
    "  anemone train --text stories/ --tokenizer tokenizer.bin --set model.layers=6 --out runs/a\n"
    "  anemone train --text letters.txt --init stories15M.bin --steps 3200 --out runs/letters\n"
    "  anemone train --config configs/tiny.toml --text book.txt --steps 4800\n"
    "  anemone train --config configs/layer.toml\n"
    "  anemone train --config configs/small.toml --steps 50 --set train.learning_rate=2e-3\n"
    "  anemone train --config configs/layer.toml --out runs/a --resume\n"
    "  anemone train --config configs/layer.toml --print-config\n"
    "  anemone train --config configs/stories110m.toml --dry-run\n"
    "\n"
    "A run folder holds config.toml, metrics.jsonl, checkpoints/ and at the end report.json. "
    "SIGINT and\n"
    "SIGTERM end a run after its micro-step, with a checkpoint; a second signal ends it at once.",
    setup_train};

}  // namespace anemone::cli
