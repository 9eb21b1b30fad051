// Charts and loss curves: ticks, what is drawn, and what is said of runs without any.
#include "anemone/train/plot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/run_case.h"

namespace anemone::train {
namespace {

TEST(Chart, TicksAreRound) {
  EXPECT_EQ(round_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(round_ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  EXPECT_EQ(round_ticks(103, 998, 4), (std::vector<double>{500}));
  EXPECT_TRUE(round_ticks(1, 1, 4).empty());
  EXPECT_EQ(log_ticks(0.9, 12), (std::vector<double>{1, 2, 5, 10}));
  EXPECT_LE(log_ticks(1e-300, 1e300).size(), 20U);
}

Chart chart_of(std::vector<std::pair<double, double>> points) {
  Chart chart;
  chart.title = "a < b & c";
  chart.series.push_back({"name", 0, ChartSeries::Style::line, std::move(points)});
  return chart;
}

TEST(Chart, EscapesAndDrawsGaps) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const std::string svg = to_svg(chart_of({{0, 1}, {1, kNan}, {2, 3}, {3, 2}}));
  EXPECT_NE(svg.find("a &lt; b &amp; c"), std::string::npos);
  const std::size_t path = svg.find("<path d=\"M");
  const std::string line = svg.substr(path, svg.find("\"/>", path) - path);
  EXPECT_EQ(std::count(line.begin(), line.end(), 'M'), 2);  // the pen is lifted at the gap
  EXPECT_EQ(std::count(line.begin(), line.end(), 'L'), 1);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(Chart, TakesAnyNumbers) {
  constexpr double kMost = std::numeric_limits<double>::max();
  for (const double value : {0.0, -1.0, 1e-310, kMost, -kMost}) {
    for (const double other : {value, 1.0, -value / 2}) {
      const std::string svg = to_svg(chart_of({{1, value}, {2, other}}));
      EXPECT_LT(svg.size(), 20000U);
      EXPECT_TRUE(svg.ends_with("</svg>\n"));
    }
  }
  EXPECT_NE(to_svg(chart_of({})).find("nothing to show"), std::string::npos);
}

TEST(Chart, IsLogarithmicWhereThatShowsMore) {
  const auto is_logarithmic = [](double low, double high) {
    Chart chart = chart_of({{1, low}, {2, high}});
    chart.y_label = "y";
    return to_svg(chart).find("y (logarithmic)") != std::string::npos;
  };
  EXPECT_TRUE(is_logarithmic(0.001, 1));
  EXPECT_FALSE(is_logarithmic(1.5, 5.5));
  EXPECT_FALSE(is_logarithmic(-1, 1000));
}

TEST(LossChart, IsDrawnAtTheEndOfARun) {
  test::RunCase run;
  ASSERT_EQ(run.run().outcome, Outcome::finished);
  const std::string svg = read_text_file(run.options.out / "loss.svg");
  EXPECT_NE(svg.find("training"), std::string::npos);
  EXPECT_NE(svg.find("validation"), std::string::npos);
  const Chart chart = loss_chart(std::vector<std::filesystem::path>{run.options.out});
  ASSERT_EQ(chart.series.size(), 3U);
  EXPECT_EQ(chart.series[0].points.size(), 6U);  // updates
  EXPECT_EQ(chart.series[2].points.size(), 4U);  // validations
  EXPECT_EQ(chart.series[2].points.front().first, 0);
  const Chart both = loss_chart(std::vector<std::filesystem::path>{run.options.out, run.metrics()});
  EXPECT_EQ(both.series.size(), 6U);
  EXPECT_NE(both.series[1].colour, both.series[4].colour);
}

TEST(LossChart, SaysWhatCannotBeDrawn) {
  const test::TemporaryDirectory folder;
  const auto file = folder.path() / "metrics.jsonl";
  EXPECT_THROW(loss_chart(std::vector<std::filesystem::path>{folder.path() / "none"}), Error);
  EXPECT_THROW(loss_chart(std::vector<std::filesystem::path>{folder.path()}), Error);
  for (const char* text : {"", "x\n", "{\"type\":\"step\"}\n", "{\"type\":\"update\"}\n",
                           "{\"type\":\"update\",\"update\":\"a\",\"loss\":1}\n", "\xff\n"}) {
    ASSERT_TRUE(write_file_atomically(file, text).ok());
    EXPECT_THROW(loss_chart(std::vector<std::filesystem::path>{file}), Error) << text;
  }
}

TEST(LossChart, LongRunsAreThinned) {
  const test::TemporaryDirectory folder;
  std::string text;
  for (int i = 0; i < 10000; ++i)
    text += "{\"type\":\"update\",\"update\":" + std::to_string(i) + ",\"loss\":2}\n";
  ASSERT_TRUE(write_file_atomically(folder.path() / "metrics.jsonl", text).ok());
  const Chart chart = loss_chart(std::vector<std::filesystem::path>{folder.path()});
  EXPECT_LE(chart.series[0].points.size(), 1000U);
  for (const auto& [x, y] : chart.series[1].points) EXPECT_NEAR(y, 2, 1e-12);
}

// A language model's figures agree with one another.
TEST(LanguageModelMetrics, AreCountedInTokensAndBytes) {
  const test::TemporaryDirectory folder;
  const auto file = folder.path() / "a.txt";
  ASSERT_TRUE(write_file_atomically(file, std::string(150, 'a') + std::string(150, 'b')).ok());
  ::setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  test::RunCase run({"data.source=text", "data.path=\"" + file.string() + "\"", "model.vocab=256",
                     "data.validation_fraction=0.2", "train.steps=6"});
  const TrainResult result = run.run();
  ::unsetenv("XDG_CACHE_HOME");
  ASSERT_EQ(result.outcome, Outcome::finished);
  const auto line = nlohmann::json::parse(run.lines("validation").back());
  const double loss = line.at("loss");
  EXPECT_EQ(line.at("tokens"), 59);  // of 60 all but the first are predicted
  EXPECT_EQ(line.at("bytes"), 59);
  EXPECT_DOUBLE_EQ(line.at("perplexity"), std::exp(loss));
  EXPECT_DOUBLE_EQ(line.at("bits_per_byte"), loss / std::log(2.0));
  EXPECT_EQ(nlohmann::json::parse(run.lines("update").back()).at("tokens"), 6 * 7);
  EXPECT_EQ(result.report.tokens, 42U);
  EXPECT_GT(result.report.tokens_per_second, 0);
  EXPECT_NE(to_text(result.report).find("bits a byte"), std::string::npos);
}

}  // namespace
}  // namespace anemone::train
