// Which functions share a program.
#include "anemone/engine/ane/grouping.h"

#include <gtest/gtest.h>

namespace anemone::engine::ane {
namespace {

using Groups = std::vector<std::vector<std::size_t>>;

TEST(AneGrouping, AsFewProgramsAsTheLimitAllows) {
  EXPECT_EQ(group_functions(std::vector<int>{6, 4, 3, 2, 0, 3}, 15),
            (Groups{{0, 1, 2, 3, 4}, {5}}));
  EXPECT_EQ(group_functions(std::vector<int>{15, 1, 14}, 15), (Groups{{0}, {1, 2}}));
  EXPECT_EQ(group_functions(std::vector<int>{20, 0, 1}, 15), (Groups{{0}, {1, 2}}));
  EXPECT_EQ(group_functions(std::vector<int>{0, 0}, 15), (Groups{{0, 1}}));
  EXPECT_TRUE(group_functions({}, 15).empty());
}

}  // namespace
}  // namespace anemone::engine::ane
