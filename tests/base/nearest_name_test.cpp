#include "anemone/base/nearest_name.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace anemone {
namespace {

TEST(NearestName, FindsTypingErrorsOnly) {
  const std::vector<std::string_view> names = {"softmax", "sigmoid", "silu",
                                               "conv",    "x",       "reduce_sum"};
  EXPECT_EQ(nearest_name("sofmax", names), "softmax");
  EXPECT_EQ(nearest_name("sigmiod", names), "sigmoid");
  EXPECT_EQ(nearest_name("reduce_sums", names), "reduce_sum");
  EXPECT_EQ(nearest_name("cnov", names), "conv");
  EXPECT_EQ(nearest_name("pooling", names), "");
  EXPECT_EQ(nearest_name("y", names), "");  // nothing of the name is left
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name(std::string(5000, 's'), names), "");
  EXPECT_EQ(nearest_name("softmax", {}), "");
}

}  // namespace
}  // namespace anemone
