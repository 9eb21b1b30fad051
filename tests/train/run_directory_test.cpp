// The lock of a run folder: one holder, named by pid; gone with the process; kept across exec.
#include "anemone/train/run_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "anemone/base/file.h"
#include "tests/support/temporary_directory.h"

namespace anemone::train {
namespace {

TEST(RunDirectory, CreatesItsFolderAndLocksIt) {
  const test::TemporaryDirectory folder;
  const auto path = folder.path() / "deep/run/";
  {
    const RunDirectory run(path);
    EXPECT_EQ(run.metrics_path(), folder.path() / "deep/run/metrics.jsonl");
    try {
      const RunDirectory second(path);
      FAIL();
    } catch (const Error& error) {
      const std::string expected = "process " + std::to_string(::getpid());
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
  EXPECT_NO_THROW(RunDirectory{path});
}

TEST(RunDirectory, RefusesAFileInItsPlace) {
  const test::TemporaryDirectory folder;
  ASSERT_EQ(write_file_atomically(folder.path() / "run", "x").message, "");
  EXPECT_THROW(RunDirectory(folder.path() / "run"), Error);
  EXPECT_THROW(RunDirectory(folder.path() / "run/deeper"), Error);
}

TEST(RunDirectory, DiscardsOnlyWhatItMade) {
  const test::TemporaryDirectory folder;
  const auto fresh = folder.path() / "a/fresh", used = folder.path() / "used";
  RunDirectory(fresh).discard_if_new();
  EXPECT_FALSE(std::filesystem::exists(fresh));
  std::filesystem::create_directory(used);
  RunDirectory(used).discard_if_new();
  EXPECT_TRUE(std::filesystem::exists(used));
  RunDirectory with_more(folder.path() / "more");
  ASSERT_EQ(write_file_atomically(with_more.path() / "mine", "x").message, "");
  with_more.discard_if_new();
  EXPECT_TRUE(std::filesystem::exists(with_more.path() / "mine"));
}

// Exit status of a child that runs `action`; its stdout and destructors are not ours.
template <typename Action>
int run_in_child(Action action) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(action());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(RunDirectory, TheLockGoesWithAKilledProcess) {
  const test::TemporaryDirectory folder;
  EXPECT_EQ(run_in_child([&] {
              const RunDirectory run(folder.path());
              ::kill(::getpid(), SIGKILL);
              return 0;
            }),
            128 + SIGKILL);
  EXPECT_NO_THROW(RunDirectory(folder.path()));
}

TEST(RunDirectory, TheLockIsAdoptedAfterExec) {
  const test::TemporaryDirectory folder;
  const std::string path = folder.path().string();
  { const RunDirectory make_lock_file(folder.path()); }
  // The shell stands for the re-executed program: it inherits the locked descriptor.
  const std::string script =
      "test -n \"$ANEMONE_RUN_LOCK_FD\" || exit 1; "
      "flock -n \"$ANEMONE_RUN_LOCK_FD\" || exit 2; "  // the same open file: adopted
      "! flock -n '" +
      path + "/lock' true || exit 3";  // anybody else: refused
  if (std::system("command -v flock > /dev/null") != 0) GTEST_SKIP() << "no flock(1) here";
  EXPECT_EQ(run_in_child([&] {
              RunDirectory run(folder.path());
              run.keep_for_exec();
              ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
              return 9;
            }),
            0);
  // In one process, as the constructor of the re-executed program sees it.
  EXPECT_EQ(run_in_child([&] {
              { RunDirectory(folder.path()).keep_for_exec(); }
              const RunDirectory adopted(folder.path());
              return std::getenv("ANEMONE_RUN_LOCK_FD") == nullptr ? 0 : 1;
            }),
            0);
  // A number that is not this lock is ignored.
  EXPECT_EQ(run_in_child([&] {
              const int other = ::open("/dev/null", O_RDONLY);
              ::setenv("ANEMONE_RUN_LOCK_FD", std::to_string(other).c_str(), 1);
              const RunDirectory run(folder.path());
              return ::fcntl(other, F_GETFD) >= 0 ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace anemone::train
