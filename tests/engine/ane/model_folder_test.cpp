// The folder of a program's files: private, held by one, removed at the end.
#include "anemone/engine/ane/driver/model_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "tests/support/temporary_directory.h"

namespace anemone::engine::ane {
namespace {

namespace fs = std::filesystem;

unsigned mode_of(const fs::path& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(ModelFolder, IsPrivateAndRemoved) {
  const test::TemporaryDirectory base;
  const fs::path path = base.path() / "abc";
  {
    auto folder = ModelFolder::acquire(path);
    ASSERT_TRUE(folder.has_value());
    folder->write("model.mil", "text");
    folder->write("weights/w.bin", "weights");
    EXPECT_EQ(mode_of(path), 0700u);
    EXPECT_EQ(mode_of(path / "model.mil"), 0600u);
    EXPECT_EQ(read_text_file(path / "weights" / "w.bin"), "weights");
    EXPECT_THROW(folder->write("model.mil", "again"), Error);
  }
  EXPECT_TRUE(fs::is_empty(base.path()));
}

TEST(ModelFolder, HasOneUser) {
  const test::TemporaryDirectory base;
  const fs::path path = base.path() / "abc";
  auto first = ModelFolder::acquire(path);
  EXPECT_FALSE(ModelFolder::acquire(path).has_value());
  first.reset();
  EXPECT_TRUE(ModelFolder::acquire(path).has_value());
}

TEST(ModelFolder, TakesOverWhatADeadProcessLeft) {
  const test::TemporaryDirectory base;
  const fs::path path = base.path() / "abc";
  fs::create_directories(path / "weights");
  fs::permissions(path, fs::perms::owner_all);
  std::ofstream(path / "weights" / "old.bin") << "old";
  auto folder = ModelFolder::acquire(path);
  ASSERT_TRUE(folder.has_value());
  EXPECT_TRUE(fs::is_empty(path));
}

TEST(ModelFolder, RefusesWhatOthersCanReach) {
  const test::TemporaryDirectory base;
  const fs::path open = base.path() / "open", link = base.path() / "link";
  fs::create_directory(open);
  fs::permissions(open, fs::perms::all);
  EXPECT_THROW(ModelFolder::acquire(open), Error);
  fs::create_directory_symlink(open, link);
  EXPECT_THROW(ModelFolder::acquire(link), Error);
  EXPECT_THROW(ModelFolder::acquire(base.path() / "no" / "parent"), Error);
}

TEST(ModelFolder, FilesStayBelowIt) {
  EXPECT_EQ(path_in_folder("@model_path/weights/w.bin"), "weights/w.bin");
  for (const char* path : {"weights/w.bin", "@model_path/", "@model_path//etc/x",
                           "@model_path/../x", "@model_path/a/../../x", "@model_path/a/"})
    EXPECT_THROW(path_in_folder(path), Error) << path;
}

}  // namespace
}  // namespace anemone::engine::ane
