// scripts/get-data: whatever the network does, a file has its name only when it is the right one.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "anemone/base/file.h"
#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;

bool is_installed(const char* program) {
  return std::system((std::string("command -v ") + program + " >/dev/null").c_str()) == 0;
}

class GetData : public testing::Test {
 protected:
  const char* const names_[3] = {"tokenizer.bin", "TinyStoriesV2-GPT4-valid.txt",
                                 "TinyStoriesV2-GPT4-train.txt"};

  void SetUp() override {
    if (!is_installed("curl") || !is_installed("python3"))
      GTEST_SKIP() << "curl or python3 is missing";
    fs::create_directory(served());
    fs::create_directory(data());
    for (const char* name : names_)
      ASSERT_TRUE(write_file_atomically(served() / name, text_of(name)).ok());
    server_ = std::make_unique<Process>(std::vector<std::string>{
        "/usr/bin/env", "python3", source_root() / "tests/scripts/faulty_server.py", served()});
    while (server_->output().find('\n') == std::string::npos) {
      ASSERT_TRUE(server_->running()) << server_->output();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  fs::path served() const { return folder_.path() / "served"; }
  fs::path data() const { return folder_.path() / "data"; }
  // Some 100 KB, other ones for each name.
  static std::string text_of(const std::string& name) {
    std::string text;
    for (int line = 0; text.size() < 100'000; ++line) text += name + std::to_string(line) + "\n";
    return text;
  }
  // What the sums of the files are said to be, in place of those of the real ones.
  void expect_served_files() const {
    ASSERT_EQ(std::system(("cd '" + served().string() +
                           "' && { sha256sum * 2>/dev/null || shasum -a 256 *; } >'" +
                           (data() / "SHA256SUMS").string() + "'")
                              .c_str()),
              0);
  }

  int get(const std::string& mode) {
    const std::string port = server_->output().substr(0, server_->output().find('\n'));
    return get_from("http://127.0.0.1:" + port + "/" + mode);
  }
  int get_from(const std::string& url) {
    Process process(
        {(source_root() / "scripts/get-data").string(), data().string()},
        {{"ANEMONE_STORIES_URL", url}, {"ANEMONE_TOKENIZER_URL", url}, {"no_proxy", "127.0.0.1"}});
    const int code = process.wait();
    said_ = process.output();
    return code;
  }
  bool says(const std::string& part) const { return said_.find(part) != std::string::npos; }

  std::string said_;
  TemporaryDirectory folder_;
  std::unique_ptr<Process> server_;
};

TEST_F(GetData, GoesOnWhereTheConnectionBroke) {
  expect_served_files();
  ASSERT_EQ(get("breaking"), 0) << said_;
  EXPECT_TRUE(says("the transfer broke off (curl: 18); going on at byte 40000")) << said_;
  EXPECT_TRUE(says("going on at byte 80000")) << said_;
  for (const char* name : names_) EXPECT_EQ(read_text_file(data() / name), text_of(name)) << name;
  ASSERT_EQ(get("breaking"), 0);
  EXPECT_TRUE(says("tokenizer.bin: is there")) << said_;
}

TEST_F(GetData, GoesOnWithWhatAnEarlierRunLeft) {
  expect_served_files();
  const std::string text = text_of(names_[0]);
  for (const std::size_t size : {std::size_t{30'000}, text.size()}) {
    fs::remove(data() / names_[0]);
    ASSERT_TRUE(write_file_atomically(data() / "tokenizer.bin.part", text.substr(0, size)).ok());
    ASSERT_EQ(get("good"), 0) << said_;
    EXPECT_EQ(read_text_file(data() / names_[0]), text);
  }
  // Longer than the file: it begins again.
  fs::remove(data() / names_[0]);
  ASSERT_TRUE(write_file_atomically(data() / "tokenizer.bin.part", text + text).ok());
  ASSERT_EQ(get("good"), 0) << said_;
  EXPECT_EQ(read_text_file(data() / names_[0]), text);
}

TEST_F(GetData, BeginsAgainWhereTheServerCannotGoOn) {
  expect_served_files();
  ASSERT_EQ(get("deaf"), 0) << said_;
  EXPECT_EQ(read_text_file(data() / names_[0]), text_of(names_[0]));
}

TEST_F(GetData, AnotherFileIsRefused) {
  EXPECT_EQ(get("good"), 1);  // not the real vocabulary
  EXPECT_TRUE(says("tokenizer.bin: what came has the SHA-256 ")) << said_;
  EXPECT_TRUE(says("scripts/get-data says 50a52ef822ee9e83")) << said_;
  EXPECT_TRUE(fs::is_empty(data()));

  const std::string sum(64, '0');
  ASSERT_TRUE(write_file_atomically(data() / "SHA256SUMS", sum + "  tokenizer.bin\n").ok());
  EXPECT_EQ(get("good"), 1);
  EXPECT_TRUE(says("SHA256SUMS says " + sum)) << said_;
  EXPECT_FALSE(fs::exists(data() / "tokenizer.bin"));
  EXPECT_FALSE(fs::exists(data() / "tokenizer.bin.part"));

  // One that is there already stays, and is not taken for the right one.
  ASSERT_TRUE(write_file_atomically(data() / "tokenizer.bin", "mine").ok());
  EXPECT_EQ(get("good"), 1);
  EXPECT_TRUE(says("tokenizer.bin is another file")) << said_;
  EXPECT_EQ(read_text_file(data() / "tokenizer.bin"), "mine");
}

TEST_F(GetData, SaysWhatIsWrongWithTheNetwork) {
  expect_served_files();
  EXPECT_EQ(get("page"), 1);
  EXPECT_TRUE(says("gave a web page instead of the file")) << said_;
  EXPECT_EQ(get_from("http://127.0.0.1:1"), 1);
  EXPECT_TRUE(says("cannot reach 127.0.0.1:1 (curl: 7): is there a network?")) << said_;
  fs::remove(served() / names_[0]);
  EXPECT_EQ(get("good"), 1);
  EXPECT_TRUE(says("tokenizer.bin: the server answers 404")) << said_;
  EXPECT_FALSE(fs::exists(data() / "tokenizer.bin"));
}

}  // namespace
}  // namespace anemone::test
