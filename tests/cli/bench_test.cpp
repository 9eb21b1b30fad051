// `anemone bench step`: what it says to numbers of steps that cannot be.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/process.h"
#include "tests/support/shared.h"

namespace anemone {
namespace {

TEST(BenchCommand, SaysHowManyStepsThereMayBe) {
  for (const std::string steps : {"0", "-3", "1000001"}) {
    test::Process process({test::program_path().string(), "bench", "step", "--config",
                           (test::source_root() / "configs/small.toml").string(), "--steps",
                           steps});
    EXPECT_EQ(process.wait(), 2);
    EXPECT_EQ(process.output().find("anemone: error: --steps: " + steps +
                                    " is out of range (expected 1 to 1000000)\n"),
              0U)
        << process.output();
  }
}

}  // namespace
}  // namespace anemone
