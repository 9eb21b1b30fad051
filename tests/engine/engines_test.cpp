// The list of engines, and the contract every engine of it must keep.
#include "anemone/engine/engines.h"

#include <gtest/gtest.h>

#include "anemone/base/error.h"
#include "anemone/mil/builder.h"

namespace anemone::engine {
namespace {

TEST(Engines, AreFoundByName) {
  EXPECT_EQ(make_engine("reference", {})->name(), "reference");
  EXPECT_NO_THROW(make_engine("auto", {}));
  try {
    make_engine("gpu", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what())
                  .rfind("there is no engine called \"gpu\" (expected auto or one of reference", 0),
              0u)
        << error.what();
  }
}

// y = W (x + x2) with W in the store: [1, 2, 1, 3] each.
class EveryEngine : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    for (const EngineEntry& entry : engines()) {
      if (entry.name == GetParam() && !entry.support().ok) GTEST_SKIP() << entry.support().reason;
    }
    engine_ = make_engine(GetParam(), {});
    mil::Builder b(program_);
    const mil::Type type = mil::Type::tensor(DType::fp16, {1, 2, 1, 3});
    const mil::Value x = b.input("x", type), x2 = b.input("x2", type);
    const mil::Value sum = b.add({{"x", x}, {"y", x2}}, "sum");
    const mil::Value w = b.weight({"w"}, mil::Type::tensor(DType::fp16, {2, 2, 1, 1}));
    b.output(b.conv({{"x", sum}, {"weight", w}}), "y");
    b.output(sum, "sum");
    store_.add("w", {2, 2}, values_);
    options_.weights = &store_;
  }

  struct Ready {
    std::unique_ptr<Executable> executable;
    std::vector<std::unique_ptr<Surface>> inputs, outputs;
    std::unique_ptr<Binding> binding;

    void write(std::string_view name, std::span<const double> values) {
      for (const Port& port : executable->inputs()) {
        if (port.name != name) continue;
        const HostAccess access(*inputs[static_cast<std::size_t>(port.buffer)], Access::write);
        write_port(access.data(), port, values);
      }
    }
    std::vector<double> read(std::string_view name) {
      std::vector<double> values(6);
      for (const Port& port : executable->outputs()) {
        if (port.name != name) continue;
        const HostAccess access(*outputs[static_cast<std::size_t>(port.buffer)], Access::read);
        read_port(access.data(), port, values);
      }
      return values;
    }
  };

  Ready make_ready() {
    Ready r;
    r.executable = engine_->compile(program_.main(), options_);
    std::vector<Surface*> in, out;
    for (const BufferSpec& spec : r.executable->input_buffers()) {
      r.inputs.push_back(engine_->make_surface(spec));
      in.push_back(r.inputs.back().get());
    }
    for (const BufferSpec& spec : r.executable->output_buffers()) {
      r.outputs.push_back(engine_->make_surface(spec));
      out.push_back(r.outputs.back().get());
    }
    r.binding = r.executable->bind(in, out);
    return r;
  }

  void run_and_check(Ready& r) {
    r.write("x", std::vector<double>{1, 2, 3, 4, 5, 6});
    r.write("x2", std::vector<double>{0, 1, 0, 1, 0, 1});
    const Status status = r.binding->run();
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(r.read("sum"), (std::vector<double>{1, 3, 3, 5, 5, 7}));
    EXPECT_EQ(r.read("y"), (std::vector<double>{11, 13, 17, 23, 29, 37}));
  }

  std::unique_ptr<Engine> engine_;
  mil::Program program_;
  mil::WeightStore store_;
  std::vector<float> values_{1, 2, 3, 4};
  CompileOptions options_;
};

TEST_P(EveryEngine, RunsAProgram) {
  EXPECT_TRUE(engine_->supports(program_.main()).ok) << engine_->supports(program_.main()).reason;
  Ready r = make_ready();
  ASSERT_EQ(r.executable->inputs().size(), 2u);
  EXPECT_EQ(r.executable->inputs()[1].name, "x2");
  EXPECT_FALSE(r.executable->explain().empty());
  run_and_check(r);
  run_and_check(r);
}

TEST_P(EveryEngine, PacksPortsWhenAsked) {
  options_.pack_io = true;
  Ready r = make_ready();
  EXPECT_EQ(r.executable->input_buffers().size(), 1u);
  EXPECT_EQ(r.executable->output_buffers().size(), 1u);
  ASSERT_EQ(r.executable->outputs().size(), 2u);
  EXPECT_EQ(r.executable->outputs()[0].name, "y");
  run_and_check(r);
}

TEST_P(EveryEngine, TakesNewWeightsOnlyWhenTold) {
  Ready r = make_ready();
  values_.assign({0, 0, 0, 0});
  run_and_check(r);
  values_.assign({1, 0, 0, 1});
  ASSERT_TRUE(r.executable->update_weights().ok());
  ASSERT_TRUE(r.binding->run().ok());
  EXPECT_EQ(r.read("y"), r.read("sum"));
}

TEST_P(EveryEngine, RefusesWhatItCannotBind) {
  Ready r = make_ready();
  std::vector<Surface*> in, out;
  for (const auto& surface : r.inputs) in.push_back(surface.get());
  for (const auto& surface : r.outputs) out.push_back(surface.get());
  EXPECT_THROW(r.executable->bind({}, out), Error);
  const auto small = engine_->make_surface({"small", 2});
  in[0] = small.get();
  EXPECT_THROW(r.executable->bind(in, out), Error);
}

TEST_P(EveryEngine, NamesAMissingWeight) {
  const mil::WeightStore empty;
  options_.weights = &empty;
  try {
    engine_->compile(program_.main(), options_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("w"), std::string::npos);
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const EngineEntry& entry : engines()) all.emplace_back(entry.name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Engines, EveryEngine, ::testing::ValuesIn(names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace anemone::engine
