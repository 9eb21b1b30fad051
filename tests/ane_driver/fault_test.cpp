// What the driver does when the framework fails: the policy of docs/ane.md, seen through the fake.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "tests/ane_driver/driver_case.h"

namespace anemone::test {
namespace {

using engine::ane::Milliseconds;

class AneFaults : public ::testing::Test {
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
  std::string compile_problem(DriverCase& c) {
    try {
      c.make_ready();
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
  long compiles() const { return fake_->count("compileWithQoS:options:error:"); }

  FakeAne* fake_ = nullptr;
  long live_ = 0;
};

TEST_F(AneFaults, ARefusalIsReportedWithTheProgram) {
  fake_->script("compile 1 fail");
  DriverCase c;
  const std::string problem = compile_problem(c);
  EXPECT_EQ(problem.rfind("l0.case: compile failed: ANECCompile() FAILED "
                          "(com.apple.appleneuralengine.compiler, code 1); the program is saved in",
                          0),
            0u)
      << problem;
  EXPECT_EQ(compiles(), 1);
  const std::filesystem::path folder = problem.substr(problem.rfind(' ') + 1);
  EXPECT_NE(read_text_file(folder / "model.mil").find("conv"), std::string::npos);
  EXPECT_FALSE(std::filesystem::is_empty(folder / "weights"));
  EXPECT_NE(read_text_file(folder / "error.txt").find("ANECCompile"), std::string::npos);
  // The service gets its 15 seconds before it is asked again; then all is well.
  Ready ready = c.make_ready();
  EXPECT_TRUE(c.is_right(ready));
  EXPECT_EQ(c.clock.slept, Milliseconds(15000));
  EXPECT_EQ(c.engine().compiles_used(), 2);
}

TEST_F(AneFaults, TheSameRefusalHasTheSameText) {
  fake_->script("compile * fail");
  DriverCase c;
  const std::string first = compile_problem(c);
  EXPECT_EQ(compile_problem(c), first);
}

TEST_F(AneFaults, ALostServiceIsAskedOnceMore) {
  fake_->script("compile 1 code 4097 domain NSCocoaErrorDomain text \"connection interrupted\"");
  DriverCase c;
  Ready ready = c.make_ready();
  EXPECT_TRUE(c.is_right(ready));
  EXPECT_EQ(compiles(), 2);
  EXPECT_EQ(c.clock.slept, Milliseconds(15000));

  fake_->script("compile * code 4097 domain NSCocoaErrorDomain text \"connection interrupted\"");
  DriverCase never;
  EXPECT_NE(compile_problem(never).find("connection interrupted (NSCocoaErrorDomain, code 4097)"),
            std::string::npos);
  EXPECT_EQ(compiles(), 2);
}

TEST_F(AneFaults, NilAndSilenceAreFailuresToo) {
  const std::pair<const char*, const char*> cases[] = {
      {"descriptor 1 nil", "making the descriptor failed without an error"},
      {"model 1 nil", "making the model failed without an error"},
      {"compile 1-2 fail no-error", "compile failed without an error that says why"},
      {"load * fail no-error", "load failed without an error that says why"},
      {"request 1 nil", "no _ANERequest"},
      {"surface-object 1 nil", "no _ANEIOSurfaceObject"},
      {"surface 1 nil", "the system made no IOSurface"},
  };
  for (const auto& [script, expected] : cases) {
    fake_->script(script);
    DriverCase c;
    const std::string problem = compile_problem(c);
    EXPECT_NE(problem.find(expected), std::string::npos) << script << ": " << problem;
  }
}

TEST_F(AneFaults, ALoadIsTriedTwice) {
  fake_->script("load 1 fail");
  DriverCase c;
  Ready ready = c.make_ready();
  EXPECT_TRUE(c.is_right(ready));
  EXPECT_EQ(c.clock.slept, Milliseconds(100));

  fake_->script("load * fail");
  DriverCase never;
  EXPECT_NE(compile_problem(never).find("load failed: Program load failure (0x1)"),
            std::string::npos);
  EXPECT_EQ(fake_->count("loadWithQoS:options:error:"), 2);

  fake_->script("load * fail text \"no memory (0x20004)\"");
  DriverCase full;
  EXPECT_NE(compile_problem(full).find("0x20004"), std::string::npos);
  EXPECT_EQ(fake_->count("loadWithQoS:options:error:"), 1);
}

TEST_F(AneFaults, AnEvaluationThatFailsIsNotForgotten) {
  DriverCase c;
  Ready ready = c.make_ready();
  fake_->script("evaluate 1 status 0x1d garbage; evaluate 2-3 text busy; evaluate 5-7 text busy");
  Status status = ready.binding->run();  // a wrong request: at once
  EXPECT_NE(status.message.find("0x1d"), std::string::npos) << status.message;
  EXPECT_TRUE(c.is_right(ready));  // twice busy, then well
  EXPECT_EQ(c.clock.slept, Milliseconds(40));
  status = ready.binding->run();  // three times busy
  EXPECT_EQ(status.message, "evaluate failed: busy (com.apple.appleneuralengine, code 8)");
  EXPECT_TRUE(c.is_right(ready));
}

TEST_F(AneFaults, FailedNewWeightsLeaveTheOldOnes) {
  DriverCase c;
  Ready ready = c.make_ready();
  ASSERT_TRUE(c.is_right(ready));
  const std::vector<float> old = c.weights;
  for (const char* script : {"compile 1 fail", "load * fail", "request 1 nil", "model 1 nil"}) {
    fake_->script(script);
    c.weights = {3, 0, 0, 3};
    EXPECT_FALSE(ready.executable->update_weights().ok()) << script;
    c.weights = old;
    EXPECT_TRUE(c.is_right(ready)) << script;
    fake_->script("");
  }
  c.weights = {3, 0, 0, 3};
  EXPECT_TRUE(ready.executable->update_weights().ok());
  EXPECT_TRUE(c.is_right(ready));
}

TEST_F(AneFaults, OtherStridesAfterAnUpdateAreRefused) {
  DriverCase c;
  Ready ready = c.make_ready();
  fake_->script("compile 1 strides 256");
  const Status status = ready.executable->update_weights();
  EXPECT_NE(status.message.find("wants its inputs or outputs elsewhere"), std::string::npos)
      << status.message;
  EXPECT_TRUE(c.is_right(ready));
  EXPECT_TRUE(ready.executable->update_weights().ok());
}

TEST_F(AneFaults, ACompileThatNeverReturnsIsReported) {
  fake_->script("compile 1 hang 400");
  {
    DriverCase c;  // with the system's clock
    c.options.service.clock = nullptr;
    c.options.service.limits.build = Milliseconds(50);
    EXPECT_NE(compile_problem(c).find("compile does not return: no answer in 0.05 s"),
              std::string::npos);
    EXPECT_NE(compile_problem(c).find("an earlier compile does not return"), std::string::npos);
  }
  // The fake's call returns, and all that it used goes.
  for (int tries = 0; tries < 20000 && fake_->live() != live_; ++tries)
    std::this_thread::sleep_for(Milliseconds(1));
}

TEST_F(AneFaults, BeyondTheBudgetTheTextSaysSo) {
  fake_->script("budget 119");
  DriverCase c;
  Ready ready = c.make_ready();
  for (int update = 0; update < 118; ++update)
    ASSERT_TRUE(ready.executable->update_weights().ok()) << update;
  const Status status = ready.executable->update_weights();
  EXPECT_NE(status.message.find("compiled more than 119 programs"), std::string::npos)
      << status.message;
  EXPECT_TRUE(c.is_right(ready));
}

TEST_F(AneFaults, AnUnloadThatFailsIsNobodysBusiness) {
  fake_->script("unload * fail");
  DriverCase c;
  Ready ready = c.make_ready();
  EXPECT_TRUE(c.is_right(ready));
}

TEST_F(AneFaults, ALockThatFailsIsAnError) {
  DriverCase c;
  Ready ready = c.make_ready();
  fake_->script("lock 1 fail");
  EXPECT_THROW(ready.read("y"), Error);
  EXPECT_TRUE(c.is_right(ready));
}

}  // namespace
}  // namespace anemone::test
