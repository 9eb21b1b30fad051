// The trainer's state reads back as it was written, and damaged text is refused.
#include "anemone/train/trainer_state.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "anemone/base/error.h"

namespace anemone::train {
namespace {

TrainerState sample_state() {
  TrainerState state;
  state.step = 123456789012345678ULL;
  state.update = 7;
  state.adam_t = 6;
  state.accumulated = 3;
  state.loss_sum = 0.1 + 0.2;
  state.non_finite = "l0.dh1 \"quoted\" \xff";
  state.loss_scale.scale = 1.0 / 1024;
  state.loss_scale.good_updates = 5;
  state.validation_due = true;
  state.sample_due = true;
  state.validation = {3, 1.0 / 3, 12, 12, 40, 0.25};
  state.metrics_offset = 4242;
  state.best_loss = 1.25;
  state.best_step = 96;
  state.data_offset = 3;
  state.wall_seconds = 1e-300;
  state.config = "[model]\ndim = 8\n";
  state.environment = {{"isa", "avx512"}, {"threads", "2"}};
  return state;
}

TEST(TrainerState, RoundTrips) {
  const std::string json = to_json(sample_state());
  const TrainerState again = parse_trainer_state(json, "state.json");
  EXPECT_EQ(to_json(again), json);
  EXPECT_EQ(again.step, 123456789012345678ULL);
  EXPECT_EQ(again.loss_sum, 0.1 + 0.2);
  EXPECT_EQ(again.loss_scale.scale, 1.0 / 1024);
  EXPECT_EQ(again.environment.at("isa"), "avx512");
}

TEST(TrainerState, KeepsWhatIsNotFinite) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  TrainerState state = sample_state();
  for (const double sum : {kInfinity, -kInfinity}) {
    state.loss_sum = sum;
    EXPECT_EQ(parse_trainer_state(to_json(state), "state.json").loss_sum, sum);
  }
  state.loss_sum = std::nan("");
  EXPECT_TRUE(std::isnan(parse_trainer_state(to_json(state), "state.json").loss_sum));
}

TEST(TrainerState, AnOlderVersionLacksWhatCameLater) {
  nlohmann::json old = nlohmann::json::parse(to_json(sample_state()));
  old["version"] = 1;
  for (const char* name :
       {"best_loss", "best_step", "data_offset", "rollbacks", "rollbacks_in_row"})
    old.erase(name);
  const TrainerState state = parse_trainer_state(old.dump(), "state.json");
  EXPECT_EQ(state.update, 7U);
  EXPECT_TRUE(std::isinf(state.best_loss));
  EXPECT_EQ(state.data_offset, 0U);
  old["version"] = 2;
  EXPECT_THROW(parse_trainer_state(old.dump(), "state.json"), Error);
}

TEST(TrainerState, EveryTruncationIsRefused) {
  const std::string json = to_json(sample_state());
  for (std::size_t size = 0; size + 2 < json.size(); ++size)
    EXPECT_THROW(parse_trainer_state(json.substr(0, size), "state.json"), Error) << size;
}

TEST(TrainerState, OtherVersionsAndTypesAreRefusedWithThePlace) {
  for (const char* text : {"{}", "[]", "null", "{\"version\": 1}", "{\"version\": 99}",
                           "{\"version\": \"1\"}", "{\"version\": 1, \"step\": \"many\"}"}) {
    try {
      parse_trainer_state(text, "run/state.json");
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("run/state.json"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace anemone::train
