// Random fault scripts for the fake framework, and what a driver that follows the policy of
// docs/ane.md does under them: the same table again, written down independently of the driver.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>

namespace anemone::test {

// Where something can fail, in the script's words.
enum class FaultPoint : std::uint8_t {
  descriptor,
  model,
  request,
  surface_object,
  surface,
  lock,
  compile,
  load,
  evaluate,
  unload,
  count_,
};

enum class Reaction : std::uint8_t {
  none,   // nothing fails
  retry,  // may pass: try again, within the limits of the policy
  stop,   // would fail again
  hang,   // does not return: nothing more is asked of the framework
};

struct FaultPlan {
  std::string script;
  std::map<long, Reaction> at[static_cast<std::size_t>(FaultPoint::count_)];  // by occurrence
  std::map<long, long> strides;  // of the program of that compile
  long rows = 64;
  long budget = 0, loaded = 0;  // 0 = any number
  bool strides_told = true;
  bool claims_compiled = false;  // compiledModelExists says YES of everything
  bool refuses_small_surfaces = false;
};

// `in_order_by_name`: the program declares its tensors in alphabetical order. Otherwise symbols
// that are not told can be numbered in an order that no driver can know; such scripts are not made.
FaultPlan random_fault_plan(std::mt19937& random, bool in_order_by_name);

// The driver's calls, foretold. Every method says whether the call must succeed.
class Foretold {
 public:
  explicit Foretold(const FaultPlan& plan) : plan_(plan) {}

  // `held`: an equal program is in use, so the first name for this one is taken.
  bool build(bool held);
  bool make_surface() { return next(FaultPoint::surface) == Reaction::none; }
  bool lock() { return next(FaultPoint::lock) == Reaction::none; }
  bool make_request(int surfaces);
  bool evaluate(bool surfaces_fit);
  void unload();  // must succeed, whatever happens

  bool strides_told() const { return plan_.strides_told; }
  // How often something was to fail there, once or for good.
  long struck(FaultPoint point) const { return struck_[static_cast<std::size_t>(point)]; }
  // Of the program built last: the bytes from row to row, when a row's elements have so many; and
  // whether surfaces made for what the driver is told are large enough.
  long row_stride(long row_bytes) const;
  bool surfaces_fit(long row_bytes) const;
  bool stuck() const { return stuck_; }  // a call did not return
  long compiles() const { return compiles_; }
  long loads() const { return loads_; }
  long evaluates() const { return evaluates_; }
  long slept_ms() const { return clock_; }

 private:
  Reaction next(FaultPoint point);  // a call that hangs is stuck
  bool make_model(bool held);
  Reaction compile();
  Reaction load(bool is_compiled);

  const FaultPlan& plan_;
  std::array<long, static_cast<std::size_t>(FaultPoint::count_)> occurrences_{}, struck_{};
  long compiles_ = 0, loads_ = 0, evaluates_ = 0, loaded_ = 0, clock_ = 0, rows_ = 64;
  std::optional<long> failed_at_;
  bool stuck_ = false;
};

}  // namespace anemone::test
