// Which files a folder is, and what is said where it cannot be read.
#include "anemone/text/documents.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "tests/support/temporary_directory.h"

namespace anemone::text {
namespace {

namespace fs = std::filesystem;

class TextFiles : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(deep());
    for (const fs::path& path : {folder() / "b.txt", folder() / "a.txt", deep() / "c.txt"})
      ASSERT_TRUE(write_file_atomically(path, "text").ok());
  }
  const fs::path& folder() const { return folder_.path(); }
  fs::path deep() const { return folder() / "deep"; }
  std::vector<std::string> files() const {
    return text_files(std::vector<std::string>{folder().string()});
  }
  std::string refusal() const {
    try {
      return std::to_string(files().size()) + " files";
    } catch (const Error& error) {
      return error.what();
    }
  }

 private:
  test::TemporaryDirectory folder_;
};

TEST_F(TextFiles, AreAllBelowAFolder) {
  fs::create_symlink("nowhere", folder() / "link");  // leads to no file
  EXPECT_EQ(files(), (std::vector<std::string>{folder() / "a.txt", folder() / "b.txt",
                                               folder() / "deep" / "c.txt"}));
}

TEST_F(TextFiles, SayWhichLinkLeadsToItself) {
  fs::create_symlink("link", deep() / "link");
  const std::string said = refusal();
  EXPECT_EQ(said.rfind((deep() / "link").string() + ": cannot read: ", 0), 0U) << said;
}

// Root may read everything: it becomes another user for a moment.
TEST_F(TextFiles, SayWhichFolderCannotBeRead) {
  fs::permissions(folder(), fs::perms::all);
  fs::permissions(deep(), fs::perms::none);
  const bool root = ::geteuid() == 0;
  constexpr uid_t kNobody = 65534;
  if (root && ::seteuid(kNobody) != 0) GTEST_SKIP() << "cannot be another user here";
  const std::string said = refusal();
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  fs::permissions(deep(), fs::perms::all);
  EXPECT_EQ(said.rfind(deep().string() + ": cannot read: ", 0), 0U) << said;
}

}  // namespace
}  // namespace anemone::text
