// The thread pool: every task once, exceptions, reuse, many tiny regions, what it takes for a bug.
#include "anemone/compute/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "anemone/compute/cpu_quota.h"

namespace anemone::compute {
namespace {

class ThreadPools : public testing::TestWithParam<int> {};

TEST_P(ThreadPools, RunEveryTaskOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (const int tasks : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(tasks));
    std::atomic<bool> workers_ok{true};
    pool.run(tasks, [&](int task, int worker) {
      ++calls[static_cast<std::size_t>(task)];
      if (worker < 0 || worker >= pool.threads()) workers_ok = false;
    });
    for (const auto& count : calls) EXPECT_EQ(count, 1);
    EXPECT_TRUE(workers_ok);
  }
}

TEST_P(ThreadPools, MakeResultsVisibleToTheCaller) {
  ThreadPool pool(GetParam());
  std::vector<int> values(64);  // not atomic: the thread sanitizer watches
  for (int round = 0; round < 2000; ++round) {
    pool.run(64, [&](int task, int) { values[static_cast<std::size_t>(task)] += task; });
  }
  for (int i = 0; i < 64; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], 2000 * i);
}

TEST_P(ThreadPools, NeverRunOneWorkerTwiceAtOnce) {
  ThreadPool pool(GetParam());
  std::vector<long> scratch(static_cast<std::size_t>(pool.threads()));  // not atomic either
  pool.run(5000, [&](int, int worker) { ++scratch[static_cast<std::size_t>(worker)]; });
  long sum = 0;
  for (const long count : scratch) sum += count;
  EXPECT_EQ(sum, 5000);
}

TEST_P(ThreadPools, ThrowATasksExceptionAgainAndGoOn) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> calls{0};
    const auto body = [&](int task, int) {
      ++calls;
      if (task % 10 == 3) throw std::runtime_error("task " + std::to_string(task));
    };
    EXPECT_THROW(pool.run(100, body), std::runtime_error);
    EXPECT_GE(calls, 1);
    calls = 0;
    pool.run(10, [&](int, int) { ++calls; });
    EXPECT_EQ(calls, 10);
  }
}

TEST_P(ThreadPools, WakeAfterSleeping) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // far longer than they spin
    std::atomic<int> calls{0};
    pool.run(pool.threads() * 3, [&](int, int) { ++calls; });
    EXPECT_EQ(calls, pool.threads() * 3);
  }
}

// Task 0 and the first of the second half wait for each other, so no worker can take both.
TEST(ThreadPool, GivesAWorkerTheSameTasksInEveryRegion) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> begun{0};
    std::vector<int> worker_of(100);
    pool.run(100, [&](int task, int worker) {
      worker_of[static_cast<std::size_t>(task)] = worker;
      if (task % 50 != 0) return;
      ++begun;
      while (begun < 2) std::this_thread::yield();
    });
    EXPECT_EQ(worker_of[0], 0);
    EXPECT_EQ(worker_of[50], 1);
  }
}

INSTANTIATE_TEST_SUITE_P(, ThreadPools, testing::Values(1, 2, 3, 4, 9));

TEST(ThreadPoolDeathTest, RefusesARunInsideARun) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        ThreadPool pool(1);
        pool.run(2, [&](int, int) { pool.run(1, [](int, int) {}); });
      },
      "one region at a time");
}

TEST(DefaultThreadCount, IsPositive) { EXPECT_GE(default_thread_count(), 1); }

class CpuQuota : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::path(testing::TempDir()) / "anemone_cpu_quota";
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::optional<double> quota() { return cgroup_cpu_quota(root_ / "membership", root_ / "cgroup"); }
  std::filesystem::path root_;
};

TEST_F(CpuQuota, OfVersion2IsTheSmallestOnTheWayUp) {
  write("membership", "0::/user/job\n");
  EXPECT_FALSE(quota());
  write("cgroup/user/job/cpu.max", "max 100000\n");
  EXPECT_FALSE(quota());
  write("cgroup/user/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 1.5);
  write("cgroup/user/job/cpu.max", "300000 100000\n");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(CpuQuota, OfVersion1IsReadFromTheCpuController) {
  write("membership", "5:memory:/job\n3:cpu,cpuacct:/job\n");
  write("cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  write("cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(quota());
  write("cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n");
  EXPECT_EQ(quota(), 2.5);
}

TEST_F(CpuQuota, InAContainerMayStandAtTheRoot) {
  // A container often sees its own group as the root although its membership names a longer path.
  write("membership", "0::/docker/0123\n");
  write("cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

}  // namespace
}  // namespace anemone::compute
