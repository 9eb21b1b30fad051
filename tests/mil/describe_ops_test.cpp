// docs/ops.md is what the definitions say.
#include "anemone/mil/describe_ops.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "anemone/base/file.h"
#include "tests/support/shared.h"

namespace anemone::mil {
namespace {

TEST(DescribeOps, TheCommittedChapterIsUpToDate) {
  const auto path = test::source_root() / "docs/ops.md";
  if (std::getenv("ANEMONE_UPDATE_GOLDEN") != nullptr) {
    ASSERT_TRUE(write_file_atomically(path, describe_ops()).ok());
  }
  EXPECT_TRUE(read_text_file(path) == describe_ops())
      << "docs/ops.md is out of date: run this test with ANEMONE_UPDATE_GOLDEN=1";
}

}  // namespace
}  // namespace anemone::mil
