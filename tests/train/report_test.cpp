// The report: what it reads from metrics, its rates, its two forms.
#include "anemone/train/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_directory.h"

namespace anemone::train {
namespace {

class ReportOfMetrics : public ::testing::Test {
 protected:
  std::filesystem::path write() {
    const auto path = directory.path() / "metrics.jsonl";
    MetricsLog log(path, 0);
    log.line(R"({"type":"run","version":1})");
    for (std::uint64_t step = 0; step < 10; ++step) {
      StepRecord record;
      record.step = step;
      record.loss = 1.0 / static_cast<double>(step + 1);
      record.times = {60, 10, 30, 0, 0, step == 9 ? 200.0 : 100.0 + static_cast<double>(step)};
      log.step(record);
    }
    UpdateRecord update;
    update.times = {0, 0, 10, 20, 40, 70};
    log.update(update);
    log.line(R"({"type":"validation","loss":0.5})");
    log.line(R"({"type":"validation","loss":0.25})");
    return path;
  }
  test::TemporaryDirectory directory;
};

TEST_F(ReportOfMetrics, ReadsLossesAndTimes) {
  Report report;
  summarize_metrics(write(), report);
  EXPECT_EQ(report.first_loss, 1);
  EXPECT_DOUBLE_EQ(report.last_loss, 0.1);
  EXPECT_EQ(report.first_validation_loss, 0.5);
  EXPECT_EQ(report.last_validation_loss, 0.25);
  EXPECT_EQ(report.ms_per_step_median, 105);
  EXPECT_EQ(report.ms_per_step_p90, 108);
  // A step's share of the one update is a tenth.
  EXPECT_DOUBLE_EQ(report.mean_times.engine, 60);
  EXPECT_DOUBLE_EQ(report.mean_times.dw, 31);
  EXPECT_DOUBLE_EQ(report.mean_times.optimizer, 2);
  EXPECT_DOUBLE_EQ(report.mean_times.compile, 4);
}

TEST_F(ReportOfMetrics, HalfALineIsPassedOver) {
  const auto path = write();
  std::ofstream(path, std::ios::app) << R"({"type":"step","loss":)";
  Report report;
  summarize_metrics(path, report);
  EXPECT_DOUBLE_EQ(report.last_loss, 0.1);
}

TEST_F(ReportOfMetrics, ADivergedRunSaysSo) {
  const auto path = write();
  std::ofstream(path, std::ios::app) << R"({"type":"step","loss":"nan","ms":1})" << '\n';
  Report report;
  summarize_metrics(path, report);
  EXPECT_TRUE(std::isnan(report.last_loss));
  EXPECT_NE(to_text(report).find("-> nan"), std::string::npos);
  EXPECT_NE(to_text(report).find("diverged"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(to_json(report)).at("last_loss"), "nan");
}

TEST(Report, WithoutHeldOutSamplesThereIsNoValidationLoss) {
  EXPECT_TRUE(nlohmann::json::parse(to_json(Report{})).at("last_validation_loss").is_null());
  EXPECT_EQ(to_text(Report{}).find("validation"), std::string::npos);
}

TEST(Report, RatesCountWhatIsExecuted) {
  Report report;
  report.steps = 100;
  report.train_seconds = 10;
  report.flops = {4e9, 2e9, 2e9, 2e9};
  report.executed_flops = 8e9;
  report.mean_times.engine = 50;
  report.peak_tflops = 0.32;
  compute_rates(report);
  EXPECT_DOUBLE_EQ(report.total_tflops, 0.08);
  EXPECT_DOUBLE_EQ(report.engine_tflops, 0.12);  // without the weight gradients
  EXPECT_DOUBLE_EQ(report.utilization, 0.25);
}

TEST(Report, BothFormsHoldTheFigures) {
  Report report;
  report.steps = 400;
  report.updates = 4;
  report.skipped_updates = 1;
  report.restarts = 2;
  report.flops = {1e9, 2e9, 3e9, 4e9};
  report.utilization = 0.4321;
  report.first_validation_loss = 0.5;
  report.last_validation_loss = 0.125;
  report.engine = "cpu";
  const std::string text = to_text(report);
  for (const char* part : {"400 in 4 updates, 1 of them discarded", "43.2 %", "0.12500000",
                           "2 restarts", "10.000: forward 1.000, dx 2.000, dW 3.000"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json.at("steps"), 400);
  EXPECT_EQ(json.at("flops_per_step").at("total"), 1e10);
  EXPECT_EQ(json.at("utilization"), 0.4321);
  EXPECT_EQ(json.at("engine"), "cpu");
}

TEST(Report, AnEmptyOneIsNoDivisionByZero) {
  Report report;
  compute_rates(report);
  EXPECT_EQ(report.total_tflops, 0);
  EXPECT_FALSE(to_text(report).empty());
}

}  // namespace
}  // namespace anemone::train
