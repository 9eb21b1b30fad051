// The emulated Neural Engine but for its products: no NaN anywhere, edges of elementwise
// operations, activations by table, crops; and how it is asked for.
#include "anemone/engine/numerics.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/engine/engines.h"
#include "anemone/mil/random_program.h"
#include "tests/engine/ane/emulated.h"
#include "tests/support/numbers.h"

namespace anemone::test {
namespace {

Build unary(mil::OpKind kind) {
  return [kind](mil::Builder& b, const std::vector<mil::Value>& in) {
    return b.emit(kind, {{"x", in[0]}});
  };
}
Build binary(mil::OpKind kind) {
  return [kind](mil::Builder& b, const std::vector<mil::Value>& in) {
    return b.emit(kind, {{"x", in[0]}, {"y", in[1]}});
  };
}
double apply(const std::string& ane, mil::OpKind kind, double x) {
  return emulate(ane, {vector_of({x})}, unary(kind)).front();
}
double apply(const std::string& ane, mil::OpKind kind, double x, double y) {
  return emulate(ane, {vector_of({x}), vector_of({y})}, binary(kind)).front();
}
bool has_nan(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
}

constexpr mil::OpKind kUnary[] = {mil::OpKind::sqrt,    mil::OpKind::rsqrt, mil::OpKind::exp,
                                  mil::OpKind::sigmoid, mil::OpKind::silu,  mil::OpKind::tanh};
constexpr mil::OpKind kBinary[] = {mil::OpKind::add,      mil::OpKind::sub,     mil::OpKind::mul,
                                   mil::OpKind::real_div, mil::OpKind::maximum, mil::OpKind::pow};

// Every fp16 number against both ends of every class and some between.
TEST(AneNumerics, NoOperationMakesNaN) {
  const std::vector<double> all = all_fp16();
  const std::vector<double> partners = {0,    0x1p-24, 0x1p-15, 0x1p-14, 0.1,     0.5,
                                        1,    1.5,     2,       3,       255.875, 256,
                                        2049, 32752,   32768,   65504,   kInf,    NAN};
  Tensor x{{65536, 1}, all}, y{{1, 0}, {}};
  for (const double partner : partners) {
    y.values.push_back(partner);
    y.values.push_back(-partner);
  }
  y.shape[1] = static_cast<std::int64_t>(y.values.size());
  for (const mil::OpKind kind : kUnary) {
    EXPECT_FALSE(has_nan(emulate("ane:m4", {x}, unary(kind)))) << mil::op_name(kind);
  }
  for (const mil::OpKind kind : kBinary) {
    EXPECT_FALSE(has_nan(emulate("ane:m4", {x, y}, binary(kind)))) << mil::op_name(kind);
    EXPECT_FALSE(has_nan(emulate("ane:m4", {y, x}, binary(kind)))) << mil::op_name(kind);
  }
  for (const mil::OpKind kind : {mil::OpKind::reduce_sum, mil::OpKind::reduce_mean,
                                 mil::OpKind::reduce_max, mil::OpKind::softmax}) {
    EXPECT_FALSE(has_nan(emulate("ane:m4", {x}, unary(kind)))) << mil::op_name(kind);
  }
}

TEST(AneNumerics, WhatWouldBeNaN) {
  for (const std::string& ane : ane_profiles()) {
    EXPECT_EQ(apply(ane, mil::OpKind::sub, kInf, kInf), 0);
    EXPECT_EQ(apply(ane, mil::OpKind::mul, 0, kInf), 0);
    EXPECT_EQ(apply(ane, mil::OpKind::sqrt, -1), 0);
    EXPECT_EQ(apply(ane, mil::OpKind::rsqrt, -1), 0);
    // A NaN given is +inf.
    EXPECT_EQ(apply(ane, mil::OpKind::add, NAN, 0), kInf);
    EXPECT_EQ(apply(ane, mil::OpKind::maximum, NAN, 0), kInf);
    EXPECT_EQ(apply(ane, mil::OpKind::sigmoid, NAN), 1);
    EXPECT_EQ(apply(ane, mil::OpKind::tanh, NAN), 1);
    EXPECT_EQ(apply(ane, mil::OpKind::exp, NAN), kInf);
  }
}

TEST(AneNumerics, ZerosHaveNoSign) {
  for (const std::string& ane : ane_profiles()) {
    EXPECT_EQ(apply(ane, mil::OpKind::real_div, 1, -0.0), kInf);
    EXPECT_EQ(apply(ane, mil::OpKind::real_div, -1, -0.0), -kInf);
    EXPECT_EQ(apply(ane, mil::OpKind::pow, -0.0, -1), kInf);
    EXPECT_FALSE(std::signbit(apply(ane, mil::OpKind::mul, -1, 0)));
  }
}

TEST(AneNumerics, ElementwiseHasAllOfFp16) {
  for (const std::string& ane : ane_profiles()) {
    EXPECT_EQ(apply(ane, mil::OpKind::add, 32768, 32736), 65504);
    EXPECT_EQ(apply(ane, mil::OpKind::mul, 60000, 1), fp16(60000));
    EXPECT_EQ(apply(ane, mil::OpKind::mul, 255.875, 255.875), fp16(255.875 * 255.875));
    EXPECT_EQ(apply(ane, mil::OpKind::mul, 256, 256), kInf);
    EXPECT_EQ(apply(ane, mil::OpKind::add, 0x1p-24, 0), 0x1p-24);
    EXPECT_EQ(apply(ane, mil::OpKind::mul, 0x1p-20, 0x1p-4), 0x1p-24);
    EXPECT_EQ(apply(ane, mil::OpKind::add, -65504, -32), -kInf);  // a masked score
    // The largest fp16 number whose exponential is one, and the next.
    EXPECT_EQ(apply(ane, mil::OpKind::exp, 11.0859375), fp16(std::exp(11.0859375)));
    EXPECT_EQ(apply(ane, mil::OpKind::exp, 11.09375), kInf);
  }
}

TEST(AneNumerics, SumsGoToTheEndOfFp16) {
  for (const std::string& ane : ane_profiles()) {
    const auto reduced = [&](std::vector<double> values) {
      return emulate(ane, {vector_of(std::move(values))}, unary(mil::OpKind::reduce_sum)).front();
    };
    EXPECT_EQ(reduced({32768, 32736}), 65504);
    EXPECT_EQ(reduced({40000, 40000}), kInf);
    EXPECT_EQ(reduced({kInf, 1, -kInf}), 0);
  }
  // 768 channels of a root mean square above 9.2 overflow a sum of squares, not a mean.
  const std::vector<double> squares(768, fp16(9.5 * 9.5));
  EXPECT_EQ(emulate("ane:m4", {vector_of(squares)}, unary(mil::OpKind::reduce_sum)).front(), kInf);
  EXPECT_EQ(emulate("ane:m4", {vector_of(squares)}, unary(mil::OpKind::reduce_mean)).front(),
            fp16(9.5 * 9.5));
}

TEST(AneNumerics, SoftmaxSubtractsTheLargest) {
  for (const std::string& ane : ane_profiles()) {
    const auto softmax = [&](std::vector<double> values) {
      return emulate(ane, {vector_of(std::move(values))}, unary(mil::OpKind::softmax));
    };
    EXPECT_EQ(softmax({1000, 1, 2, 3}), (std::vector<double>{1, 0, 0, 0}));
    EXPECT_EQ(softmax({7, 7, 7, 7}), (std::vector<double>{0.25, 0.25, 0.25, 0.25}));
    EXPECT_EQ(softmax({1, NAN, 3}), (std::vector<double>{0, 1, 0}));
    EXPECT_EQ(softmax({-kInf, 5, -kInf}), (std::vector<double>{0, 1, 0}));
    EXPECT_EQ(softmax({-kInf, -kInf}), (std::vector<double>{0.5, 0.5}));
  }
}

struct Worst {
  double error = 0, at = 0;
};
Worst worst_error(mil::OpKind kind, double (*function)(double), double limit) {
  std::vector<double> all = all_fp16();
  std::erase_if(all, [&](double x) { return !(std::abs(x) <= limit); });
  const std::vector<double> table = emulate("ane:m4", {vector_of(all)}, unary(kind));
  Worst worst;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double error = std::abs(table[i] - function(all[i]));
    if (error > worst.error) worst = {error, all[i]};
  }
  return worst;
}

// As far from the functions as published, and not much nearer: a line between knots shows.
TEST(AneNumerics, ActivationsAreTables) {
  const Worst sigmoid = worst_error(
      mil::OpKind::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, kInf);
  EXPECT_LE(sigmoid.error, 0.0034) << sigmoid.at;
  EXPECT_GT(sigmoid.error, 0.0017) << sigmoid.at;
  const Worst tanh = worst_error(
      mil::OpKind::tanh, [](double x) { return std::tanh(x); }, kInf);
  EXPECT_LE(tanh.error, 0.0017) << tanh.at;
  EXPECT_GT(tanh.error, 0.0008) << tanh.at;
  // Beyond 8 the function is x, and the rounding of x is all there is.
  const Worst silu = worst_error(
      mil::OpKind::silu, [](double x) { return x / (1 + std::exp(-x)); }, 8);
  EXPECT_LE(silu.error, 0.015) << silu.at;
  EXPECT_GT(silu.error, 0.0075) << silu.at;
  for (const std::string& ane : ane_profiles()) {
    EXPECT_EQ(apply(ane, mil::OpKind::silu, 0), fp16(-0.001259));
    EXPECT_EQ(apply(ane, mil::OpKind::silu, kInf), kInf);
    EXPECT_EQ(apply(ane, mil::OpKind::silu, -kInf), 0);
    EXPECT_EQ(apply(ane, mil::OpKind::sigmoid, -10), 0);
    EXPECT_EQ(apply(ane, mil::OpKind::sigmoid, 8.5), 1);
    EXPECT_EQ(apply(ane, mil::OpKind::tanh, -65504), -1);
  }
}

TEST(AneNumerics, CropsOfTheLastAxisOverflowOnTheFirstTwo) {
  const Tensor x = {{1, 2, 1, 4}, {4094, 4096, 4094, -4096, 1, 4096, -4094, 60000}};
  const auto crop = [](std::vector<std::int64_t> begin, std::vector<std::int64_t> size) {
    return [=](mil::Builder& b, const std::vector<mil::Value>& in) {
      return b.slice_by_size({{"x", in[0]}, {"begin", begin}, {"size", size}});
    };
  };
  const Build by_index = [](mil::Builder& b, const std::vector<mil::Value>& in) {
    return b.slice_by_index({{"x", in[0]},
                             {"begin", std::vector<std::int64_t>{0, 0, 0, -2}},
                             {"end", std::vector<std::int64_t>{1, 2, 1, 4}}});
  };
  for (const std::string& ane : ane_profiles()) {
    const bool gains = ane == "ane:m1" || ane == "ane:m2";
    const double large = gains ? kInf : 4096;
    const std::vector<double> behind = {4096, 4094, -4096, 4096, -4094, fp16(60000)};
    std::vector<double> wanted = behind;
    if (gains) wanted = {kInf, 4094, -kInf, kInf, -4094, kInf};
    EXPECT_EQ(emulate(ane, {x}, crop({0, 0, 0, 1}, {1, 2, 1, 3})), wanted) << ane;
    EXPECT_EQ(emulate(ane, {x}, by_index),
              (std::vector<double>{4094, -large, -4094, gains ? kInf : fp16(60000)}))
        << ane;
    // From the beginning of the axis, or along another one, nothing happens.
    EXPECT_EQ(emulate(ane, {x}, crop({0, 0, 0, 0}, {1, 1, 1, 4})),
              (std::vector<double>{4094, 4096, 4094, -4096}));
    EXPECT_EQ(emulate(ane, {x}, crop({0, 1, 0, 0}, {1, 1, 1, 4})),
              (std::vector<double>{1, 4096, -4094, fp16(60000)}));
  }
}

TEST(AneNumerics, EveryFloatIsFp16) {
  mil::Program program;
  mil::Builder b(program);
  const mil::Value x = b.input("x", mil::Type::tensor(DType::fp32, {2}));
  b.output(b.mul({{"x", x}, {"y", 3.0}}), "y");
  mil::ConstantSource constants;
  const auto ane = engine::make_numerics("ane");
  const auto y = mil::evaluate<double>(program.main(), {{"x", {0.1, 40000}}}, constants,
                                       {.arithmetic = ane.get()})
                     .at("y");
  EXPECT_EQ(y, (std::vector<double>{fp16(3 * fp16(0.1)), kInf}));
}

// Programs that behave well in exact arithmetic: every operation, no NaN, all in fp16.
TEST(AneNumerics, RandomPrograms) {
  for (const std::string& name : ane_profiles()) {
    const auto ane = engine::make_numerics(name);
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      mil::RandomProgram random(seed, {.floats = {DType::fp16}});
      random.grow();
      const mil::Program program = random.finish();
      mil::ConstantSource constants;
      const auto outputs = mil::evaluate<double>(program.main(), random.inputs(), constants,
                                                 {.arithmetic = ane.get()});
      for (const auto& [output, values] : outputs) {
        EXPECT_FALSE(has_nan(values)) << name << " " << seed << " " << output;
        for (const mil::Value value : program.main().outputs) {
          if (program.main().name_of(value) != output) continue;
          if (program.main().type(value).dtype != DType::fp16) continue;
          for (const double v : values) ASSERT_EQ(v, fp16(v)) << name << " " << seed;
        }
      }
    }
  }
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(AneNumerics, AskingForIt) {
  EXPECT_EQ(engine::make_numerics("exact"), nullptr);
  EXPECT_EQ(engine::make_numerics("ane")->name(), "ane:m4");
  EXPECT_EQ(engine::make_numerics("ane:m1")->name(), "ane:m1");
  EXPECT_EQ(error_of([] { engine::make_numerics("ane:m9"); }),
            "the Neural Engine has no profile \"m9\" (expected m1, m2, m3, m4, m5)");
  const std::string unknown = error_of([] { engine::make_numerics("gpu"); });
  EXPECT_NE(unknown.find("there is no arithmetic called \"gpu\""), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("exact or ane ("), std::string::npos) << unknown;

  engine::EngineOptions options;
  options.numerics = "ane:m3";
  for (const char* name : {"auto", "reference"}) {
    const auto engine = engine::make_engine(name, options);
    EXPECT_EQ(engine->name(), "reference");
    EXPECT_FALSE(engine->traits().runs_on_host);
    EXPECT_EQ(engine->traits().default_partition, "six");
  }
  EXPECT_EQ(error_of([&] { engine::make_engine("cpu", options); }),
            "numerics ane:m3: the engine cpu does not emulate other arithmetics (expected the "
            "engine reference, or auto)");
}

}  // namespace
}  // namespace anemone::test
