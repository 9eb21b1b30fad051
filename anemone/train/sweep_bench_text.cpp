// A sweep as text and as JSON.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "anemone/base/megabytes.h"
#include "anemone/train/sweep_bench.h"

namespace anemone::train {
namespace {

// A tenth more is what two measurements of the same thing differ by on a busy machine.
constexpr double kNoise = 1.1;

std::string growth_text(const char* what, const SweepGrowth& growth, const char* than) {
  if (growth.describe.empty()) return fmt::format("{}: too few points to tell\n", what);
  const bool holds = growth.worst <= kNoise;
  return fmt::format("{} grows {} than {}: {:.2f} times as fast at worst, from {}\n", what,
                     holds ? "no faster" : "faster", than, growth.worst, growth.describe);
}

nlohmann::ordered_json growth_json(const SweepGrowth& growth) {
  return {{"worst", growth.worst}, {"where", growth.describe}};
}

}  // namespace

std::string to_text(const SweepBench& b) {
  std::string text =
      fmt::format("{}, partition {}, {}, {} threads, {} on {}; peak {:.3f} TFLOP/s\n\n", b.engine,
                  b.partition, b.precision, b.threads, b.isa, b.cpu, b.peak_tflops);
  text += fmt::format("{:>6}{:>6}{:>8}{:>6}{:>11}{:>10}{:>9}{:>12}{:>10}{:>10}\n", "seq", "dim",
                      "hidden", "head", "ms", "GFLOP", "peak", "tensors MB", "beyond", "packed");
  for (const SweepPoint& p : b.points) {
    text +=
        fmt::format("{:>6}{:>6}{:>8}{:>6}", p.size.seq, p.size.dim, p.size.hidden, p.size.head_dim);
    text += p.skipped.empty()
                ? fmt::format("{:>11.2f}{:>10.2f}{:>7.1f} %{:>12.1f}{:>10.1f}{:>10.1f}\n",
                              p.milliseconds, p.gflop, 100 * p.share, megabytes(p.tensors),
                              megabytes(p.beyond), megabytes(p.packed))
                : fmt::format("  skipped: {}\n", p.skipped);
  }
  return text + "\n" + growth_text("Time", b.time, "the executed FLOPs") +
         growth_text("Memory", b.memory, "the sequence");
}

std::string to_json(const SweepBench& b) {
  nlohmann::ordered_json json;
  json["points"] = nlohmann::ordered_json::array();
  for (const SweepPoint& p : b.points) {
    nlohmann::ordered_json point = {{"axis", p.size.axis == SweepSize::Axis::seq ? "seq" : "dim"},
                                    {"seq", p.size.seq},
                                    {"dim", p.size.dim},
                                    {"hidden", p.size.hidden},
                                    {"head_dim", p.size.head_dim}};
    if (p.skipped.empty()) {
      point.update(
          {{"ms", p.milliseconds},
           {"steps", p.steps},
           {"gflop", p.gflop},
           {"share", p.share},
           {"bytes", {{"tensors", p.tensors}, {"beyond", p.beyond}, {"packed", p.packed}}}});
    } else {
      point["skipped"] = p.skipped;
    }
    json["points"].push_back(point);
  }
  json["time_growth"] = growth_json(b.time);
  json["memory_growth"] = growth_json(b.memory);
  json["peak_tflops"] = b.peak_tflops;
  json["engine"] = b.engine;
  json["partition"] = b.partition;
  json["precision"] = b.precision;
  json["threads"] = b.threads;
  json["isa"] = b.isa;
  json["cpu"] = b.cpu;
  json["build"] = b.build;
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace anemone::train
