// Writing where a user says, and reading what has no size.
#include "anemone/base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tests/support/temporary_directory.h"

namespace anemone {
namespace {

namespace fs = std::filesystem;

TEST(WriteFile, ReplacesFilesAndWritesIntoLinksAndPipes) {
  const test::TemporaryDirectory folder;
  const fs::path file = folder.path() / "file", link = folder.path() / "link",
                 pipe = folder.path() / "pipe";
  ASSERT_EQ(write_file(file, {"first"}).message, "");
  fs::create_hard_link(file, folder.path() / "other");
  ASSERT_EQ(write_file(file, {"a", "", "b"}).message, "");
  EXPECT_EQ(read_text_file(file), "ab");
  EXPECT_EQ(read_text_file(folder.path() / "other"), "first");  // another file now

  fs::create_symlink(file, link);
  ASSERT_EQ(write_file(link, {"through the link"}).message, "");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_text_file(file), "through the link");

  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string received;
  std::thread reader([&] {
    const int descriptor = ::open(pipe.c_str(), O_RDONLY);
    received = read_to_end(descriptor, "pipe");
    ::close(descriptor);
  });
  EXPECT_EQ(write_file(pipe, {std::string(100'000, 'x'), "y"}).message, "");
  reader.join();
  EXPECT_EQ(received, std::string(100'000, 'x') + "y");
}

TEST(ReplaceableFile, IsBehindALinkAndNoDevicePipeOrFolder) {
  const test::TemporaryDirectory folder;
  const fs::path file = folder.path() / "file", link = folder.path() / "link",
                 pipe = folder.path() / "pipe";
  EXPECT_EQ(replaceable_file(file), file);  // nothing yet
  ASSERT_TRUE(write_file(file, {"text"}).ok());
  EXPECT_EQ(replaceable_file(file), file);
  fs::create_symlink(file, link);
  EXPECT_EQ(replaceable_file(link), fs::canonical(file));
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const fs::path& other : {pipe, folder.path(), fs::path("/dev/null"), fs::path()})
    EXPECT_THROW(replaceable_file(other), Error) << other;
}

TEST(WriteFile, NamesTheFileMeantAndLeavesNothing) {
  const test::TemporaryDirectory folder;
  const fs::path file = folder.path() / "none" / "file";
  EXPECT_EQ(write_file(file, {"text"}).message,
            file.string() + ": cannot create: No such file or directory");
  const fs::path taken = folder.path() / "taken";
  fs::create_directories(taken / "deeper");
  EXPECT_FALSE(write_file_atomically(taken, "text").ok());
  EXPECT_FALSE(fs::exists(folder.path() / "taken.tmp"));
}

TEST(ReadFile, SaysThatAFolderIsNone) {
  const test::TemporaryDirectory folder;
  try {
    read_text_file(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              folder.path().string() + ": is a folder (expected a file)");
  }
  EXPECT_THROW(read_to_end(-1, "nothing"), Error);
}

}  // namespace
}  // namespace anemone
