// `anemone plot`: loss curves of one run or several as a picture.
#include "anemone/train/plot.h"

#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/cli/command.h"

namespace anemone::cli {
namespace {

namespace fs = std::filesystem;

struct PlotFlags {
  std::vector<std::string> runs;
  std::string out;
};

int run(const PlotFlags& flags) {
  const fs::path out = flags.out.empty() ? fs::path("loss.svg") : fs::path(flags.out);
  if (out.has_extension() && out.extension() != ".svg")
    throw UsageError("pictures are SVG", flags.out, "a name that ends in .svg");
  const std::vector<fs::path> runs(flags.runs.begin(), flags.runs.end());
  const std::string svg = train::to_svg(train::loss_chart(runs));
  if (const Status status = write_file(out, {svg}); !status.ok()) throw Error(status.message);
  if (out != "/dev/stdout") fmt::print("{}\n", out.string());
  return kExitOk;
}

Run setup_plot(CLI::App& app) {
  auto flags = std::make_shared<PlotFlags>();
  app.add_option("run", flags->runs, "Run folders, also of runs that are still going on")
      ->required()
      ->type_name("RUN");
  app.add_option("--out,-o", flags->out, "The picture to write (default: loss.svg)")
      ->type_name("FILE");
  return [flags] { return run(*flags); };
}

}  // namespace

const Command plot_command = {
    "plot", "Draw the loss curves of runs as an SVG picture",
    "  anemone plot runs/tiny\n"
    "  anemone plot runs/a runs/b runs/c --out compare.svg\n"
    "  anemone plot runs/tiny --out /dev/stdout | rsvg-convert > loss.png\n"
    "\n"
    "Training loss of each update, faint, and smoothed; validation loss with dots. The axis of "
    "the\n"
    "loss is logarithmic where it spans more than a factor of ten.",
    setup_plot};

}  // namespace anemone::cli
