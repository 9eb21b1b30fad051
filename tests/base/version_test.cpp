// The build info names a version and the compiler, whatever the build.
#include "anemone/base/version.h"

#include <gtest/gtest.h>

namespace anemone {
namespace {

TEST(Version, SaysWhatWasBuilt) {
  EXPECT_FALSE(build_info().version.empty());
  EXPECT_FALSE(build_info().git.empty());
  EXPECT_FALSE(build_info().compiler.empty());
}

}  // namespace
}  // namespace anemone
