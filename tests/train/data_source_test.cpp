// Data sources: what they give, in which order, and what they refuse.
#include "anemone/train/data_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/base/safetensors.h"
#include "anemone/engine/engines.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/run_case.h"

namespace anemone::train {
namespace {

TEST(SampleOrder, EveryEpochTakesEachSampleOnce) {
  SampleOrder order(7, 42);
  std::set<std::vector<std::int64_t>> seen;
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    std::vector<std::int64_t> taken;
    for (std::int64_t i = 0; i < 7; ++i) taken.push_back(order.sample(7 * epoch + i));
    seen.insert(taken);
    std::sort(taken.begin(), taken.end());
    for (std::int64_t i = 0; i < 7; ++i) EXPECT_EQ(taken[static_cast<std::size_t>(i)], i);
  }
  EXPECT_GT(seen.size(), 3U);  // shuffled anew
}

TEST(RepetitionNote, IsForTextsThatARunLearnsByHeart) {
  EXPECT_EQ(repetition_note(28'800, 3'922), "");  // a book
  EXPECT_EQ(repetition_note(14'400, 12).substr(0, 40), "each sequence is trained on 1200 times, ");
  EXPECT_EQ(repetition_note(14'400, 0), "");
}

TEST(SampleOrder, IsAFunctionOfSeedAndStep) {
  SampleOrder forward(11, 1), backward(11, 1), other(11, 2);
  std::vector<std::int64_t> a, b, c;
  for (std::int64_t step = 0; step < 44; ++step) a.push_back(forward.sample(step));
  for (std::int64_t step = 44; step-- > 0;) b.push_back(backward.sample(step));
  for (std::int64_t step = 0; step < 44; ++step) c.push_back(other.sample(step));
  std::reverse(b.begin(), b.end());
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

class Sources : public ::testing::Test {
 protected:
  RunConfig config(std::vector<std::string> overrides) { return test::tiny_config(overrides); }
  std::unique_ptr<DataSource> make(const RunConfig& run) { return make_data_source(run, *engine); }
  std::string refusal(const RunConfig& run) {
    try {
      make(run);
    } catch (const Error& error) {
      return error.what();
    }
    return "taken";
  }
  std::unique_ptr<engine::Engine> engine = engine::make_engine("reference", {1});
  Sample sample;
};

TEST_F(Sources, OriginalIsTheOriginals) {
  const auto source = make(config({"data.source=original"}));
  EXPECT_EQ(source->samples(), 1);
  EXPECT_EQ(source->held_out(), 0);
  srand48(42);
  for (const std::int64_t step : {0, 5}) {
    source->training(step, sample);
    ASSERT_EQ(sample.x.size(), 12U * 7);
    ASSERT_EQ(sample.target.size(), 12U * 7);
    if (step == 0) {
      for (std::size_t i = 0; i < sample.x.size(); ++i) {
        ASSERT_EQ(sample.x[i], static_cast<float>(0.1 * (2 * drand48() - 1)));
        ASSERT_EQ(sample.target[i],
                  static_cast<float>(0.1 * std::sin(0.03 * static_cast<double>(i) + 1)));
      }
    }
  }
}

TEST_F(Sources, TeacherLabelsDependOnItsSeedOnly) {
  const auto a = make(config({"train.seed=1"})), b = make(config({"train.seed=2"}));
  const auto c = make(config({"data.seed=9"}));
  Sample of_b, of_c;
  a->validation(1, sample);
  b->validation(1, of_b);
  c->validation(1, of_c);
  EXPECT_EQ(sample.x.size(), 12U * 7);
  EXPECT_EQ(sample.x, of_b.x);
  EXPECT_EQ(sample.target, of_b.target);
  EXPECT_NE(sample.x, of_c.x);
  EXPECT_NE(sample.target, of_c.target);
  EXPECT_NE(sample.x, sample.target);
}

TEST_F(Sources, TeacherHoldsSamplesOut) {
  const auto source = make(config({}));
  std::set<std::vector<float>> trained;
  for (std::int64_t step = 0; step < 20; ++step) {
    source->training(step, sample);
    trained.insert(sample.x);
  }
  EXPECT_EQ(trained.size(), 5U);
  for (std::int64_t index = 0; index < source->held_out(); ++index) {
    source->validation(index, sample);
    EXPECT_EQ(trained.count(sample.x), 0U);
  }
}

class Pairs : public Sources {
 protected:
  std::filesystem::path write(DType type, const Shape& x_shape, const Shape& y_shape) {
    const auto fill = [&](const Shape& shape, double first, std::vector<std::byte>& bytes) {
      const auto count = static_cast<std::size_t>(shape.elements());
      bytes.resize(count * dtype_size(type));
      for (std::size_t i = 0; i < count; ++i)
        store_element(type, bytes.data(), i, first + static_cast<double>(i) / 1024);
    };
    std::vector<std::byte> x_bytes, y_bytes;
    fill(x_shape, 0, x_bytes);
    fill(y_shape, 1, y_bytes);
    const std::vector<NamedTensor> tensors = {{"x", {type, x_shape, x_bytes}},
                                              {"y", {type, y_shape, y_bytes}}};
    const auto path = directory.path() / "pairs.safetensors";
    const Status status = write_safetensors(path, tensors);
    EXPECT_TRUE(status.ok()) << status.message;
    return path;
  }
  RunConfig pairs(const std::filesystem::path& path) {
    return config({"data.source=pairs", "data.path=\"" + path.string() + "\""});
  }
  test::TemporaryDirectory directory;
};

TEST_F(Pairs, GivesEverySampleOfTheFile) {
  for (const DType type : {DType::fp32, DType::fp16}) {
    const auto path = write(type, {4, 12, 7}, {4, 12, 7});
    const auto source = make(pairs(path));
    EXPECT_EQ(source->samples(), 2);
    EXPECT_EQ(source->held_out(), 2);
    source->validation(1, sample);  // the last one
    const std::vector<float>&x = sample.x, &y = sample.target;
    ASSERT_EQ(x.size(), 12U * 7);
    ASSERT_EQ(y.size(), 12U * 7);
    const double first = 3 * 12 * 7;
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(x[i], static_cast<float>(round_to(type, (first + static_cast<double>(i)) / 1024)));
      ASSERT_EQ(y[i],
                static_cast<float>(round_to(type, 1 + (first + static_cast<double>(i)) / 1024)));
    }
    std::set<float> firsts;
    for (std::int64_t step = 0; step < 2; ++step) {
      source->training(step, sample);
      firsts.insert(x[0]);
    }
    EXPECT_EQ(firsts.size(), 2U);
  }
}

TEST_F(Pairs, OtherFilesAreRefused) {
  const auto contains = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(contains(refusal(config({"data.source=pairs"})), "data.path is empty"));
  EXPECT_TRUE(contains(refusal(pairs("/nonexistent")), "/nonexistent"));
  EXPECT_TRUE(contains(refusal(pairs(write(DType::fp32, {4, 12, 8}, {4, 12, 7}))), "[N, 12, 7]"));
  EXPECT_TRUE(contains(refusal(pairs(write(DType::fp32, {4, 12, 7}, {3, 12, 7}))), "4 samples"));
  EXPECT_TRUE(contains(refusal(pairs(write(DType::fp32, {2, 12, 7}, {2, 12, 7}))), "held out"));
  EXPECT_TRUE(contains(refusal(pairs(write(DType::int32, {4, 12, 7}, {4, 12, 7}))), "float"));
  EXPECT_TRUE(contains(refusal(pairs(write(DType::fp32, {336}, {336}))), "[N, 12, 7]"));
}

TEST_F(Sources, UnknownOneNamesThoseThereAre) {
  RunConfig run = config({});
  run.data.source = "internet";
  const std::string message = refusal(run);
  EXPECT_NE(message.find("original, teacher, pairs"), std::string::npos) << message;
}

}  // namespace
}  // namespace anemone::train
