// The parameter list and the two ways to initialize it.
#include "anemone/train/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "anemone/base/error.h"
#include "tests/support/temporary_directory.h"

namespace anemone::train {
namespace {

std::vector<nn::ParameterSpec> layer_specs(std::int64_t dim, std::int64_t hidden) {
  nn::ModelConfig model;
  model.dim = dim;
  model.hidden = hidden;
  model.heads = 2;
  model.seq = 4;
  return nn::layer_step(model, "six").parameters;
}

TEST(Drand48, EqualsTheLibrarys) {
  for (const long seed : {0L, 1L, 42L, 123456789L, 4294967295L}) {
    srand48(seed);
    Drand48 random(static_cast<std::uint32_t>(seed));
    for (int i = 0; i < 10000; ++i) ASSERT_EQ(random.next(), drand48()) << seed << " at " << i;
  }
}

TEST(ParameterList, LaysKindsOutInBlocks) {
  ParameterList list(layer_specs(6, 10));
  std::int64_t count = 0;
  const float* previous_end = list.values().data();
  for (const Parameter& p : list.all()) {
    count += p.spec.shape.elements();
    EXPECT_GE(p.value.data(), previous_end);
    previous_end = p.value.data() + p.value.size();
    const auto distance = p.gradient.data() - p.value.data();
    EXPECT_EQ(distance, list.gradients().data() - list.values().data());
    EXPECT_EQ(p.moment1.data() - p.gradient.data(), distance);
    EXPECT_EQ(p.moment2.data() - p.moment1.data(), distance);
    EXPECT_EQ(list.weights().get(p.spec.name).values.data(), p.value.data());
  }
  EXPECT_EQ(list.count(), count);
  EXPECT_LE(previous_end, list.values().data() + list.values().size());
}

TEST(ParameterList, UnknownNameListsThem) {
  ParameterList list(layer_specs(6, 10));
  try {
    list.get("l0.wx");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("l0.wx"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("l0.wq"), std::string::npos);
  }
}

TEST(InitializeOriginal, InterleavesAsTheOriginal) {
  constexpr std::int64_t kDim = 6, kHidden = 10;
  ParameterList list(layer_specs(kDim, kHidden));
  initialize_original(list, 42);
  srand48(42);
  const auto next = [](std::int64_t rows) {
    return static_cast<float>(1 / std::sqrt(static_cast<double>(rows)) * (2 * drand48() - 1));
  };
  const auto value = [&](const char* name, std::int64_t i) {
    return list.get(name).value[static_cast<std::size_t>(i)];
  };
  for (std::int64_t i = 0; i < kDim * kDim; ++i) {
    ASSERT_EQ(value("l0.wq", i), next(kDim));
    ASSERT_EQ(value("l0.wk", i), next(kDim));
  }
  for (std::int64_t i = 0; i < kDim * kDim; ++i) {
    ASSERT_EQ(value("l0.wv", i), next(kDim));
    ASSERT_EQ(value("l0.wo", i), next(kDim));
  }
  for (std::int64_t i = 0; i < kHidden * kDim; ++i) ASSERT_EQ(value("l0.w1", i), next(kHidden));
  for (std::int64_t i = 0; i < kHidden * kDim; ++i) ASSERT_EQ(value("l0.w2", i), next(kDim));
  for (std::int64_t i = 0; i < kHidden * kDim; ++i) ASSERT_EQ(value("l0.w3", i), next(kHidden));
  for (std::int64_t i = 0; i < kDim; ++i) {
    ASSERT_EQ(value("l0.norm1", i), 1.0F);
    ASSERT_EQ(value("l0.norm2", i), 1.0F);
  }
}

TEST(InitializeBySpecs, StaysWithinTheScale) {
  ParameterList list(layer_specs(32, 48));
  initialize_by_specs(list, 3);
  for (const Parameter& p : list.all()) {
    if (p.spec.init == nn::Init::ones) continue;
    double sum = 0, largest = 0;
    for (const float v : p.value) {
      sum += v;
      largest = std::max(largest, std::abs(static_cast<double>(v)));
    }
    EXPECT_LE(largest, p.spec.init_scale);
    EXPECT_GT(largest, 0.95 * p.spec.init_scale) << p.spec.name;
    // Five standard deviations of a mean of uniform numbers.
    const auto n = static_cast<double>(p.value.size());
    EXPECT_LT(std::abs(sum / n), 5 * p.spec.init_scale / std::sqrt(3 * n)) << p.spec.name;
  }
}

TEST(InitializeBySpecs, NormalHasItsMoments) {
  constexpr double kScale = 0.02;
  ParameterList list({{"a", {301, 101}, nn::Init::normal, kScale},
                      {"b", {301, 101}, nn::Init::normal, kScale},
                      {"norm", {5}, nn::Init::ones}});
  initialize_by_specs(list, 7);
  for (const char* name : {"a", "b"}) {
    const std::span<const float> values = list.get(name).value;
    const auto n = static_cast<double>(values.size());
    double sum = 0, squares = 0, fourths = 0, neighbours = 0, beyond = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double v = values[i] / kScale;
      sum += v;
      squares += v * v;
      fourths += v * v * v * v;
      beyond += std::abs(v) > 2 ? 1 : 0;
      if (i != 0) neighbours += v * (values[i - 1] / kScale);
    }
    // Each within five standard deviations of what a normal distribution gives.
    EXPECT_LT(std::abs(sum / n), 5 / std::sqrt(n)) << name;
    EXPECT_LT(std::abs(squares / n - 1), 5 * std::sqrt(2 / n)) << name;
    EXPECT_LT(std::abs(fourths / n - 3), 5 * std::sqrt(96 / n)) << name;
    EXPECT_LT(std::abs(neighbours / n), 5 / std::sqrt(n)) << name;
    constexpr double kTail = 0.0455;  // of a normal distribution beyond two standard deviations
    EXPECT_LT(std::abs(beyond / n - kTail), 5 * std::sqrt(kTail / n)) << name;
  }
  const auto a = list.get("a").value, b = list.get("b").value;
  EXPECT_FALSE(std::equal(a.begin(), a.end(), b.begin()));
  for (const float v : list.get("norm").value) EXPECT_EQ(v, 1.0F);

  ParameterList same(std::vector<nn::ParameterSpec>{list.all()[0].spec}),
      other = ParameterList(std::vector<nn::ParameterSpec>{list.all()[0].spec});
  initialize_by_specs(same, 7);
  initialize_by_specs(other, 8);
  EXPECT_TRUE(std::equal(a.begin(), a.end(), same.values().begin()));
  EXPECT_FALSE(std::equal(a.begin(), a.end(), other.values().begin()));
}

TEST(ParameterList, RowsAreViewsOfTheirParameter) {
  nn::StepGraph graph;
  graph.parameters = {{"embedding", {5, 3}}, {"norm", {3}, nn::Init::ones}};
  graph.parameter_rows = {{"embedding.0", "embedding", 0, 3}, {"embedding.1", "embedding", 3, 2}};
  ParameterList list(graph, Holds::values);
  initialize_by_specs(list, 1);
  const auto whole = list.get("embedding").value;
  const mil::WeightStore::Tensor& second = list.weights().get("embedding.1");
  EXPECT_EQ(second.shape, (Shape{2, 3}));
  EXPECT_EQ(second.values.data(), whole.data() + 9);
  EXPECT_EQ(list.weights().get("embedding.0").values.size(), 9U);
}

TEST(ParameterList, OfValuesOnlyTakesAQuarterOfTheMemory) {
  ParameterList training(layer_specs(6, 10)), values(layer_specs(6, 10), Holds::values);
  EXPECT_EQ(4 * values.bytes(), training.bytes());
  EXPECT_EQ(values.count(), training.count());
  EXPECT_TRUE(values.gradients().empty());
  EXPECT_TRUE(values.get("l0.wq").moment1.empty());
  initialize_by_specs(training, 3);
  initialize_by_specs(values, 3);
  EXPECT_TRUE(
      std::equal(values.values().begin(), values.values().end(), training.values().begin()));
}

class SavedParameters : public ::testing::Test {
 protected:
  SavedParameters() : list(layer_specs(6, 10)) {
    initialize_by_specs(list, 1);
    float next = 1;
    for (Parameter& p : list.all())
      for (const std::span<float> values : {p.gradient, p.moment1, p.moment2})
        for (float& v : values) v = next++ / 3;
  }
  void save(std::span<const NamedTensor> tensors) {
    const Status status = write_safetensors(path(), tensors);
    ASSERT_TRUE(status.ok()) << status.message;
  }
  std::filesystem::path path() const { return directory.path() / "t.safetensors"; }
  test::TemporaryDirectory directory;
  ParameterList list;
};

TEST_F(SavedParameters, RoundTripBitForBit) {
  save(list.tensors(/*with_gradient=*/true));
  ParameterList other(layer_specs(6, 10));
  other.load(SafetensorsReader(path()), /*with_gradient=*/true);
  for (std::size_t i = 0; i < list.all().size(); ++i) {
    const Parameter &a = list.all()[i], &b = other.all()[i];
    EXPECT_TRUE(std::equal(a.value.begin(), a.value.end(), b.value.begin()));
    EXPECT_TRUE(std::equal(a.gradient.begin(), a.gradient.end(), b.gradient.begin()));
    EXPECT_TRUE(std::equal(a.moment1.begin(), a.moment1.end(), b.moment1.begin()));
    EXPECT_TRUE(std::equal(a.moment2.begin(), a.moment2.end(), b.moment2.begin()));
  }
}

TEST_F(SavedParameters, WithoutGradientClearsIt) {
  save(list.tensors(/*with_gradient=*/false));
  list.load(SafetensorsReader(path()), /*with_gradient=*/false);
  for (const float v : list.gradients()) ASSERT_EQ(v, 0);
}

TEST_F(SavedParameters, CheckpointServesAsInitialWeights) {
  save(list.tensors(/*with_gradient=*/false));
  ParameterList other(layer_specs(6, 10));
  other.load_values(SafetensorsReader(path()));
  EXPECT_TRUE(std::equal(list.values().begin(), list.values().end(), other.values().begin()));
  EXPECT_EQ(other.get("l0.wq").moment1[0], 0);
}

TEST_F(SavedParameters, OtherShapesAndNamesAreRefused) {
  save(list.tensors(/*with_gradient=*/false));
  ParameterList wider(layer_specs(8, 10));
  EXPECT_THROW(wider.load(SafetensorsReader(path()), false), Error);
  EXPECT_THROW(wider.load_values(SafetensorsReader(path())), Error);

  std::vector<NamedTensor> plain;
  for (const Parameter& p : list.all())
    plain.push_back({p.spec.name, {DType::fp32, p.spec.shape, std::as_bytes(p.value)}});
  save(plain);
  ParameterList other(layer_specs(6, 10));
  other.load_values(SafetensorsReader(path()));
  EXPECT_TRUE(std::equal(list.values().begin(), list.values().end(), other.values().begin()));

  ParameterList taken(layer_specs(6, 10), Holds::values);
  taken.load_values(plain, "model.bin");
  EXPECT_TRUE(std::equal(list.values().begin(), list.values().end(), taken.values().begin()));
  const std::vector<NamedTensor> few(plain.begin() + 1, plain.end());
  try {
    taken.load_values(few, "model.bin");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "model.bin: there is no tensor l0.wq");
  }

  plain.push_back({"bias", plain[0].tensor});
  save(plain);
  EXPECT_THROW(other.load_values(SafetensorsReader(path())), Error);
}

}  // namespace
}  // namespace anemone::train
