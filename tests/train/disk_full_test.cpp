// A disk that is full for real: a small tmpfs (needs the right to mount), and the limit on the size
// of files.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#include <sys/mount.h>
#endif

#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "anemone/base/file.h"
#include "anemone/train/checkpoint.h"
#include "anemone/train/metrics.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/sample_checkpoint.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;
constexpr int kNoRight = 77;

// What `action` says in a child process, whose mounts and limits end with it; nothing if it had no
// right to set them up.
std::optional<std::string> in_child(const fs::path& folder,
                                    const std::function<std::string()>& action) {
  const fs::path answer = folder / "answer";
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string said = action();
    if (said == "no right") ::_exit(kNoRight);
    FileWriter writer(answer);
    writer.write(said);
    ::_exit(writer.finish().ok() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoRight) return std::nullopt;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  return read_text_file(answer);
}

// Two saves; the second is given `room` to fail in. Says the complaint of the second, or what is
// wrong with the state after it.
std::string save_twice(const fs::path& run, const std::function<void()>& take_room_away,
                       const std::function<void()>& give_it_back) {
  CheckpointStore store(run, 2);
  const SampleCheckpoint first(10), second(20);
  if (Status status = store.save(first.contents()); !status.ok()) return "first: " + status.message;
  take_room_away();
  const std::string complaint = store.save(second.contents()).message;
  const auto loaded = store.load_latest();
  if (!loaded || !first.difference(*loaded).empty()) return "the first checkpoint is lost";
  give_it_back();
  if (Status status = store.save(second.contents()); !status.ok())
    return "after: " + status.message;
  if (!second.difference(*store.load_latest()).empty()) return "the next save is wrong";
  return complaint;
}

#ifdef __linux__
std::optional<std::string> on_small_tmpfs(const char* size,
                                          const std::function<void(const fs::path&)>& fill,
                                          const std::function<void(const fs::path&)>& empty) {
  const test::TemporaryDirectory folder;
  const fs::path mounted = folder.path() / "disk";
  fs::create_directory(mounted);
  return in_child(folder.path(), [&]() -> std::string {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
      return "no right";
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "no right";
    if (::mount("none", mounted.c_str(), "tmpfs", 0, size) != 0) return "no right";
    return save_twice(
        mounted, [&] { fill(mounted); }, [&] { empty(mounted); });
  });
}

TEST(DiskFull, ASmallDiskIsRefusedBeforeWriting) {
  const auto said = on_small_tmpfs(
      "size=256k",
      [](const fs::path& disk) {
        FileWriter ballast(disk / "ballast");
        ballast.write(std::string(200 << 10, 'x'));
        ASSERT_EQ(ballast.finish().message, "");
      },
      [](const fs::path& disk) { fs::remove(disk / "ballast"); });
  if (!said) GTEST_SKIP() << "no right to mount a tmpfs here";
  EXPECT_NE(said->find("a checkpoint needs 0.1 MB and the disk has"), std::string::npos) << *said;
}

TEST(DiskFull, NoRoomForAnotherFileIsReported) {
  const auto said = on_small_tmpfs(
      "size=1m,nr_inodes=20",
      [](const fs::path& disk) {
        for (int i = 0;; ++i) {  // all but two: a folder and the first file fit
          std::FILE* file = std::fopen((disk / ("inode" + std::to_string(i))).c_str(), "w");
          if (file == nullptr) break;
          std::fclose(file);
        }
        fs::remove(disk / "inode0");
        fs::remove(disk / "inode1");
      },
      [](const fs::path& disk) {
        for (int i = 2; fs::remove(disk / ("inode" + std::to_string(i))); ++i) {
        }
      });
  if (!said) GTEST_SKIP() << "no right to mount a tmpfs here";
  EXPECT_NE(said->find("cannot create: No space left on device"), std::string::npos) << *said;
}
#endif

TEST(DiskFull, ALimitOnTheSizeOfFilesIsReported) {
  const test::TemporaryDirectory folder;
  const auto set_limit = [](rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  const auto said = in_child(folder.path(), [&] {
    return save_twice(
        folder.path(), [&] { set_limit(1000); }, [&] { set_limit(RLIM_INFINITY); });
  });
  EXPECT_NE(said->find("tensors.safetensors: cannot write: File too large"), std::string::npos)
      << *said;
}

TEST(DiskFull, MetricsLinesWaitForRoom) {
  const test::TemporaryDirectory folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  const auto said = in_child(folder.path(), [&]() -> std::string {
    ::signal(SIGXFSZ, SIG_IGN);
    MetricsLog log(path, 0);
    log.line(R"({"type":"run"})");
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 20;  // in the middle of the second line
    ::setrlimit(RLIMIT_FSIZE, &limit);
    log.line(R"({"type":"a"})");
    const std::string complaint = log.sync().message;
    const std::uint64_t offset = log.offset();
    limit.rlim_cur = before;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    log.line(R"({"type":"b"})");
    if (!log.sync().ok() || log.offset() != offset + 13) return "still failing";
    return complaint;
  });
  EXPECT_NE(said->find("metrics.jsonl: cannot write: File too large"), std::string::npos) << *said;
  EXPECT_EQ(read_text_file(path), "{\"type\":\"run\"}\n{\"type\":\"a\"}\n{\"type\":\"b\"}\n");
}

}  // namespace
}  // namespace anemone::train
