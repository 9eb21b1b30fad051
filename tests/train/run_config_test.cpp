// Run configs: what is read, and what a bad one is told.
#include "anemone/train/run_config.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "anemone/base/error.h"
#include "tests/support/shared.h"

namespace anemone::train {
namespace {

constexpr const char* kModel = "[model]\ndim = 8\nhidden = 16\nheads = 2\nseq = 4\n";

RunConfig parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_run_config(text, "c.toml",
                          std::vector<ConfigOverride>(overrides.begin(), overrides.end()));
}

TEST(RunConfig, ReadsTablesAndKeepsDefaults) {
  const RunConfig config = parse(std::string(kModel) +
                                 "[train]\nsteps = 7\nlearning_rate = 1\nloss_scale = 1024\n"
                                 "[engine]\nprecision = \"fp32\"\n");
  EXPECT_EQ(config.model.dim, 8);
  EXPECT_EQ(config.model.head_dim, 4);
  EXPECT_EQ(config.model.dtype, DType::fp32);
  EXPECT_EQ(config.train.steps, 7);
  EXPECT_EQ(config.train.learning_rate, 1);
  EXPECT_EQ(config.train.loss_scale, "1024");
  EXPECT_EQ(config.train.accumulate, TrainConfig().accumulate);
}

TEST(RunConfig, OverridesWin) {
  const RunConfig config =
      parse(std::string(kModel) + "[train]\nsteps = 7\n",
            {"train.steps=9", "data.source=teacher", "data.path=\"a b\"", "engine.pack_io=true",
             "train.learning_rate=2e-3", "train.loss_scale=8", "data.path=x=y"});
  EXPECT_EQ(config.train.steps, 9);
  EXPECT_EQ(config.data.source, "teacher");
  EXPECT_EQ(config.data.path, "x=y");
  EXPECT_TRUE(config.engine.pack_io);
  EXPECT_EQ(config.train.learning_rate, 2e-3);
  EXPECT_EQ(config.train.loss_scale, "8");
}

TEST(RunConfig, PrintedConfigReadsBackTheSame) {
  RunConfig config = parse(kModel, {"train.learning_rate=1.1e-3", "data.path=\"q\\\"\\\\\\u0001é\"",
                                    "train.epsilon=1e-8", "model.norm_eps=1e-5"});
  const std::string printed = to_toml(config);
  const RunConfig again = parse(printed);
  EXPECT_EQ(to_toml(again), printed);
  EXPECT_EQ(again.data.path, config.data.path);
  EXPECT_EQ(again.train.learning_rate, 1.1e-3);
  EXPECT_TRUE(resume_conflicts(config, again).empty());
}

TEST(RunConfig, ResumeConflictsNameKeyAndBothValues) {
  const RunConfig saved = parse(kModel);
  const RunConfig now =
      parse(kModel, {"train.learning_rate=0.5", "train.steps=9", "engine.threads=3"});
  EXPECT_EQ(resume_conflicts(saved, now),
            std::vector<std::string>{"train.learning_rate: was 0.001, now 0.5"});
}

TEST(RunConfig, ShippedConfigsAreGood) {
  for (const char* name :
       {"layer", "small", "teacher", "tiny", "book", "stories15m", "stories110m"}) {
    const auto path = test::source_root() / "configs" / (std::string(name) + ".toml");
    const RunConfig config = load_run_config(path, {});
    EXPECT_GT(config.model.dim, 0) << name;
  }
}

TEST(RunConfig, MissingFileIsNamed) {
  try {
    load_run_config("/nonexistent/c.toml", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("/nonexistent/c.toml"), std::string::npos);
  }
}

struct BadConfig {
  const char* text;  // after the model's table, in line 6
  std::vector<std::string> overrides;
  std::vector<const char*> message;  // all of these are in it
};

TEST(RunConfig, HostileConfigsAreToldWhy) {
  const std::string deep = "x = " + std::string(5000, '[');
  const std::string long_key = std::string(100000, 'k') + " = 1";
  const std::string many_tables = "[a" + std::string(3000, '.') + "b]";
  const std::vector<BadConfig> cases = {
      {"[train]\nstep = 4", {}, {"c.toml:7", "unknown key train.step", "train.steps"}},
      {"steps = 4", {}, {"c.toml:6", "unknown key model.steps", "train.steps"}},
      {"[trian]\nsteps = 4", {}, {"c.toml:7", "trian.steps", "train.steps"}},
      {"[train]\nsteps = \"many\"", {}, {"c.toml:7", "train.steps is a string", "an integer"}},
      {"[train]\nsteps = 4.5", {}, {"c.toml:7", "train.steps", "an integer"}},
      {"[train]\nsteps = 0", {}, {"c.toml:7", "train.steps = 0 is out of range"}},
      {"[train]\nsteps = -3", {}, {"out of range"}},
      {"[train]\nsteps = 99999999999999999999999", {}, {"c.toml:7"}},
      {"[train]\nsteps = true", {}, {"train.steps is a boolean"}},
      {"[train]\nsteps = [1, 2]", {}, {"train.steps is an array"}},
      {"[train]\nsteps = 1979-05-27", {}, {"train.steps is a date"}},
      {"[train.steps]\nx = 1", {}, {"train.steps is a table"}},
      {"[train]\nlearning_rate = nan", {}, {"train.learning_rate is not finite"}},
      {"[train]\nlearning_rate = inf", {}, {"not finite"}},
      {"[train]\nlearning_rate = -1.0", {}, {"out of range"}},
      {"[train]\nbeta1 = 1.0", {}, {"train.beta1 = 1 is out of range"}},
      {"[train]\nkeep = 0", {}, {"train.keep = 0 is out of range"}},
      {"[train]\nloss_scale = \"big\"", {}, {"train.loss_scale = \"big\"", "dynamic"}},
      {"[train]\nloss_scale = 0", {}, {"train.loss_scale"}},
      {"[train]\nloss_scale = -8", {}, {"train.loss_scale"}},
      {"[train]\nloss_scale = inf", {}, {"train.loss_scale"}},
      {"[train]\nsteps = 1\nsteps = 2", {}, {"c.toml:8"}},
      {"[train\nsteps = 1", {}, {"c.toml:6"}},
      {"[train]\nsteps 1", {}, {"c.toml:7"}},
      {"\"\\ud800\" = 1", {}, {"c.toml:6"}},
      {"x = \"\x01\"", {}, {"c.toml:6"}},
      {"x = \"\xff\xfe\"", {}, {"c.toml:6"}},
      {deep.c_str(), {}, {"c.toml:6"}},
      {long_key.c_str(), {}, {"unknown key"}},
      {many_tables.c_str(), {}, {"c.toml:6"}},
      {"[engine]\nprecision = \"fp8\"", {}, {"engine.precision = \"fp8\"", "fp16, bf16, fp32"}},
      {"[engine]\nthreads = -1", {}, {"engine.threads = -1 is out of range"}},
      {"[engine]\npack_io = 1", {}, {"engine.pack_io is an integer", "true or false"}},
      {"[engine]\nnumerics = \"ane:m9\"", {}, {"c.toml", "no profile \"m9\"", "m1, m2"}},
      {"[engine]\nnumerics = \"ane\"\nname = \"cpu\"", {}, {"cpu does not emulate"}},
      {"[engine]\nnumerics = \"ane\"\nprecision = \"bf16\"", {}, {"engine.precision", "fp16"}},
      {"[data]\nseed = 4294967296", {}, {"data.seed"}},
      {"", {"train.steps"}, {"train.steps", "KEY=VALUE"}},
      {"", {"=4"}, {"KEY=VALUE"}},
      {"", {"train.stepz=4"}, {"train.stepz=4", "train.steps"}},
      {"", {"train.steps=four"}, {"train.steps=four: 'four' is not an integer"}},
      {"", {"train.steps=1\ntrain.keep=2"}, {"is not an integer"}},
      {"", {"train.steps=99999999999999999999"}, {"the number is too large"}},
      {"", {"train.steps=-99999999999999999999"}, {"the number is too large"}},
      {"", {"train.steps="}, {"'' is not an integer"}},
      {"", {"engine.name=gpu"}, {"engine.name", "auto, reference, cpu"}},
      {"", {"engine.partition=seven"}, {"engine.partition", "expected six, merged"}},
      {"[data]\nsource = \"web\"", {}, {"c.toml:7", "original, teacher, pairs"}},
      {"[train]\nstep = 4\nkeep = 0\n[engine]\nthread = 1",
       {},
       {"3 problems", "c.toml:7: unknown key train.step;", "c.toml:8: train.keep = 0",
        "c.toml:10: unknown key engine.thread;"}},
      {"", {"model.heads=3"}, {"c.toml with model.heads=3", "3 heads do not divide"}},
      {"", {"model.rope=spiral"}, {"model.rope"}},
      {"", {"model.batch=2"}, {"model.batch"}},
  };
  for (const BadConfig& bad : cases) {
    try {
      parse(std::string(kModel) + bad.text, bad.overrides);
      ADD_FAILURE() << "was taken: " << std::string(bad.text).substr(0, 100);
    } catch (const Error& error) {
      for (const char* part : bad.message)
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
            << std::string(error.what()).substr(0, 300) << "\n  lacks: " << part;
    }
  }
}

TEST(RunConfig, EmptyFileNamesTheMissingSize) {
  try {
    parse("");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("model.dim: it is 0 or not given"), std::string::npos)
        << error.what();
  }
}

TEST(RunConfig, ErrorsTellTheFileFromTheOverride) {
  const std::string bad = std::string(kModel) + "[train]\nsteps = 0\n";
  const std::vector<ConfigOverride> flag = {{"train.steps=-3", "--steps -3"}};
  try {
    parse_run_config(kModel, "c.toml", flag);
    FAIL();
  } catch (const OverrideError& error) {
    EXPECT_EQ(error.where(), "--steps -3");
    EXPECT_EQ(error.problem(), "train.steps = -3 is out of range");
  }
  try {
    parse_run_config(bad, "c.toml", flag);
    FAIL();
  } catch (const OverrideError& error) {
    FAIL() << error.what();
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "c.toml:7");
  }
}

TEST(RunConfig, AFlagThatStandsForSeveralKeysIsNamedOnce) {
  const std::vector<ConfigOverride> flags = {{"data.source=text", "--text a.txt"},
                                             {"data.path=a.txt", "--text a.txt"},
                                             {"model.heads=3", "--set model.heads=3"}};
  try {
    parse_run_config(kModel, "c.toml", flags);
    FAIL();
  } catch (const OverrideError& error) {
    EXPECT_EQ(error.where().find("c.toml with --text a.txt --set model.heads=3"), 0U)
        << error.where();
  }
}

TEST(RunConfig, EveryKeyHasHelpAndOneTable) {
  for (const ConfigKey& key : config_keys(RunConfig())) {
    EXPECT_FALSE(key.help.empty()) << key.name;
    EXPECT_NE(key.name.find('.'), std::string::npos);
  }
}

}  // namespace
}  // namespace anemone::train
