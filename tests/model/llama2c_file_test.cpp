// llama2.c's files: round trips, real ones, and everything that can be wrong with one.
#include "anemone/model/llama2c_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "anemone/base/file.h"
#include "tests/model/small_model.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::model {
namespace {

using test::complaint;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string llama2c_bytes(const test::SmallModel& model) {
  const test::TemporaryDirectory folder;
  const auto path = folder.path() / "m.bin";
  EXPECT_EQ(write_llama2c(path, model.config(), model.tensors()).message, "");
  return read_text_file(path);
}

std::string with_number(std::string file, std::size_t at, std::int32_t number) {
  std::memcpy(file.data() + at * sizeof number, &number, sizeof number);
  return file;
}

TEST(Llama2cFile, ComesBackAsItWas) {
  for (const bool tied : {true, false}) {
    const test::SmallModel model(test::small_config(nn::Rope::pairs, tied));
    const std::string file = llama2c_bytes(model);
    const ModelFile read = parse_llama2c(bytes_of(file), "m.bin");
    EXPECT_EQ(read.config.dim, 48);
    EXPECT_EQ(read.config.hidden, 40);
    EXPECT_EQ(read.config.layers, 2);
    EXPECT_EQ(read.config.heads, 6);
    EXPECT_EQ(read.config.kv_heads, 2);
    EXPECT_EQ(read.config.head_dim, 8);
    EXPECT_EQ(read.config.vocab, 19);
    EXPECT_EQ(read.config.seq, 12);
    EXPECT_EQ(read.config.tied, tied);
    EXPECT_EQ(read.config.rope, nn::Rope::pairs);
    test::expect_same_tensors(read.tensors, model.tensors());
  }
}

// The layout by hand: the header, and the first numbers of some kinds where llama2.c has them.
TEST(Llama2cFile, PutsKindsOneAfterTheOther) {
  const test::SmallModel model(test::small_config(nn::Rope::pairs, /*tied=*/false));
  const std::string file = llama2c_bytes(model);
  std::int32_t header[7];
  std::memcpy(header, file.data(), sizeof header);
  EXPECT_EQ(std::vector<std::int32_t>(header, header + 7),
            (std::vector<std::int32_t>{48, 40, 2, 6, 2, -19, 12}));
  const auto number_at = [&](std::size_t index) {
    float value;
    std::memcpy(&value, file.data() + sizeof header + index * sizeof value, sizeof value);
    return value;
  };
  const auto first_of = [&](const std::string& name) {
    for (const NamedTensor& named : model.tensors()) {
      float value;
      std::memcpy(&value, named.tensor.data.data(), sizeof value);
      if (named.name == name) return value;
    }
    return std::nanf("");
  };
  EXPECT_EQ(number_at(0), first_of("embedding"));
  EXPECT_EQ(number_at(19 * 48), first_of("l0.norm1"));
  EXPECT_EQ(number_at(19 * 48 + 48), first_of("l1.norm1"));
  std::size_t at = 19 * 48 + 2 * 48;
  EXPECT_EQ(number_at(at), first_of("l0.wq"));
  EXPECT_EQ(number_at(at += 48 * 48), first_of("l1.wq"));
  EXPECT_EQ(number_at(at += 48 * 48), first_of("l0.wk"));
  EXPECT_EQ(number_at(at += 2 * 16 * 48), first_of("l0.wv"));
  EXPECT_EQ(number_at(at += 2 * 16 * 48), first_of("l0.wo"));
  EXPECT_EQ(number_at(at += 2 * 48 * 48), first_of("l0.norm2"));
  EXPECT_EQ(number_at(at += 2 * 48), first_of("l0.w1"));
  EXPECT_EQ(number_at(at += 2 * 40 * 48), first_of("l0.w2"));
  EXPECT_EQ(number_at(at += 2 * 40 * 48), first_of("l0.w3"));
  EXPECT_EQ(number_at(at += 2 * 40 * 48), first_of("final_norm"));
  EXPECT_EQ(number_at(at += 48), 1);          // the cosine of 0
  EXPECT_EQ(number_at(at += 12 * 8 / 2), 0);  // its sine
  EXPECT_EQ(number_at(at += 12 * 8 / 2), first_of("classifier"));
  EXPECT_EQ((at + 19 * 48) * sizeof(float) + sizeof header, file.size());
}

TEST(Llama2cFile, SaysWhatIsWrong) {
  const std::string file =
      llama2c_bytes(test::SmallModel(test::small_config(nn::Rope::pairs, true)));
  const auto said = [](const std::string& bytes) {
    return complaint([&] { (void)parse_llama2c(bytes_of(bytes), "m.bin"); });
  };
  EXPECT_EQ(said(file), "");
  EXPECT_NE(said(file.substr(0, 27)).find("m.bin: 27 bytes are too few"), std::string::npos);
  const std::string short_by_one = said(file.substr(0, file.size() - 1));
  EXPECT_NE(short_by_one.find(std::to_string(file.size() - 1)), std::string::npos) << short_by_one;
  EXPECT_NE(short_by_one.find("expected " + std::to_string(file.size())), std::string::npos);
  EXPECT_NE(said(file + "x"), "");
  for (std::size_t at = 0; at < 7; ++at) {
    for (const std::int32_t bad : {0, -1, 1 << 30, INT32_MAX, INT32_MIN}) {
      EXPECT_NE(said(with_number(file, at, bad)), "") << at << " " << bad;
    }
  }
  EXPECT_NE(said(with_number(file, 4, 4)).find("kv_heads"), std::string::npos);  // 6 heads
  EXPECT_NE(said(with_number(file, 0, 0x616b3432)).find("versioned layout"), std::string::npos);
}

TEST(Llama2cFile, TakesAnyBytes) {
  const std::string file =
      llama2c_bytes(test::SmallModel(test::small_config(nn::Rope::pairs, true)));
  for (std::size_t size = 0; size < file.size(); size += size < 64 ? 1 : 997)
    EXPECT_THROW((void)parse_llama2c(bytes_of(file.substr(0, size)), "m"), Error) << size;
  std::minstd_rand random(7);
  for (int trial = 0; trial < 2000; ++trial) {
    const std::string bad =
        with_number(file, random() % 7, static_cast<std::int32_t>(random() >> (random() % 31)) - 3);
    (void)complaint([&] { (void)parse_llama2c(bytes_of(bad), "m"); });
  }
}

TEST(Llama2cFile, RefusesWhatTheLayoutCannotHold) {
  const auto said = [](nn::ModelConfig config) {
    config.resolve();
    const test::SmallModel model(config);
    const test::TemporaryDirectory folder;
    const std::string text = complaint(
        [&] { (void)write_llama2c(folder.path() / "m.bin", model.config(), model.tensors()); });
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
    return text;
  };
  nn::ModelConfig config = test::small_config(nn::Rope::pairs, true);
  config.rope_theta = 500000;
  EXPECT_NE(said(config).find("rope_theta = 500000"), std::string::npos);
  config = test::small_config(nn::Rope::pairs, true);
  config.norm_eps = 1e-6;
  EXPECT_NE(said(config).find("norm_eps"), std::string::npos);
  config = test::small_config(nn::Rope::pairs, true);
  config.head_dim = 16;
  EXPECT_NE(said(config).find("head_dim = 16"), std::string::npos);
  EXPECT_NE(said(test::small_config(nn::Rope::none, true)).find("rotary"), std::string::npos);
}

TEST(Llama2cFile, AFailedWriteLeavesNothing) {
  const test::SmallModel model(test::small_config(nn::Rope::pairs, true));
  const test::TemporaryDirectory folder;
  const Status status =
      write_llama2c(folder.path() / "no" / "m.bin", model.config(), model.tensors());
  EXPECT_NE(status.message.find("cannot create"), std::string::npos) << status.message;
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// Real files come back byte for byte, but for the rotary tables: those are computed anew.
void round_trip(const std::filesystem::path& path) {
  const ModelFile file = read_model(path);
  const test::TemporaryDirectory folder;
  const auto copy = folder.path() / "copy.bin";
  ASSERT_EQ(write_model(copy, ModelFormat::llama2c, file.config, file.tensors).message, "");
  const std::string before = read_text_file(path), after = read_text_file(copy);
  ASSERT_EQ(before.size(), after.size());
  const std::size_t tables =
      static_cast<std::size_t>(file.config.seq * file.config.head_dim) * sizeof(float);
  ASSERT_TRUE(file.config.tied);  // so the tables are the end of the file
  const std::size_t weights = before.size() - tables;
  EXPECT_EQ(std::memcmp(before.data(), after.data(), weights), 0);
  int different = 0;
  for (std::size_t at = weights; at < before.size(); at += sizeof(float)) {
    float x, y;
    std::memcpy(&x, before.data() + at, sizeof x);
    std::memcpy(&y, after.data() + at, sizeof y);
    different += x != y ? 1 : 0;
    // An angle of up to seq, rounded to fp32 twice on its way.
    EXPECT_NEAR(x, y, static_cast<double>(file.config.seq) * 0x1p-23);
  }
  ::testing::Test::RecordProperty("table_entries_that_differ", different);
}

TEST(Llama2cFile, RealFilesComeBack) {
  ANEMONE_SHARED_OR_SKIP(aidreams, "models/aidreams260K.bin");
  round_trip(aidreams);
  ANEMONE_SHARED_OR_SKIP(stories, "models/stories260K.bin");
  round_trip(stories);
  EXPECT_EQ(read_model(aidreams).description, "llama2.c, 0.23 M parameters");
}

}  // namespace
}  // namespace anemone::model
