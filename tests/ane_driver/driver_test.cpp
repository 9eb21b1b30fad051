// The engine `ane` over the fake framework: results, what is read back and not assumed, what is
// called how often, and that nothing is left behind.
#include <gtest/gtest.h>

#include "anemone/base/error.h"
#include "tests/ane_driver/driver_case.h"

namespace anemone::test {
namespace {

class AneDriver : public ::testing::Test {
 protected:
  void SetUp() override {
    fake_ = FakeAne::load();
    if (fake_ == nullptr) GTEST_SKIP() << "the fake framework was not built";
    fake_->script("");
    live_ = fake_->live();
  }
  void TearDown() override {
    if (fake_ == nullptr) return;
    EXPECT_EQ(fake_->violations(), "");
    EXPECT_EQ(fake_->live(), live_) << fake_->describe_live();
    EXPECT_EQ(fake_->loaded_programs(), 0);
    EXPECT_EQ(fake_->left_files(), "");
  }
  long compiles() const { return fake_->count("compileWithQoS:options:error:"); }

  FakeAne* fake_ = nullptr;
  long live_ = 0;
};

TEST_F(AneDriver, RunsAProgram) {
  DriverCase c;
  Ready ready = c.make_ready();
  EXPECT_EQ(ready.executable->input_buffers().size(), 1u);  // packed
  EXPECT_EQ(ready.executable->inputs().size(), 2u);
  EXPECT_TRUE(c.is_right(ready));
  EXPECT_TRUE(c.is_right(ready));
  EXPECT_EQ(ready.executable->explain().find("not reported"), std::string::npos)
      << ready.executable->explain();
  EXPECT_EQ(compiles(), 1);
  EXPECT_EQ(c.engine().compiles_used(), 1);
}

TEST_F(AneDriver, TakesTheStridesThatAreReported) {
  for (const char* script : {"rows 128", "rows 256; procedures reversed", "uniform yes"}) {
    fake_->script(script);
    DriverCase c;
    Ready ready = c.make_ready();
    EXPECT_TRUE(c.is_right(ready)) << script;
  }
  fake_->script("rows 256");
  DriverCase c;
  Ready ready = c.make_ready();
  EXPECT_EQ(ready.executable->input_buffers()[0].row_bytes, 256u);
  EXPECT_EQ(ready.executable->inputs()[0].strides[1], 128);
}

TEST_F(AneDriver, DoesWithoutWhatIsNotReported) {
  for (const char* script : {"attributes none", "attributes no-layout", "attributes no-symbols",
                             "attributes no-strides", "order declaration"}) {
    fake_->script(script);
    DriverCase c;
    Ready ready = c.make_ready();
    EXPECT_TRUE(c.is_right(ready)) << script;
    const bool assumed =
        ready.executable->explain().find("not reported by the system") != std::string::npos;
    EXPECT_EQ(assumed, std::string_view(script) != "order declaration" &&
                           std::string_view(script) != "attributes no-symbols")
        << script << "\n"
        << ready.executable->explain();
  }
}

TEST_F(AneDriver, ASteadyRunIsOneEvaluateAndMakesNothing) {
  DriverCase c;
  Ready ready = c.make_ready();
  ASSERT_TRUE(ready.binding->run().ok());
  const long made = fake_->created() - fake_->count("+[NSAutoreleasePool alloc]");
  const long evaluated = fake_->count("evaluateWithQoS:options:request:error:");
  for (int run = 0; run < 10; ++run) ASSERT_TRUE(ready.binding->run().ok());
  EXPECT_EQ(fake_->count("evaluateWithQoS:options:request:error:") - evaluated, 10);
  const long made_now = fake_->created() - fake_->count("+[NSAutoreleasePool alloc]");
  EXPECT_LE(made_now - made, 10) << "more than the pool of each run";
}

TEST_F(AneDriver, NewWeightsAreCompiledAndBindingsMoveOver) {
  DriverCase c;
  Ready ready = c.make_ready();
  Ready second;
  second.executable = nullptr;
  EXPECT_TRUE(c.is_right(ready));
  c.weights = {2, 1, 0, -1};
  for (int update = 0; update < 3; ++update) {
    c.weights[1] = static_cast<float>(update);
    const Status status = ready.executable->update_weights();
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_TRUE(c.is_right(ready)) << update;
    EXPECT_EQ(fake_->loaded_programs(), 1);
  }
  EXPECT_EQ(compiles(), 4);
  EXPECT_EQ(c.engine().compiles_used(), 4);
}

TEST_F(AneDriver, AProgramFoundCompiledUsesNothingOfTheBudget) {
  fake_->script("cache yes");
  mil::Program plain;
  {
    mil::Builder b(plain);
    const mil::Type type = mil::Type::tensor(DType::fp16, {1, 4, 1, 32});
    b.output(b.sigmoid({{"x", b.input("x", type)}}), "y");
  }
  for (int process = 0; process < 2; ++process) {
    DriverCase c;
    const auto executable = c.engine().compile(plain.main(), c.compile);
    EXPECT_EQ(c.engine().compiles_used(), process == 0 ? 1 : 0);
  }
  EXPECT_EQ(compiles(), 1);
}

TEST_F(AneDriver, ACachedProgramThatDoesNotLoadIsCompiledAfterAll) {
  fake_->script("exists yes");
  DriverCase c;
  Ready ready = c.make_ready();
  EXPECT_TRUE(c.is_right(ready));
  EXPECT_EQ(compiles(), 1);
  // Of the cached one; once when that is no use, once at the end, for it has weights.
  EXPECT_EQ(fake_->count("loadWithQoS:options:error:"), 3);
}

TEST_F(AneDriver, TheSameProgramTwiceAtOnceIsTwoPrograms) {
  DriverCase c;
  Ready first = c.make_ready(), second = c.make_ready();
  EXPECT_TRUE(c.is_right(first));
  EXPECT_TRUE(c.is_right(second));
  EXPECT_EQ(compiles(), 2);
}

TEST_F(AneDriver, SurfacesMayBeMappedAheadOfTime) {
  for (const char* script : {"", "map * fail"}) {
    fake_->script(script);
    DriverCase c;
    c.options.map_surfaces = true;
    Ready ready = c.make_ready();
    EXPECT_TRUE(c.is_right(ready)) << script;
    c.weights = {0, 1, 1, 0};
    EXPECT_TRUE(ready.executable->update_weights().ok());
    EXPECT_TRUE(c.is_right(ready)) << script;
  }
}

TEST_F(AneDriver, RefusesWhatItCannotBind) {
  DriverCase c;
  Ready ready = c.make_ready();
  engine::HostSurface host(1 << 20);
  engine::Surface* surfaces[] = {&host};
  std::vector<engine::Surface*> out{ready.outputs[0].get()};
  EXPECT_THROW(ready.executable->bind(surfaces, out), Error);
  EXPECT_THROW(ready.executable->bind({}, out), Error);
  c.compile.products = engine::ProductPrecision::bf16;
  EXPECT_THROW(c.make_ready(), Error);
}

}  // namespace
}  // namespace anemone::test
