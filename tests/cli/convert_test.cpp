// `anemone convert`: both formats, there and back, whatever happens to the disk meanwhile.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "anemone/base/file.h"
#include "anemone/model/model_file.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"
#include "tests/tools/io_fault.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;

TEST(ConvertCommand, ThereAndBackWritesTheSameText) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const std::string model = (models / "aidreams260K.bin").string();
  const TemporaryDirectory folder;
  const std::string there = (folder.path() / "there").string(),
                    back = (folder.path() / "back.bin").string();
  const ProgramRun first = run_program({"convert", model, there});
  EXPECT_EQ(first.code, 0);
  EXPECT_EQ(first.output, there +
                              ": llama2.c, 0.23 M parameters, as a Hugging Face llama, with the "
                              "tokenizer " +
                              (models / "tok512.bin").string() + "\n");
  EXPECT_EQ(run_program({"convert", there, back}).code, 0);
  std::vector<std::string> texts;
  for (const std::string& path : {model, there, back}) {
    texts.push_back(  // with the tokenizer that travelled with it
        run_program(
            {"generate", "--model", path, "--ids", "--temperature", "0", "--precision", "fp32"})
            .output);
  }
  const std::string vocabulary = read_text_file(models / "tok512.bin");
  EXPECT_EQ(read_text_file(folder.path() / "there/tokenizer.bin"), vocabulary);
  EXPECT_EQ(read_text_file(folder.path() / "back.tokenizer.bin"), vocabulary);
  EXPECT_GT(texts[0].size(), 300U);
  EXPECT_EQ(texts[1], texts[0]);
  EXPECT_EQ(texts[2], texts[0]);
}

TEST(ConvertCommand, SaysHowToGiveATokenizer) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const TemporaryDirectory folder;
  const std::string model = (folder.path() / "m.bin").string(),
                    out = (folder.path() / "out").string();
  fs::copy_file(models / "stories260K.bin", model);
  const ProgramRun none = run_program({"convert", model, out});
  EXPECT_EQ(none.code, 0);
  EXPECT_NE(none.output.find("note: no tokenizer is copied: " + model +
                             ": no tokenizer of 512 tokens is found"),
            std::string::npos)
      << none.output;
  EXPECT_NE(none.output.find("or --tokenizer FILE"), std::string::npos) << none.output;

  const ProgramRun wrong = run_program({"convert", model, (folder.path() / "wrong").string(),
                                        "--tokenizer", (models / "llama2-tokenizer.bin").string()});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_NE(wrong.output.find("has 32000 tokens (expected 512"), std::string::npos) << wrong.output;
  EXPECT_FALSE(fs::exists(folder.path() / "wrong"));

  const std::string given = (models / "tok512.bin").string();
  EXPECT_EQ(
      run_program({"convert", out, (folder.path() / "n.bin").string(), "--tokenizer", given}).code,
      0);
  EXPECT_EQ(read_text_file(folder.path() / "n.tokenizer.bin"), read_text_file(given));
  // A stale one is not passed over in silence.
  const ProgramRun stale = run_program({"convert", out, (folder.path() / "n.bin").string()});
  EXPECT_NE(stale.output.find("n.tokenizer.bin stays, and generate will take it"),
            std::string::npos)
      << stale.output;
}

TEST(ConvertCommand, SaysWhatIsWrong) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const std::string model = (models / "aidreams260K.bin").string();
  const TemporaryDirectory folder;
  EXPECT_NE(run_program({"convert", model, folder.path()}).output.find("it is there already"),
            std::string::npos);
  EXPECT_EQ(run_program({"convert", model, model}).code, 2);
  EXPECT_EQ(run_program({"convert", model, "x", "--to", "onnx"}).code, 2);
  EXPECT_EQ(
      run_program({"convert", (models / "tok512.bin").string(), (folder.path() / "x").string()})
          .code,
      1);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

// Whatever call fails, or ends the program: what is there under the name is whole, or nothing is.
TEST(ConvertCommand, WritesWholeOrNotAtAll) {
#if defined(__APPLE__)
  GTEST_SKIP() << "there is no fault injector on macOS";
#endif
  ANEMONE_SHARED_OR_SKIP(model, "models/aidreams260K.bin");
  for (const char* name : {"out.bin", "out"}) {
    const TemporaryDirectory folder;
    const fs::path out = folder.path() / name, count = folder.path() / "count";
    const auto convert = [&](long at, io_fault::Kind kind) {
      fs::remove_all(out);
      const std::string fault = folder.path().string() + ":" + std::to_string(at) + ":" +
                                std::to_string(static_cast<int>(kind));
      return run_program({"convert", model.string(), out.string()},
                         {{"LD_PRELOAD", io_fault_library().string()},
                          {"ANEMONE_IO_FAULT", fault},
                          {"ANEMONE_IO_FAULT_COUNT", count.string()}});
    };
    ASSERT_EQ(convert(0, io_fault::Kind::kill).code, 0);
    const long calls = std::stol(read_text_file(count));
    ASSERT_GT(calls, 4);
    const auto whole = model::read_model(out).tensors.size();
    for (const io_fault::Kind kind :
         {io_fault::Kind::full_disk, io_fault::Kind::error_once, io_fault::Kind::kill}) {
      for (long at = 1; at <= calls; at += 1 + calls / 25) {
        const ProgramRun result = convert(at, kind);
        if (fs::exists(out)) {
          EXPECT_EQ(model::read_model(out).tensors.size(), whole) << name << " " << at;
        } else {
          EXPECT_NE(result.code, 0) << name << " " << at;
        }
        if (kind == io_fault::Kind::kill) continue;
        EXPECT_FALSE(fs::exists(folder.path() / (std::string(name) + ".tmp")))
            << name << " " << at << ": " << result.output;
      }
    }
    EXPECT_EQ(convert(0, io_fault::Kind::kill).code, 0);  // after whatever was left
    EXPECT_EQ(model::read_model(out).tensors.size(), whole);
  }
}

}  // namespace
}  // namespace anemone::test
