// Damaged checkpoints: flipped bits and cut-off lengths all over every file; each is refused with
// the name of the file and what is wrong, and the checkpoint before it is used. Every bit and
// length is tried where $ANEMONE_EXHAUSTIVE is set (a minute), else one in kStride, an odd number
// so that all eight bits of a byte have their turn.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "anemone/base/file.h"
#include "anemone/train/checkpoint.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/sample_checkpoint.h"

namespace anemone::train {
namespace {

namespace fs = std::filesystem;
constexpr const char* kFiles[] = {"state.json", "tensors.safetensors", "manifest.json"};

std::size_t stride() {
  constexpr std::size_t kStride = 23;
  return std::getenv("ANEMONE_EXHAUSTIVE") != nullptr ? 1 : kStride;
}

void overwrite(const fs::path& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

class CheckpointDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const SampleCheckpoint* sample : {&previous_, &newest_}) {
      ASSERT_EQ(store_.save(sample->contents()).message, "");
    }
  }

  // Loads with `file` of the newest checkpoint holding `contents` instead.
  void expect_refused(const char* file, const std::string& contents, const std::string& reason) {
    overwrite(newest_path_ / file, contents);
    const auto loaded = store_.load_latest();
    ASSERT_TRUE(loaded.has_value());
    ASSERT_EQ(previous_.difference(*loaded), "");
    ASSERT_EQ(loaded->refused.size(), 1U);
    ASSERT_NE(loaded->refused[0].find(file), std::string::npos) << loaded->refused[0];
    ASSERT_NE(loaded->refused[0].find(reason), std::string::npos) << loaded->refused[0];
  }

  test::TemporaryDirectory run_;
  CheckpointStore store_{run_.path(), 2};
  SampleCheckpoint previous_{10}, newest_{20};
  fs::path newest_path_ = run_.path() / "checkpoints/step-00000020";
};

TEST_F(CheckpointDamage, AFlippedBitAnywhereIsRefused) {
  for (const char* file : kFiles) {
    const std::string good = read_text_file(newest_path_ / file);
    const bool is_manifest = std::string(file) == "manifest.json";
    for (std::size_t bit = 0; bit < good.size() * 8; bit += stride()) {
      SCOPED_TRACE(std::string(file) + ", bit " + std::to_string(bit));
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
      ASSERT_NO_FATAL_FAILURE(expect_refused(file, bad, is_manifest ? "" : "manifest says"));
    }
    overwrite(newest_path_ / file, good);
    EXPECT_EQ(newest_.difference(*store_.load_latest()), "");
  }
}

TEST_F(CheckpointDamage, AWrongLengthIsRefused) {
  for (const char* file : kFiles) {
    const std::string good = read_text_file(newest_path_ / file);
    for (std::size_t size = 0; size < good.size(); size += stride()) {
      SCOPED_TRACE(std::string(file) + " cut to " + std::to_string(size));
      ASSERT_NO_FATAL_FAILURE(expect_refused(file, good.substr(0, size), ""));
    }
    for (const std::string& tail : {std::string("\n"), std::string(1, '\0'), good}) {
      ASSERT_NO_FATAL_FAILURE(expect_refused(file, good + tail, ""));
    }
    overwrite(newest_path_ / file, good);
  }
}

TEST_F(CheckpointDamage, AMissingFileIsRefused) {
  for (const char* file : kFiles) {
    const std::string good = read_text_file(newest_path_ / file);
    fs::remove(newest_path_ / file);
    const auto loaded = store_.load_latest();
    EXPECT_EQ(previous_.difference(*loaded), "");
    EXPECT_NE(loaded->refused.at(0).find(std::string(file) + ": cannot open"), std::string::npos);
    overwrite(newest_path_ / file, good);
  }
}

TEST_F(CheckpointDamage, AFlippedBitInLatestFindsAUsableOne) {
  const fs::path latest = run_.path() / "checkpoints/LATEST";
  const std::string good = read_text_file(latest);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    overwrite(latest, bad);
    const auto loaded = store_.load_latest();
    ASSERT_TRUE(loaded.has_value()) << bit;
    EXPECT_EQ(loaded->directory.filename(),
              bad == "step-00000010\n" ? "step-00000010" : "step-00000020");
  }
}

// Files of another checkpoint, or of a newer format, are no match for the manifest.
TEST_F(CheckpointDamage, SwappedAndForeignFilesAreRefused) {
  const fs::path previous_path = run_.path() / "checkpoints/step-00000010";
  expect_refused("state.json", read_text_file(previous_path / "state.json"), "manifest says");
  fs::copy_file(previous_path / "manifest.json", newest_path_ / "manifest.json",
                fs::copy_options::overwrite_existing);
  const auto loaded = store_.load_latest();
  EXPECT_EQ(previous_.difference(*loaded), "");
  expect_refused("manifest.json", R"({"format":"anemone-checkpoint","version":2})",
                 "format version 2 (expected 1)");
  expect_refused("manifest.json", "{}", "\"format\" is null");
  expect_refused("manifest.json", R"({"format":"other"})", "not a manifest");
  expect_refused("manifest.json", std::string(30000, '['), "nested too deeply");
  expect_refused("manifest.json", std::string(100000, ' '), "100000 bytes");
}

}  // namespace
}  // namespace anemone::train
