// Runs the driver under random fault scripts and judges each: no crash, no hang, no leak, no misuse
// of the framework, no file left, and exactly the calls, second tries and pauses foretold.
#pragma once

#include <functional>
#include <random>
#include <string>

#include "anemone/base/error.h"
#include "tests/ane_driver/driver_case.h"
#include "tests/ane_driver/fault_plan.h"
#include "tests/support/fake_ane.h"

namespace anemone::test {

// One script under way.
struct FaultRun {
  explicit FaultRun(const FaultPlan& plan) : foretold(plan) {}

  // Does `call` throw Error exactly when it must? Whether it succeeded; the rest goes to `wrong`.
  bool step(const char* what, bool must_succeed, const std::function<void()>& call);

  Foretold foretold;
  TestClock clock;
  std::string wrong;
  long compiles = 0;      // as the driver counts them
  bool complete = false;  // everything succeeded in the end
};

using FaultScenario = std::function<void(FaultRun&)>;
// Draws a plan and what to do under it.
using DrawScenario = std::function<FaultScenario(std::mt19937&, FaultPlan&)>;

// Fails the test, naming script and number, for the first few scripts that went wrong; and if the
// scripts do not reach every kind of failure often enough to mean something.
void run_fault_scripts(FakeAne& fake, int scripts, const DrawScenario& draw);

}  // namespace anemone::test
