// `anemone train --init`: a trained model learns further, in whichever form it comes.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anemone/base/file.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;

class InitialModel : public testing::Test {
 protected:
  InitialModel() {
    std::string text;
    for (int i = 0; i < 400; ++i) text += "line " + std::to_string(i) + "\n";
    EXPECT_TRUE(write_file_atomically(path("text.txt"), text).ok());
    const std::string config =
        "[model]\ndim = 16\nhidden = 24\nheads = 2\nlayers = 2\nvocab = 256\nseq = 16\n"
        "rope = \"halves\"\n[data]\nsource = \"text\"\n"
        "[train]\nsteps = 12\naccumulate = 3\nlearning_rate = 0.01\n"
        "[engine]\nprecision = \"fp32\"\nthreads = 1\n";
    EXPECT_TRUE(write_file_atomically(path("first.toml"), config).ok());
    expect(0, {"train", "--config", path("first.toml"), "--text", path("text.txt"), "--out",
               path("first")});
  }

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  void expect(int code, std::vector<std::string> arguments, const std::string& part = "") {
    const ProgramRun ran = run_program(std::move(arguments), {{"XDG_CACHE_HOME", path("cache")}});
    EXPECT_EQ(ran.code, code) << ran.output;
    printed_ = ran.output;
    EXPECT_NE(printed_.find(part), std::string::npos) << printed_;
  }
  double loss_of(const std::string& model) {
    expect(0, {"eval", "--model", model, "--text", path("text.txt"), "--precision", "fp32",
               "--threads", "1", "--json"});
    const auto result = nlohmann::json::parse(printed_);
    EXPECT_EQ(result.at("tokens"), fs::file_size(path("text.txt")) - 1);
    EXPECT_GT(result.at("bits_per_byte"), 0);
    return result.at("mean_nll");
  }

  std::string printed_;
  TemporaryDirectory folder_;
};

TEST_F(InitialModel, BringsItsShapeAndItsWeights) {
  expect(0, {"convert", path("first"), path("first.bin")});
  expect(0, {"convert", path("first"), path("first-llama")});
  const double before = loss_of(path("first"));
  for (const std::string form : {"first", "first.bin", "first-llama"}) {
    SCOPED_TRACE(form);
    const std::string out = path("from-" + form);
    const std::vector<std::string> further = {"train",
                                              "--text",
                                              path("text.txt"),
                                              "--out",
                                              out,
                                              "--precision",
                                              "fp32",
                                              "--set",
                                              "train.accumulate=1",
                                              "--set",
                                              "train.learning_rate=0"};
    std::vector<std::string> begin = further;
    begin.insert(begin.end(), {"--steps", "2", "--init", path(form)});
    expect(0, begin);
    EXPECT_NEAR(loss_of(out), before, 1e-6);
    // A resume has the shape from the run itself.
    std::vector<std::string> go_on = further;
    go_on.insert(go_on.end(), {"--steps", "3", "--resume"});
    expect(0, go_on, "steps         3 in 3 updates");
  }
}

TEST_F(InitialModel, MustBeAModel) {
  fs::create_directory(path("empty"));
  for (const std::string name : {"nowhere", "text.txt", "empty"}) {
    expect(1, {"train", "--text", path("text.txt"), "--init", path(name)},
           "(expected a run folder or a checkpoint, a .bin file of llama2.c");
  }
}

TEST_F(InitialModel, ARunThatIsNotThereIsNotResumed) {
  expect(1, {"train", "--resume", "--out", path("empty")},
         path("empty") + ": there is no run to resume (expected the folder of a run");
  expect(2, {"train", "--resume"}, "--resume: which run goes on is not given");
}

TEST_F(InitialModel, TextThatIsNoneIsNoted) {
  expect(0, {"convert", path("first"), path("first.bin")});
  expect(0, {"eval", "--model", path("first"), "--text", path("first.bin")},
         path("first.bin") + " does not look like text (it has zero bytes)");
  // A model that knows nothing but digits and "line" is sure of the wrong thing.
  EXPECT_NE(printed_.find("to give every token the same chance would be better (5.5452 nats)"),
            std::string::npos)
      << printed_;
}

// Heads leave no trace in the shapes of tensors.
TEST_F(InitialModel, MustBeOfTheConfigsShape) {
  expect(1,
         {"train", "--config", path("first.toml"), "--text", path("text.txt"), "--init",
          path("first"), "--set", "model.heads=4", "--out", path("other")},
         path("first") + ": this model has model.heads = 2 (expected 4, as the run's config says)");
  EXPECT_FALSE(fs::exists(path("other")));
}

}  // namespace
}  // namespace anemone::test
