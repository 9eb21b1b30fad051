// Checkpoints: what is written is what is read, what is kept, and which one is taken.
#include "anemone/train/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "anemone/base/file.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/sample_checkpoint.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;

TEST(Checkpoint, ReadsBackWhatWasSaved) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 2);
  EXPECT_FALSE(store.load_latest().has_value());
  const SampleCheckpoint sample(7);
  ASSERT_EQ(store.save(sample.contents()).message, "");
  const auto loaded = store.load_latest();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->directory.filename(), "step-00000007");
  EXPECT_TRUE(loaded->refused.empty());
  EXPECT_EQ(sample.difference(*loaded), "");
  EXPECT_EQ(read_text_file(run.path() / "checkpoints/LATEST"), "step-00000007\n");
  EXPECT_EQ(sample.difference(CheckpointStore::load(loaded->directory)), "");
}

TEST(Checkpoint, HashesAreThoseOfXxhsum) {
  const test::TemporaryDirectory run;
  const SampleCheckpoint sample(1);
  ASSERT_EQ(CheckpointStore(run.path(), 1).save(sample.contents()).message, "");
  const fs::path directory = run.path() / "checkpoints/step-00000001";
  for (const char* name : {"state.json", "tensors.safetensors"}) {
    const MappedFile file(directory / name);
    EXPECT_NE(read_text_file(directory / "manifest.json").find(content_hash(file.bytes())),
              std::string::npos);
  }
  // The value that `printf abc | xxhsum -H128` prints.
  EXPECT_EQ(content_hash(std::as_bytes(std::span("abc", 3))), "06b05ab6733a618578af5f94892f3950");
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

TEST(Checkpoint, KeepsTheNewestAndRemovesLeftovers) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 2);
  const fs::path checkpoints = run.path() / "checkpoints";
  for (const std::uint64_t step : {10, 20, 30}) {
    ASSERT_EQ(store.save(SampleCheckpoint(step).contents()).message, "");
  }
  EXPECT_EQ(names_in(checkpoints), (Names{"LATEST", "step-00000020", "step-00000030"}));
  fs::create_directories(checkpoints / "step-00000040.tmp/deep");
  ASSERT_EQ(store.save(SampleCheckpoint(40).contents()).message, "");
  EXPECT_EQ(names_in(checkpoints), (Names{"LATEST", "step-00000030", "step-00000040"}));
  // Going on from an earlier step gives up the later ones.
  ASSERT_EQ(store.save(SampleCheckpoint(35).contents()).message, "");
  EXPECT_EQ(names_in(checkpoints), (Names{"LATEST", "step-00000030", "step-00000035"}));
  ASSERT_EQ(store.set_aside().message, "");
  EXPECT_FALSE(store.load_latest().has_value());
  EXPECT_EQ(names_in(run.path() / "checkpoints.old").size(), 3U);
  ASSERT_EQ(store.set_aside().message, "");
}

TEST(Checkpoint, ReplacesOneOfTheSameStep) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 2);
  ASSERT_EQ(store.save(SampleCheckpoint(10, 1).contents()).message, "");
  const SampleCheckpoint second(10, 2);
  ASSERT_EQ(store.save(second.contents()).message, "");
  EXPECT_EQ(second.difference(*store.load_latest()), "");
  EXPECT_EQ(names_in(run.path() / "checkpoints"), (Names{"LATEST", "step-00000010"}));
}

Status save_marked(CheckpointStore& store, std::uint64_t step, std::vector<Mark> marks) {
  const SampleCheckpoint sample(step);
  CheckpointContents contents = sample.contents();
  contents.marks = std::move(marks);
  return store.save(contents);
}

TEST(Checkpoint, KeepsTheBestApartFromTheNewest) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 2);
  const fs::path checkpoints = run.path() / "checkpoints";
  EXPECT_FALSE(store.load_marked(Mark::best).has_value());
  ASSERT_EQ(save_marked(store, 10, {Mark::best, Mark::good}).message, "");
  for (const std::uint64_t step : {20, 30, 40}) {
    ASSERT_EQ(save_marked(store, step, {}).message, "");
  }
  EXPECT_EQ(names_in(checkpoints),
            (Names{"BEST", "GOOD", "LATEST", "step-00000010", "step-00000030", "step-00000040"}));
  EXPECT_EQ(SampleCheckpoint(10).difference(*store.load_marked(Mark::best)), "");
  ASSERT_EQ(save_marked(store, 50, {Mark::best}).message, "");
  EXPECT_EQ(store.load_marked(Mark::best)->directory.filename(), "step-00000050");
  EXPECT_EQ(store.load_marked(Mark::good)->directory.filename(), "step-00000010");
  ASSERT_EQ(save_marked(store, 60, {Mark::good}).message, "");
  EXPECT_EQ(names_in(checkpoints),
            (Names{"BEST", "GOOD", "LATEST", "step-00000050", "step-00000060"}));
  // Going on from an earlier step gives up the best one with the other later ones.
  ASSERT_EQ(save_marked(store, 45, {}).message, "");
  EXPECT_FALSE(store.load_marked(Mark::best).has_value());
}

TEST(Checkpoint, ReturningGivesUpWhatFollows) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 2);
  const fs::path checkpoints = run.path() / "checkpoints";
  ASSERT_EQ(save_marked(store, 10, {Mark::good}).message, "");
  for (const std::uint64_t step : {20, 30}) ASSERT_EQ(save_marked(store, step, {}).message, "");
  fs::rename(checkpoints / "step-00000010", checkpoints / "step-00000010.old");  // a crash
  ASSERT_EQ(store.return_to(10).message, "");
  EXPECT_EQ(names_in(checkpoints), (Names{"GOOD", "LATEST", "step-00000010"}));
  EXPECT_EQ(SampleCheckpoint(10).difference(*store.load_latest()), "");
}

TEST(Checkpoint, MarksAreSetAndTakenAway) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 2);
  ASSERT_EQ(save_marked(store, 10, {Mark::best}).message, "");
  ASSERT_EQ(save_marked(store, 20, {}).message, "");
  ASSERT_EQ(store.set_mark(Mark::best, 20).message, "");
  EXPECT_EQ(store.load_marked(Mark::best)->directory.filename(), "step-00000020");
  ASSERT_EQ(store.set_mark(Mark::best, 15).message, "");
  EXPECT_FALSE(fs::exists(run.path() / "checkpoints/BEST"));
  ASSERT_EQ(store.set_mark(Mark::best, 15).message, "");
}

TEST(Checkpoint, ARunFolderNamesItsBestAndItsLast) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 2);
  const auto found = [&](const char* name) {
    return find_checkpoint(run.path() / name).value_or("").filename();
  };
  EXPECT_EQ(find_checkpoint(run.path()), std::nullopt);
  EXPECT_EQ(find_checkpoint(run.path() / "best"), std::nullopt);
  EXPECT_EQ(find_checkpoint(""), std::nullopt);
  ASSERT_EQ(save_marked(store, 10, {}).message, "");
  EXPECT_EQ(find_checkpoint(run.path())->filename(), "step-00000010");
  EXPECT_THROW(find_checkpoint(run.path() / "best"), Error);
  ASSERT_EQ(store.set_mark(Mark::best, 10).message, "");
  ASSERT_EQ(save_marked(store, 20, {}).message, "");
  EXPECT_EQ(found("best"), "step-00000010");
  EXPECT_EQ(found("last"), "step-00000020");
  EXPECT_EQ(find_checkpoint(run.path())->filename(), "step-00000010");
  EXPECT_EQ(found("checkpoints/step-00000020"), "step-00000020");
  // Something of that name that is there is what is meant.
  fs::create_directory(run.path() / "best");
  EXPECT_EQ(found("best"), "");
}

TEST(Checkpoint, ACrashWhileReplacingLosesNoMark) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 1);
  const fs::path checkpoints = run.path() / "checkpoints";
  ASSERT_EQ(save_marked(store, 10, {Mark::best}).message, "");
  fs::rename(checkpoints / "step-00000010", checkpoints / "step-00000010.old");
  EXPECT_TRUE(store.load_marked(Mark::best).has_value());
  ASSERT_EQ(save_marked(store, 20, {}).message, "");
  EXPECT_EQ(store.load_marked(Mark::best)->directory.filename(), "step-00000010");
}

TEST(Checkpoint, FindsItsWayWithoutLatest) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 3);
  const fs::path checkpoints = run.path() / "checkpoints";
  for (const std::uint64_t step : {10, 20}) {
    ASSERT_EQ(store.save(SampleCheckpoint(step).contents()).message, "");
  }
  for (const char* latest : {"step-00000099\n", "../../etc\n", "", "step-00000010.tmp"}) {
    ASSERT_EQ(write_file_atomically(checkpoints / "LATEST", latest).message, "");
    const auto loaded = store.load_latest();
    EXPECT_EQ(loaded->directory.filename(), "step-00000020");
    ASSERT_EQ(loaded->refused.size(), 1U);
    EXPECT_NE(loaded->refused[0].find("which is not there"), std::string::npos);
  }
  fs::remove(checkpoints / "LATEST");
  EXPECT_EQ(store.load_latest()->directory.filename(), "step-00000020");
  // A crash between the two renames of a replacement.
  fs::rename(checkpoints / "step-00000020", checkpoints / "step-00000020.old");
  EXPECT_EQ(store.load_latest()->directory.filename(), "step-00000020.old");
  // LATEST wins over a newer one that it does not name.
  ASSERT_EQ(write_file_atomically(checkpoints / "LATEST", "step-00000010\n").message, "");
  EXPECT_EQ(store.load_latest()->directory.filename(), "step-00000010");
}

TEST(Checkpoint, SaysWhatIsWrongWithAllOfThem) {
  const test::TemporaryDirectory run;
  CheckpointStore store(run.path(), 3);
  for (const std::uint64_t step : {10, 20}) {
    ASSERT_EQ(store.save(SampleCheckpoint(step).contents()).message, "");
  }
  fs::remove(run.path() / "checkpoints/step-00000010/manifest.json");
  fs::resize_file(run.path() / "checkpoints/step-00000020/state.json", 3);
  try {
    (void)store.load_latest();
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("step-00000010: cannot use"), std::string::npos) << text;
    EXPECT_NE(text.find("manifest.json: cannot open"), std::string::npos) << text;
    EXPECT_NE(text.find("state.json: 3 bytes, manifest says"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace anemone::train
