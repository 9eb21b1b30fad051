// Reading loss curves.
#include "anemone/train/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "anemone/base/error.h"
#include "anemone/train/json_number.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;
using Points = std::vector<std::pair<double, double>>;

constexpr std::size_t kMostPoints = 800;  // of a curve: about one a pixel

struct Curves {
  Points training, validation;
  bool tokens = false;  // of a language model
};

double number(const nlohmann::json& line, const char* name) {
  const auto found = line.find(name);
  if (found == line.end()) throw Error(fmt::format("a line without \"{}\"", name));
  return parse_json_number(*found);
}

Curves read_curves(const fs::path& given) {
  const fs::path path = fs::is_directory(given) ? given / "metrics.jsonl" : given;
  std::ifstream file(path);
  if (!file) throw Error("there are no metrics to read", path.string(), "a run folder");
  Curves curves;
  for (std::string text; std::getline(file, text);) {
    const nlohmann::json line = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object() || !line.value("type", nlohmann::json()).is_string()) continue;
    const std::string type = line["type"];
    try {
      if (type == "update") {
        curves.training.emplace_back(number(line, "update") + 1, number(line, "loss"));
        curves.tokens |= line.contains("tokens");
      } else if (type == "validation") {
        curves.validation.emplace_back(number(line, "update"), number(line, "loss"));
      }
    } catch (const std::exception& error) {
      throw Error(error.what(), path.string(), "the metrics of a run");
    }
  }
  if (curves.training.empty())
    throw Error("there are no updates in it yet", path.string(), "a run that has made one");
  return curves;
}

// Means of equal stretches, where there are more points than can be seen.
Points thinned(const Points& points) {
  if (points.size() <= kMostPoints) return points;
  Points few;
  for (std::size_t part = 0; part < kMostPoints; ++part) {
    const std::size_t begin = part * points.size() / kMostPoints,
                      end = (part + 1) * points.size() / kMostPoints;
    double x = 0, y = 0;
    for (std::size_t i = begin; i < end; ++i) {
      x += points[i].first;
      y += points[i].second;
    }
    const auto count = static_cast<double>(end - begin);
    few.emplace_back(x / count, y / count);
  }
  return few;
}

// An exponential mean without the pull of its first value, begun anew behind a gap.
Points smoothed(const Points& points) {
  const double keep = 1 - 1 / std::max(1.0, static_cast<double>(points.size()) / 50);
  Points smooth;
  double sum = 0, weight = 0;
  for (const auto& [x, y] : points) {
    if (!std::isfinite(y)) {
      sum = weight = 0;
      smooth.emplace_back(x, y);
      continue;
    }
    sum = keep * sum + (1 - keep) * y;
    weight = keep * weight + (1 - keep);
    smooth.emplace_back(x, sum / weight);
  }
  return smooth;
}

std::string name_of(const fs::path& run) {
  const fs::path folder = run.filename() == "metrics.jsonl" ? run.parent_path() : run;
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

}  // namespace

Chart loss_chart(std::span<const fs::path> runs) {
  using Style = ChartSeries::Style;
  Chart chart;
  bool tokens = true;
  int colour = 0;
  const bool one = runs.size() == 1;
  for (const fs::path& run : runs) {
    const Curves curves = read_curves(run);
    const std::string name = name_of(run);
    tokens = tokens && curves.tokens;
    // Of one run, training and validation have each a colour; of several, each run has one.
    const int other = one ? colour + 1 : colour;
    chart.series.push_back({"", colour, Style::faint, thinned(curves.training)});
    chart.series.push_back({one ? "training" : name + ", training", colour, Style::line,
                            thinned(smoothed(curves.training))});
    if (!curves.validation.empty())
      chart.series.push_back({one ? "validation" : name + ", validation", other, Style::dashed,
                              thinned(curves.validation)});
    ++colour;
  }
  chart.title = one ? name_of(runs[0]) : "loss";
  chart.x_label = "updates";
  chart.y_label = tokens ? "loss, nats a token" : "loss";
  return chart;
}

}  // namespace anemone::train
