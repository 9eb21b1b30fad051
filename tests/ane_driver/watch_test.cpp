// Calls that do not return, and methods that raise exceptions: what the driver makes of them.
#include <gtest/gtest.h>

#include <thread>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/call_thread.h"
#include "tests/ane_driver/driver_case.h"

namespace anemone::test {
namespace {

using engine::ane::CallLimits;
using engine::ane::Milliseconds;

class AneWatch : public ::testing::Test {
 protected:
  void SetUp() override {
    fake_ = FakeAne::load();
    if (fake_ == nullptr) GTEST_SKIP() << "the fake framework was not built";
    fake_->script("");
    live_ = fake_->live();
  }
  // What a held call used is given back when it returns.
  void TearDown() override {
    if (fake_ == nullptr) return;
    for (int tries = 0; tries < 10000; ++tries) {
      fake_->let_go();
      if (fake_->live() == live_) break;
      std::this_thread::sleep_for(Milliseconds(1));
    }
    EXPECT_EQ(fake_->violations(), "");
    EXPECT_EQ(fake_->live(), live_) << fake_->describe_live();
    EXPECT_EQ(fake_->loaded_programs(), 0);
    EXPECT_EQ(fake_->left_files(), "");
  }
  static std::string problem_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

  FakeAne* fake_ = nullptr;
  long live_ = 0;
};

TEST_F(AneWatch, AnEvaluationThatDoesNotReturnIsAFailedRun) {
  DriverCase c;
  Ready ready = c.make_ready();
  fake_->script("evaluate 1 hold");
  EXPECT_EQ(ready.binding->run().message, "evaluate does not return: no answer in 60 s");
  EXPECT_EQ(fake_->held(), 1);
  // Nothing more is asked of the framework.
  EXPECT_EQ(ready.binding->run().message, "an earlier evaluate does not return: no answer in 60 s");
  EXPECT_NE(ready.executable->update_weights().message.find("an earlier evaluate"),
            std::string::npos);
  EXPECT_EQ(problem_of([&] { c.make_ready(); }),
            "l0.case: an earlier evaluate does not return: no answer in 60 s (expected another "
            "process)");
  EXPECT_EQ(fake_->count("evaluateWithQoS:options:request:error:"), 1);
  EXPECT_EQ(fake_->count("compileWithQoS:options:error:"), 0);
  // The end of everything that the call uses does not wait for it, and takes nothing from it.
}

TEST_F(AneWatch, WhatComesBackAfterAllIsTidiedUp) {
  for (const char* script : {"evaluate 1 hold", "evaluate 1 hold; unload 1 hold"}) {
    {
      DriverCase c;
      Ready ready = c.make_ready();
      fake_->script(script);
      EXPECT_FALSE(ready.binding->run().ok());
    }
    EXPECT_EQ(fake_->loaded_programs(), 1) << "nobody takes it away under the call";
    TearDown();
  }
}

TEST_F(AneWatch, AnUnloadThatDoesNotReturnKeepsNobody) {
  DriverCase c;
  {
    Ready ready = c.make_ready();
    fake_->script("unload 1 hold");
  }
  EXPECT_EQ(fake_->held(), 1);
  EXPECT_NE(problem_of([&] { c.make_ready(); }).find("an earlier unload does not return"),
            std::string::npos);
}

TEST_F(AneWatch, SlowIsNotOverdue) {
  DriverCase c;
  c.options.service.clock = nullptr;
  c.options.service.limits.other = Milliseconds(20000);
  Ready ready = c.make_ready();
  fake_->script("evaluate * hang 100");
  EXPECT_TRUE(c.is_right(ready));
}

TEST_F(AneWatch, ExceptionsAreErrorsThatSayWhatTheySay) {
  const std::string raised =
      " raised NSInternalInconsistencyException: nil inserted into a dictionary";
  const std::pair<const char*, const char*> cases[] = {
      {"descriptor", "making the descriptor failed: modelWithMILText:weights:optionsPlist:"},
      {"model", "making the model failed: inMemoryModelWithDescriptor:"},
      {"compile", "compile failed: compileWithQoS:options:error:"},
      {"load", "load failed: loadWithQoS:options:error:"},
      {"request",
       "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:"
       "procedureIndex:"},
      {"surface-object", "objectWithIOSurface:"},
  };
  for (const auto& [point, expected] : cases) {
    fake_->script(std::string(point) + " 1 raise text \"nil inserted into a dictionary\"");
    DriverCase c;
    const std::string problem = problem_of([&] { c.make_ready(); });
    EXPECT_NE(problem.find(expected + raised), std::string::npos) << point << ": " << problem;
    EXPECT_EQ(problem.find("l0.case: "), 0U) << problem;
    Ready ready = c.make_ready();  // and it goes on
    EXPECT_TRUE(c.is_right(ready)) << point;
  }
}

TEST_F(AneWatch, AnExceptionInARunIsAFailedRun) {
  DriverCase c;
  c.options.map_surfaces = true;
  fake_->script("map * raise; evaluate 1 raise text \"no such symbol\"; unload * raise");
  Ready ready = c.make_ready();
  EXPECT_EQ(ready.binding->run().message,
            "evaluate failed: evaluateWithQoS:options:request:error: raised "
            "NSInternalInconsistencyException: no such symbol");
  EXPECT_EQ(fake_->count("evaluateWithQoS:options:request:error:"), 1) << "no second try";
  EXPECT_TRUE(c.is_right(ready));
}

TEST(AneLimits, ComeFromTheEnvironment) {
  EXPECT_EQ(CallLimits::from_environment().other, Milliseconds(60000));
  setenv("ANEMONE_ANE_PATIENCE", "7", 1);
  EXPECT_EQ(CallLimits::from_environment().other, Milliseconds(7000));
  EXPECT_EQ(CallLimits::from_environment().build, Milliseconds(7000));
  for (const char* text : {"0", "-1", "soon", "7s", "99999999999999999999"}) {
    setenv("ANEMONE_ANE_PATIENCE", text, 1);
    EXPECT_THROW(CallLimits::from_environment(), Error) << text;
  }
  unsetenv("ANEMONE_ANE_PATIENCE");
}

}  // namespace
}  // namespace anemone::test
