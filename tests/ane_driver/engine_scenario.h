// The engine `ane` as the trainer uses it, under a fault script: compile, bind, run, new weights,
// run, new weights, run.
#pragma once

#include "tests/ane_driver/fault_judge.h"

namespace anemone::test {

// `together`: two functions in one program, instead of one.
void play_engine_scenario(FaultRun& run, bool together);

}  // namespace anemone::test
