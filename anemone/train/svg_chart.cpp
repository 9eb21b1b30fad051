// Drawing charts.
#include "anemone/train/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace anemone::train {
namespace {

constexpr double kWidth = 880, kHeight = 500;
constexpr double kLeft = 76, kRight = 24, kTop = 56, kBottom = 58;
constexpr double kLogFrom = 10;  // span of values from which an axis is logarithmic

constexpr const char* kPalette[] = {"#3b7dd8", "#e0762b", "#3a9d5d", "#c2479b",
                                    "#8a6fd1", "#b8902a", "#2aa3b0", "#cc4b4b"};

// Text and grid follow the reader's light or dark setting; the ground is drawn, for those who paste
// the picture elsewhere.
constexpr const char* kStyle = R"(<style>
text { font: 13px system-ui, sans-serif; fill: #333 }
.title { font-size: 16px; font-weight: 600 }
.ground { fill: #fff }
.grid { stroke: #ddd; stroke-width: 1 }
.axis { stroke: #888; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd }
  .ground { fill: #16181c }
  .grid { stroke: #333a44 }
  .axis { stroke: #7a828c }
}
</style>
)";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<')
      result += "&lt;";
    else if (c == '&')
      result += "&amp;";
    else if (static_cast<unsigned char>(c) >= 0x20)
      result += c;
  }
  return result;
}

struct Axis {
  double low = 0, high = 1;  // as shown
  double from = 0, to = 1;   // in the picture
  bool logarithmic = false;
  std::vector<double> ticks;

  double at(double value) const {
    const auto place = [this](double v) { return logarithmic ? std::log10(v) : v; };
    return from + (to - from) * (place(value) - place(low)) / (place(high) - place(low));
  }
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void take(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

Axis make_axis(Range range, double from, double to, bool may_be_logarithmic) {
  Axis axis;
  axis.from = from;
  axis.to = to;
  axis.logarithmic = may_be_logarithmic && range.low > 0 && range.high / range.low > kLogFrom;
  if (range.high == range.low) {  // one value: a little room around it
    const double room = range.low == 0 ? 1 : std::abs(range.low) * 0.1;
    range.low -= room;
    range.high += room;
  }
  if (axis.logarithmic) {
    axis.low = range.low / 1.08;
    axis.high = range.high * 1.08;
    axis.ticks = log_ticks(axis.low, axis.high);
  } else {
    const double room = may_be_logarithmic ? 0.04 * (range.high - range.low) : 0;
    axis.low = range.low - room;
    axis.high = range.high + room;
    axis.ticks = round_ticks(axis.low, axis.high, 7);
  }
  return axis;
}

std::string polyline(const ChartSeries& series, const Axis& x, const Axis& y) {
  const char* colour = kPalette[static_cast<std::size_t>(series.colour) % std::size(kPalette)];
  const char* look = "stroke-width=\"2.2\"";
  if (series.style == ChartSeries::Style::faint) look = "stroke-width=\"1\" stroke-opacity=\"0.3\"";
  if (series.style == ChartSeries::Style::dashed)
    look = "stroke-width=\"1.6\" stroke-dasharray=\"6 4\"";
  std::string path, dots;
  bool pen_down = false;
  for (const auto& [px, py] : series.points) {
    if (!std::isfinite(py) || (y.logarithmic && py <= 0)) {
      pen_down = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x.at(px), y.at(py));
    pen_down = true;
    if (series.style == ChartSeries::Style::dashed)
      dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.2\" fill=\"{}\"/>\n", x.at(px),
                          y.at(py), colour);
  }
  return fmt::format(
      "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-linejoin=\"round\" {}/>\n{}", path, colour,
      look, dots);
}

std::string tick_text(double value) {
  if (std::abs(value) >= 1e6 || (value != 0 && std::abs(value) < 1e-4))
    return fmt::format("{:g}", value);
  return fmt::format("{:.6g}", value);
}

std::string axes(const Chart& chart, const Axis& x, const Axis& y) {
  std::string text;
  for (const double tick : y.ticks)
    text += fmt::format(
        "<path class=\"grid\" d=\"M{} {:.1f}H{}\"/>\n"
        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
        x.from, y.at(tick), x.to, kLeft - 8, y.at(tick) + 4, tick_text(tick));
  for (const double tick : x.ticks)
    text += fmt::format(
        "<path class=\"axis\" d=\"M{:.1f} {}v5\"/>\n"
        "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
        x.at(tick), y.from, x.at(tick), y.from + 20, tick_text(tick));
  text += fmt::format("<path class=\"axis\" d=\"M{} {}V{}H{}\" fill=\"none\"/>\n", x.from, y.to,
                      y.from, x.to);
  text += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                      (x.from + x.to) / 2, kHeight - 14, escaped(chart.x_label));
  text += fmt::format(
      "<text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
      (y.from + y.to) / 2, escaped(chart.y_label + (y.logarithmic ? " (logarithmic)" : "")));
  return text;
}

// Upper right, where falling curves leave room.
std::string legend(const Chart& chart) {
  constexpr double kLine = 20, kGlyph = 7.2;
  std::size_t longest = 0, rows = 0;
  for (const ChartSeries& series : chart.series) {
    longest = std::max(longest, series.name.size());
    rows += !series.name.empty();
  }
  const double width = 46 + kGlyph * static_cast<double>(longest), left = kWidth - kRight - width;
  std::string text = fmt::format(
      "<rect class=\"ground\" x=\"{:.0f}\" y=\"{}\" width=\"{:.0f}\" height=\"{:.0f}\" "
      "fill-opacity=\"0.8\"/>\n",
      left, kTop, width, kLine * static_cast<double>(rows) + 6);
  double y = kTop + 16;
  for (const ChartSeries& series : chart.series) {
    if (series.name.empty()) continue;
    const char* colour = kPalette[static_cast<std::size_t>(series.colour) % std::size(kPalette)];
    const bool dashed = series.style == ChartSeries::Style::dashed;
    text += fmt::format(
        "<path d=\"M{:.0f} {:.0f}h26\" stroke=\"{}\" stroke-width=\"2.2\"{}/>\n"
        "<text x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n",
        left + 6, y - 4, colour, dashed ? " stroke-dasharray=\"6 4\"" : "", left + 40, y,
        escaped(series.name));
    y += kLine;
  }
  return text;
}

}  // namespace

std::vector<double> round_ticks(double low, double high, int wanted) {
  std::vector<double> ticks;
  if (!(high > low)) return ticks;
  const double rough = (high - low) / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  }
  if (!std::isfinite(step) || step <= 0) return ticks;
  const double first = std::ceil(low / step);
  for (int i = 0; i <= 2 * wanted; ++i) {
    const double value = (first + i) * step;
    if (value > high + 1e-9 * step) break;
    ticks.push_back(std::abs(value) < 1e-9 * step ? 0 : value);
  }
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  if (!(low > 0) || !std::isfinite(low) || !std::isfinite(high)) return ticks;
  const int first = static_cast<int>(std::floor(std::log10(low))),
            last = static_cast<int>(std::ceil(std::log10(high)));
  const bool all = last - first <= 3;  // else powers of ten alone, and not too many of them
  const int stride = std::max(1, (last - first) / 8);
  for (int exponent = first; exponent <= last; exponent += stride) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10.0, exponent);
      if (value >= low && value <= high && (all || factor == 1.0)) ticks.push_back(value);
    }
  }
  return ticks;
}

std::string to_svg(const Chart& chart) {
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\">\n{2}<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n"
      "<text class=\"title\" x=\"{3}\" y=\"30\">{4}</text>\n",
      kWidth, kHeight, kStyle, kLeft, escaped(chart.title));
  Range xs, ys;
  for (const ChartSeries& series : chart.series) {
    for (const auto& [x, y] : series.points) {
      if (!std::isfinite(y)) continue;
      xs.take(x);
      ys.take(y);
    }
  }
  if (xs.empty())
    return svg +
           fmt::format("<text x=\"{}\" y=\"{}\">there is nothing to show yet</text>\n</svg>\n",
                       kLeft, kHeight / 2);
  const Axis x = make_axis(xs, kLeft, kWidth - kRight, false),
             y = make_axis(ys, kHeight - kBottom, kTop, true);
  svg += axes(chart, x, y);
  for (const ChartSeries& series : chart.series) svg += polyline(series, x, y);
  return svg + legend(chart) + "</svg>\n";
}

}  // namespace anemone::train
