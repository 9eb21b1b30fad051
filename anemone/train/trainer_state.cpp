// The trainer's state as JSON; one list of fields reads and writes it.
#include "anemone/train/trainer_state.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <type_traits>

#include "anemone/base/error.h"
#include "anemone/train/json_number.h"

namespace anemone::train {
namespace {

// A field that came with a later version has its default in states of the versions before.
constexpr std::int64_t kStateVersion = 3;

template <class State, class Visit>
void visit_fields(State& state, Visit&& visit) {
  visit("step", state.step);
  visit("update", state.update);
  visit("adam_t", state.adam_t);
  visit("accumulated", state.accumulated);
  visit("loss_sum", state.loss_sum);
  visit("non_finite", state.non_finite);
  visit("skipped_updates", state.skipped_updates);
  visit("discarded_in_row", state.discarded_in_row);
  visit("loss_scale", state.loss_scale.scale);
  visit("loss_scale_good_updates", state.loss_scale.good_updates);
  visit("validation_due", state.validation_due);
  visit("metrics_offset", state.metrics_offset);
  visit("best_loss", state.best_loss, 2);
  visit("best_step", state.best_step, 2);
  visit("data_offset", state.data_offset, 2);
  visit("rollbacks", state.rollbacks, 2);
  visit("rollbacks_in_row", state.rollbacks_in_row, 2);
  visit("sample_due", state.sample_due, 3);
  visit("validation_done", state.validation.done, 3);
  visit("validation_loss_sum", state.validation.loss_sum, 3);
  visit("validation_targets", state.validation.targets, 3);
  visit("validation_tokens", state.validation.tokens, 3);
  visit("validation_bytes", state.validation.bytes, 3);
  visit("validation_seconds", state.validation.seconds, 3);
  visit("restarts", state.restarts);
  visit("compiles", state.compiles);
  visit("wall_seconds", state.wall_seconds);
  visit("train_seconds", state.train_seconds);
  visit("compile_seconds", state.compile_seconds);
  visit("checkpoint_seconds", state.checkpoint_seconds);
  visit("config", state.config);
  visit("environment", state.environment);
}

}  // namespace

std::string to_json(const TrainerState& state) {
  nlohmann::ordered_json json;
  json["version"] = kStateVersion;
  visit_fields(state, [&](const char* name, const auto& value, std::int64_t = 1) {
    // JSON has no NaN and no infinity: they are strings, as in metrics.jsonl.
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, double>) {
      json[name] = nlohmann::ordered_json::parse(json_number(value));
    } else {
      json[name] = value;
    }
  });
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

TrainerState parse_trainer_state(const std::string& text, const std::string& where) {
  TrainerState state;
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    const auto version = json.at("version").get<std::int64_t>();
    if (version < 1 || version > kStateVersion)
      throw Error(fmt::format("the state has version {}", version), where,
                  fmt::format("version 1 to {}", kStateVersion));
    visit_fields(state, [&](const char* name, auto& value, std::int64_t since = 1) {
      if (since > version) return;
      using Value = std::decay_t<decltype(value)>;
      const nlohmann::json& field = json.at(name);
      if constexpr (std::is_same_v<Value, double>) {
        value = parse_json_number(field);
      } else {
        value = field.get<Value>();
      }
    });
  } catch (const nlohmann::json::exception& error) {
    throw Error(error.what(), where, "a trainer's state");
  }
  return state;
}

}  // namespace anemone::train
