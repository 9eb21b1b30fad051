// A chart of lines as SVG text: axes with round ticks, a legend, colours that read on light and on
// dark ground. It knows nothing of runs.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace anemone::train {

struct ChartSeries {
  enum class Style : std::uint8_t {
    faint,   // a thin line, pale
    line,    // a thick line
    dashed,  // a dashed line with a dot at each point
  };
  std::string name;  // in the legend; empty = not there
  int colour = 0;    // index into the palette, which repeats
  Style style = Style::line;
  std::vector<std::pair<double, double>> points;  // x rising; points that are not finite are gaps
};

struct Chart {
  std::string title, x_label, y_label;
  std::vector<ChartSeries> series;
};

// The y axis is logarithmic where the values are positive and span more than a factor of ten.
// Finite values of any size are drawn; a chart without points says so.
std::string to_svg(const Chart& chart);

// Round numbers from `low` to `high` or just inside, about `wanted` of them: multiples of 1, 2 or 5
// times a power of ten; on a logarithmic axis 1, 2 and 5 times powers of ten.
std::vector<double> round_ticks(double low, double high, int wanted);
std::vector<double> log_ticks(double low, double high);

}  // namespace anemone::train
