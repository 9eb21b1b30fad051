// metrics.jsonl: numbers that read back, cutting back on resume, and the comparison of two runs.
#include "anemone/train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "anemone/base/file.h"
#include "anemone/train/json_number.h"
#include "anemone/train/metrics_compare.h"
#include "tests/support/temporary_directory.h"

namespace anemone::train {
namespace {

StepRecord sample_step(std::uint64_t step, double loss) {
  StepRecord record;
  record.step = step;
  record.update = step / 2;
  record.loss = loss;
  record.loss_scale = 65536;
  record.times.total = 12.5 + loss;
  record.times.engine = 10;
  return record;
}

void write_steps(MetricsLog& log, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t step = from; step < to; ++step) {
    log.step(sample_step(step, 1.0 / static_cast<double>(step + 3)));
  }
}

TEST(Metrics, NumbersReadBackExactly) {
  for (const double value : {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0, 65536.0}) {
    EXPECT_EQ(nlohmann::json::parse(json_number(value)).get<double>(), value);
  }
  EXPECT_EQ(json_number(std::numeric_limits<double>::infinity()), "\"inf\"");
  EXPECT_EQ(json_number(-std::numeric_limits<double>::infinity()), "\"-inf\"");
  EXPECT_EQ(json_number(std::nan("")), "\"nan\"");
}

TEST(Metrics, LinesHaveTheDocumentedFields) {
  const test::TemporaryDirectory folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsLog log(path, 0);
  log.step(sample_step(4, 0.25));
  UpdateRecord update;
  update.update = 2;
  update.step = 4;
  update.skipped = "a \"non-finite\" gradient";
  log.update(update);
  const std::string text = read_text_file(path);
  const auto end = text.find('\n');
  EXPECT_EQ(text.substr(0, end),
            R"({"type":"step","step":4,"update":2,"loss":0.25,"loss_scale":65536,"ms":12.75,)"
            R"("ms_engine":10,"ms_host":0,"ms_dw":0,"ms_optimizer":0,"ms_compile":0})");
  const auto line = nlohmann::json::parse(text.substr(end + 1));
  EXPECT_EQ(line["skipped"], update.skipped);
  EXPECT_EQ(line["grad_norm"], 0.0);
  EXPECT_EQ(log.offset(), text.size());
}

TEST(Metrics, ResumeCutsBackToTheOffset) {
  const test::TemporaryDirectory folder;
  const auto path = folder.path() / "metrics.jsonl";
  std::uint64_t offset = 0;
  {
    MetricsLog log(path, 0);
    write_steps(log, 0, 5);
    offset = log.offset();
    ASSERT_EQ(log.sync().message, "");
    write_steps(log, 5, 9);
  }
  const std::string whole = read_text_file(path);
  {
    MetricsLog log(path, offset);
    EXPECT_EQ(std::filesystem::file_size(path), offset);
    write_steps(log, 5, 9);
  }
  EXPECT_EQ(read_text_file(path), whole);
  EXPECT_THROW(MetricsLog(path, whole.size() + 1), Error);
  EXPECT_THROW(MetricsLog(path, offset - 1), Error);
  EXPECT_EQ(read_text_file(path), whole);  // untouched by the refusals
  {
    MetricsLog log(path, 0);
    EXPECT_EQ(log.offset(), 0U);
  }
  EXPECT_EQ(read_text_file(folder.path() / "metrics.jsonl.old"), whole);
}

TEST(Metrics, ComparisonIgnoresTimesAndEvents) {
  const test::TemporaryDirectory folder;
  const auto a = folder.path() / "a", b = folder.path() / "b";
  {
    MetricsLog first(a, 0), second(b, 0);
    second.line(R"({"type":"resume","step":0})");
    for (MetricsLog* log : {&first, &second}) {
      StepRecord record = sample_step(0, 0.5);
      record.times.total = log == &first ? 1 : 2;
      log->step(record);
    }
    first.line(R"({"type":"validation","update":1,"loss":0.5,"wall_seconds":3})");
    second.line(R"({"type":"validation","update":1,"loss":0.5,"wall_seconds":4})");
  }
  EXPECT_EQ(compare_metrics(a, b), std::vector<std::string>{});
  MetricsLog(b, std::filesystem::file_size(b)).step(sample_step(1, 0.25));
  EXPECT_EQ(compare_metrics(a, b), std::vector<std::string>{"2 and 3 lines of results"});
  MetricsLog(a, std::filesystem::file_size(a)).step(sample_step(1, 0.125));
  EXPECT_EQ(compare_metrics(a, b), std::vector<std::string>{"step 1: loss: 0.125 and 0.25"});
}

}  // namespace
}  // namespace anemone::train
