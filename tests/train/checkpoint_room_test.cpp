// The warning of a disk too small, and that a run gives it.
#include "anemone/train/checkpoint_room.h"

#include <gtest/gtest.h>

#include "tests/train/run_case.h"

namespace anemone::train {
namespace {

TEST(CheckpointRoom, SaysWhatDoesNotFit) {
  EXPECT_EQ(room_warning(6'000'000, 1'000'000, 6), "");
  EXPECT_EQ(
      room_warning(5'999'999, 1'000'000, 6),
      "the disk has room for 5 checkpoints only, and 6 may be there at once: 6.0 MB are free, "
      "a checkpoint takes 1.0 MB");
  EXPECT_EQ(room_warning(999'999, 1'000'000, 1),
            "no checkpoint can be saved: 1.0 MB are free, a checkpoint takes 1.0 MB");
  EXPECT_EQ(room_warning(0, 0, 3), "");
}

// As many as no disk holds.
TEST(CheckpointRoom, ARunWarnsBeforeItsFirstStep) {
  test::RunCase large, small;
  large.options.config.train.keep = 2'000'000'000;
  large.run_until(1, false);
  EXPECT_TRUE(large.said("may be there at once"));
  small.run_until(1, false);
  EXPECT_FALSE(small.said("may be there at once"));
}

}  // namespace
}  // namespace anemone::train
