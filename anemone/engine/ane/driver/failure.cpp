// The policy; docs/ane.md has it as a table.
#include "anemone/engine/ane/driver/failure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string_view>
#include <thread>

namespace anemone::engine::ane {
namespace {

constexpr std::int64_t kCompilerRefuses = 1;  // "ANECCompile() FAILED", no further reason given
constexpr std::string_view kCompilerDomain = "com.apple.appleneuralengine.compiler";

bool contains_any(std::string_view text, std::span<const std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    return text.find(part) != std::string_view::npos;
  });
}

// The statuses of an evaluation that tell of a wrong request: surfaces that do not match (0x1d,
// 0x16), a symbol or procedure that is not there (0x2).
bool tells_of_wrong_request(std::string_view text) {
  for (const std::string_view status : {"0x1d", "0x16", "0x2"}) {
    const std::size_t at = text.find(status);
    if (at == std::string_view::npos) continue;
    const std::size_t end = at + status.size();
    const bool whole =
        end == text.size() || std::isxdigit(static_cast<unsigned char>(text[end])) == 0;
    if (whole) return true;
  }
  return false;
}

class SystemClock final : public Clock {
 public:
  Milliseconds now() override {
    return std::chrono::duration_cast<Milliseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
  }
  void sleep(Milliseconds duration) override { std::this_thread::sleep_for(duration); }
  // Time is counted in slices, each as no longer than it was to be: a computer that was asleep for
  // hours must not look like a call that hangs.
  bool wait(std::condition_variable& change, std::unique_lock<std::mutex>& lock, const bool& done,
            Milliseconds limit) override {
    for (Milliseconds waited{0}; waited < limit; waited += kSlice) {
      const Milliseconds slice = std::min(kSlice, limit - waited);
      if (change.wait_for(lock, slice, [&] { return done; })) return true;
    }
    return done;
  }

 private:
  static constexpr Milliseconds kSlice{500};
};

int max_tries(Action action) {
  switch (action) {
    case Action::compile:
      return kMaxCompileTries;
    case Action::load:
      return kMaxLoadTries;
    case Action::evaluate:
      return kMaxEvaluateTries;
    default:
      return 1;
  }
}

Milliseconds wait_before(Action action) {
  switch (action) {
    case Action::load:
      return kPauseBeforeLoad;
    case Action::evaluate:
      return kPauseBeforeEvaluate;
    default:
      return Milliseconds(0);  // a compile waits for pause_before_compile
  }
}

}  // namespace

const char* action_name(Action action) {
  switch (action) {
    case Action::descriptor:
      return "making the descriptor";
    case Action::model:
      return "making the model";
    case Action::look:
      return "looking for the compiled program";
    case Action::compile:
      return "compile";
    case Action::load:
      return "load";
    case Action::request:
      return "making the request";
    case Action::evaluate:
      return "evaluate";
    case Action::unload:
      return "unload";
  }
  return "";
}

std::string Failure::describe() const {
  if (no_answer)
    return fmt::format("{}{} does not return: {}", earlier ? "an earlier " : "",
                       action_name(action), text);
  if (raised) return fmt::format("{} failed: {}", action_name(action), text);
  if (domain.empty() && text.empty())
    return fmt::format("{} failed without an error that says why", action_name(action));
  return fmt::format("{} failed: {} ({}, code {})", action_name(action),
                     text.empty() ? "no text" : text, domain.empty() ? "no domain" : domain, code);
}

bool is_deterministic(const Failure& failure) {
  if (failure.no_answer || failure.raised) return true;
  switch (failure.action) {
    case Action::compile: {
      static constexpr std::array<std::string_view, 3> kRefusals = {"ANECCompile", "InvalidMIL",
                                                                    "Invalid MIL"};
      return contains_any(failure.text, kRefusals) ||
             (failure.domain == kCompilerDomain && failure.code == kCompilerRefuses);
    }
    case Action::load:
      return failure.text.find("0x20004") != std::string::npos;  // out of memory for programs
    case Action::evaluate:
      return tells_of_wrong_request(failure.text);
    default:
      return true;
  }
}

Decision decide(const Failure& failure, int tries) {
  if (is_deterministic(failure) || tries >= max_tries(failure.action)) return {};
  return {Verdict::retry, wait_before(failure.action)};
}

Milliseconds pause_before_compile(Milliseconds since) {
  return std::max(Milliseconds(0), kPauseAfterFailedCompile - since);
}

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace anemone::engine::ane
