#include "tests/ane_driver/fault_plan.h"

#include <algorithm>

namespace anemone::test {
namespace {

constexpr std::array<const char*, static_cast<std::size_t>(FaultPoint::count_)> kNames = {
    "descriptor", "model",   "request", "surface-object", "surface",
    "lock",       "compile", "load",    "evaluate",       "unload"};

constexpr long kPauseAfterFailedCompile = 15000, kPauseBeforeLoad = 100, kPauseBeforeEvaluate = 20;
constexpr long kCompileTries = 2, kLoadTries = 2, kEvaluateTries = 3;

constexpr long kAssumedRows = 64;  // where no strides are told

long round_up(long value, long unit) { return (value + unit - 1) / unit * unit; }

struct Action {
  const char* text;
  Reaction reaction;
};

// What can go wrong at a point, and how it is to be taken.
constexpr Action kCompileActions[] = {
    {"fail", Reaction::stop},
    {"text \"InvalidMILProgram\" code 3", Reaction::stop},
    {"no-error fail", Reaction::retry},
    {"domain com.apple.appleneuralengine code 4 text \"the connection was interrupted\"",
     Reaction::retry},
    {"hang 2", Reaction::none},
    {"hold", Reaction::hang},
    {"raise", Reaction::stop},
};
constexpr Action kLoadActions[] = {
    {"fail", Reaction::retry},
    {"no-error fail", Reaction::retry},
    {"text \"Program load failure (0x20004)\"", Reaction::stop},
    {"hang 1", Reaction::none},
    {"hold", Reaction::hang},
    {"raise text \"nil in a dictionary\"", Reaction::stop},
};
constexpr Action kEvaluateActions[] = {
    {"status 0x1d", Reaction::stop},
    {"status 0x2 garbage", Reaction::stop},
    {"status 0x16", Reaction::stop},
    {"status 0x12", Reaction::retry},
    {"status 0x20 garbage", Reaction::retry},
    {"no-error fail", Reaction::retry},
    {"hang 1", Reaction::none},
    {"hold garbage", Reaction::hang},
    {"raise garbage", Reaction::stop},
};
constexpr Action kUnloadActions[] = {
    {"fail", Reaction::none},
    {"raise", Reaction::none},
    {"hold", Reaction::hang},
};
constexpr Action kMethodActions[] = {{"nil", Reaction::stop}, {"raise", Reaction::stop}};
constexpr Action kFunctionActions[] = {{"nil", Reaction::stop}};

template <class T, std::size_t kSize>
const T& pick(const T (&choices)[kSize], std::mt19937& random) {
  return choices[random() % kSize];
}

const Action& pick_action(FaultPoint point, std::mt19937& random) {
  switch (point) {
    case FaultPoint::compile:
      return pick(kCompileActions, random);
    case FaultPoint::load:
      return pick(kLoadActions, random);
    case FaultPoint::evaluate:
      return pick(kEvaluateActions, random);
    case FaultPoint::unload:
      return pick(kUnloadActions, random);
    case FaultPoint::surface:
    case FaultPoint::lock:
      return pick(kFunctionActions, random);
    default:
      return pick(kMethodActions, random);
  }
}

bool chance(std::mt19937& random, int percent) {
  return static_cast<int>(random() % 100) < percent;
}

// Points that are reached often come more often, and the first occurrences more than later ones.
void add_faults(FaultPlan& plan, std::mt19937& random) {
  static constexpr FaultPoint kPoints[] = {
      FaultPoint::compile,  FaultPoint::compile,  FaultPoint::compile,        FaultPoint::load,
      FaultPoint::load,     FaultPoint::load,     FaultPoint::evaluate,       FaultPoint::evaluate,
      FaultPoint::evaluate, FaultPoint::evaluate, FaultPoint::descriptor,     FaultPoint::model,
      FaultPoint::request,  FaultPoint::surface,  FaultPoint::surface_object, FaultPoint::lock,
      FaultPoint::unload};
  const unsigned count = random() % 5;
  for (unsigned i = 0; i < count; ++i) {
    const FaultPoint point = pick(kPoints, random);
    const auto index = static_cast<std::size_t>(point);
    const long first = 1 + static_cast<long>(random() % (1 + random() % 8));
    const long last = first + (chance(random, 30) ? static_cast<long>(random() % 4) : 0);
    const Action& action = pick_action(point, random);
    bool free = true;
    for (long at = first; at <= last; ++at) free = free && plan.at[index].count(at) == 0;
    if (!free) continue;
    for (long at = first; at <= last; ++at) plan.at[index][at] = action.reaction;
    plan.script += std::string(kNames[index]) + " " + std::to_string(first) + "-" +
                   std::to_string(last) + " " + action.text + "; ";
  }
}

void add_limits(FaultPlan& plan, std::mt19937& random) {
  if (chance(random, 8)) {
    plan.budget = 1 + static_cast<long>(random() % 2);
    plan.script += "budget " + std::to_string(plan.budget) + "; ";
  }
  if (chance(random, 5)) {
    plan.loaded = 1;
    plan.script += "loaded 1; ";
  }
  if (chance(random, 3)) {
    plan.refuses_small_surfaces = true;
    plan.script += "min-surface 49152; ";
  }
  if (chance(random, 8)) {
    plan.claims_compiled = true;
    plan.script += "exists yes; ";
  }
  if (chance(random, 10)) plan.script += "map 1-3 fail; ";
  if (chance(random, 50)) plan.script += "protect yes; ";
  if (chance(random, 10)) plan.script += "uniform yes; ";
}

void add_layout(FaultPlan& plan, std::mt19937& random, bool in_order_by_name) {
  static constexpr long kRows[] = {128, 192, 4096};
  if (chance(random, 15)) {
    plan.rows = pick(kRows, random);
    plan.script += "rows " + std::to_string(plan.rows) + "; ";
  }
  if (chance(random, 10)) {
    const long compile = 1 + static_cast<long>(random() % 2);
    plan.strides[compile] = pick(kRows, random);
    plan.script += "compile " + std::to_string(compile) + " strides " +
                   std::to_string(plan.strides[compile]) + "; ";
  }
  bool symbols_told = true;
  if (chance(random, 25)) {
    static constexpr const char* kTold[] = {"none", "no-layout", "no-symbols", "no-strides"};
    const std::string told = pick(kTold, random);
    plan.script += "attributes " + told + "; ";
    plan.strides_told = told == "no-symbols";
    symbols_told = told == "no-layout" || told == "no-strides";
  }
  if (!symbols_told && !in_order_by_name) return;
  if (chance(random, 40)) plan.script += "order declaration; ";
  if (symbols_told && chance(random, 30)) plan.script += "procedures reversed; ";
}

}  // namespace

FaultPlan random_fault_plan(std::mt19937& random, bool in_order_by_name) {
  FaultPlan plan;
  plan.script = "threads 1; ";
  add_layout(plan, random, in_order_by_name);
  add_limits(plan, random);
  add_faults(plan, random);
  return plan;
}

Reaction Foretold::next(FaultPoint point) {
  const auto index = static_cast<std::size_t>(point);
  const auto found = plan_.at[index].find(++occurrences_[index]);
  if (found == plan_.at[index].end() || found->second == Reaction::none) return Reaction::none;
  ++struck_[index];
  stuck_ |= found->second == Reaction::hang;
  return found->second;
}

bool Foretold::make_model(bool held) {
  for (int names = held ? 2 : 1; names > 0; --names) {
    if (next(FaultPoint::descriptor) != Reaction::none) return false;
    if (next(FaultPoint::model) != Reaction::none) return false;
  }
  return true;
}

Reaction Foretold::compile() {
  if (failed_at_) clock_ += std::max(0L, kPauseAfterFailedCompile - (clock_ - *failed_at_));
  failed_at_.reset();
  ++compiles_;
  Reaction reaction = next(FaultPoint::compile);
  if (reaction == Reaction::none && plan_.budget > 0 && compiles_ > plan_.budget) {
    reaction = Reaction::stop;
  }
  const auto strides =
      plan_.strides.find(occurrences_[static_cast<std::size_t>(FaultPoint::compile)]);
  rows_ = strides == plan_.strides.end() ? plan_.rows : strides->second;
  if (reaction != Reaction::none) failed_at_ = clock_;
  return reaction;
}

Reaction Foretold::load(bool is_compiled) {
  for (long tries = 1;; ++tries) {
    ++loads_;
    Reaction reaction = next(FaultPoint::load);
    if (reaction == Reaction::none && !is_compiled) reaction = Reaction::retry;
    if (reaction == Reaction::none && plan_.loaded > 0 && loaded_ >= plan_.loaded) {
      reaction = Reaction::stop;
    }
    if (reaction == Reaction::none) ++loaded_;
    if (reaction != Reaction::retry || tries == kLoadTries) return reaction;
    clock_ += kPauseBeforeLoad;
  }
}

bool Foretold::build(bool held) {
  if (stuck_) return false;
  for (long tries = 1;; ++tries) {
    if (!make_model(held)) return false;
    if (plan_.claims_compiled && load(false) == Reaction::none) return true;
    if (stuck_) return false;
    const Reaction compiled = compile();
    if (compiled == Reaction::none) return load(true) == Reaction::none;
    if (compiled != Reaction::retry || tries == kCompileTries) return false;
  }
}

bool Foretold::make_request(int surfaces) {
  for (int i = 0; i < surfaces; ++i) {
    if (next(FaultPoint::surface_object) != Reaction::none) return false;
  }
  return next(FaultPoint::request) == Reaction::none;
}

long Foretold::row_stride(long row_bytes) const { return round_up(row_bytes, rows_); }

bool Foretold::surfaces_fit(long row_bytes) const {
  const bool strides_known =
      plan_.strides_told || row_stride(row_bytes) == round_up(row_bytes, kAssumedRows);
  return strides_known && !plan_.refuses_small_surfaces;
}

void Foretold::unload() {
  --loaded_;
  if (!stuck_) next(FaultPoint::unload);
}

bool Foretold::evaluate(bool surfaces_fit) {
  if (stuck_) return false;
  for (long tries = 1;; ++tries) {
    ++evaluates_;
    Reaction reaction = next(FaultPoint::evaluate);
    if (reaction == Reaction::none && !surfaces_fit) reaction = Reaction::stop;
    if (reaction == Reaction::none) return true;
    if (reaction != Reaction::retry || tries == kEvaluateTries) return false;
    clock_ += kPauseBeforeEvaluate;
  }
}

}  // namespace anemone::test
