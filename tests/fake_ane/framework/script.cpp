#include "tests/fake_ane/framework/script.h"

#include <array>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "tests/fake_ane/framework/exception.h"

namespace anemone::fake_ane {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Point::count_)> kPointNames = {
    "descriptor", "model", "request",  "surface-object", "surface", "lock",
    "compile",    "load",  "evaluate", "unload",         "map"};

struct Rule {
  Point point = Point::compile;
  long first = 1, last = std::numeric_limits<long>::max();
  Fault fault;
};

struct Script {
  Settings settings;
  std::vector<Rule> rules;
};

struct State {
  std::mutex mutex;
  Script script;
  std::array<long, static_cast<std::size_t>(Point::count_)> occurrences{};
  std::condition_variable changed;
  long held = 0, times_let_go = 0;
};

State& state() {
  static State* const kState = new State;  // never destroyed: used until the process ends
  return *kState;
}

// Words of a statement; "…" is one word.
std::vector<std::string> words_of(std::string_view statement) {
  std::vector<std::string> words;
  std::size_t i = 0;
  while (i < statement.size()) {
    if (statement[i] == ' ' || statement[i] == '\t') {
      ++i;
      continue;
    }
    const char end = statement[i] == '"' ? '"' : ' ';
    if (end == '"') ++i;
    std::size_t stop = statement.find(end, i);
    if (stop == std::string_view::npos) stop = statement.size();
    words.emplace_back(statement.substr(i, stop - i));
    i = stop + 1;
  }
  return words;
}

std::optional<long> number(std::string_view text) {
  int base = 10;
  if (text.rfind("0x", 0) == 0) {
    text.remove_prefix(2);
    base = 16;
  }
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

bool parse_which(const std::string& text, Rule& rule) {
  if (text == "*") return true;
  if (text.back() == '+') {
    const auto first = number(std::string_view(text).substr(0, text.size() - 1));
    rule.first = first.value_or(0);
    return first.has_value();
  }
  const std::size_t dash = text.find('-');
  const auto first = number(std::string_view(text).substr(0, dash));
  const auto last = dash == std::string::npos
                        ? first
                        : number(std::string_view(text).substr(std::min(dash + 1, text.size())));
  if (!first || !last) return false;
  rule.first = *first;
  rule.last = *last;
  return true;
}

// The actions of a fault; false where a word is not one.
bool parse_actions(const std::vector<std::string>& words, std::size_t i, Fault& fault) {
  while (i < words.size()) {
    const std::string& word = words[i++];
    if (word == "nil" || word == "fail") {
      fault.fail = true;
    } else if (word == "no-error") {
      fault.no_error = true;
    } else if (word == "raise" || word == "hold") {
      (word == "raise" ? fault.raise : fault.hold) = true;
    } else if (word == "garbage") {
      fault.garbage = fault.fail = true;
    } else if (i == words.size()) {
      return false;
    } else if (word == "text" || word == "domain") {
      (word == "text" ? fault.text : fault.domain) = words[i++];
      fault.fail = true;
    } else {
      const auto value = number(words[i++]);
      if (!value) return false;
      if (word == "hang") {
        fault.hang_ms = *value;
      } else if (word == "late") {
        fault.late_ms = *value;
      } else if (word == "strides") {
        fault.strides = *value;
      } else if (word == "code" || word == "status") {
        (word == "code" ? fault.code : fault.status) = *value;
        fault.fail = true;
      } else {
        return false;
      }
    }
  }
  return true;
}

template <class T, std::size_t kSize>
bool choose(const std::string& text, const std::pair<std::string_view, T> (&choices)[kSize],
            T& result) {
  for (const auto& [name, value] : choices) {
    if (text != name) continue;
    result = value;
    return true;
  }
  return false;
}

bool parse_number_setting(const std::string& name, const std::string& text, Settings& settings) {
  const std::pair<std::string_view, long*> numbers[] = {
      {"budget", &settings.budget},   {"loaded", &settings.loaded},
      {"rows", &settings.rows},       {"slow", &settings.slow_ms},
      {"threads", &settings.threads}, {"min-surface", &settings.min_surface}};
  for (const auto& [known, target] : numbers) {
    if (name != known) continue;
    const auto value = number(text);
    if (value) *target = *value;
    return value.has_value();
  }
  return false;
}

bool parse_setting(const std::vector<std::string>& words, Settings& settings) {
  if (words.size() != 2) return false;
  const std::string& name = words[0];
  const std::string& text = words[1];
  static constexpr std::pair<std::string_view, bool> kYesNo[] = {{"yes", true}, {"no", false}};
  static constexpr std::pair<std::string_view, bool> kOrder[] = {{"alphabetical", true},
                                                                 {"declaration", false}};
  static constexpr std::pair<std::string_view, bool> kProcedures[] = {{"reversed", true},
                                                                      {"declared", false}};
  static constexpr std::pair<std::string_view, Attributes> kAttributes[] = {
      {"full", Attributes::full},
      {"none", Attributes::none},
      {"no-layout", Attributes::no_layout},
      {"no-symbols", Attributes::no_symbols},
      {"no-strides", Attributes::no_strides}};
  static constexpr std::pair<std::string_view, Exists> kExists[] = {
      {"real", Exists::real}, {"yes", Exists::yes}, {"no", Exists::no}};
  if (name == "order") return choose(text, kOrder, settings.alphabetical);
  if (name == "procedures") return choose(text, kProcedures, settings.procedures_reversed);
  if (name == "attributes") return choose(text, kAttributes, settings.attributes);
  if (name == "exists") return choose(text, kExists, settings.exists);
  if (name == "cache") return choose(text, kYesNo, settings.cache);
  if (name == "uniform") return choose(text, kYesNo, settings.uniform);
  if (name == "protect") return choose(text, kYesNo, settings.protect);
  if (name == "report") settings.report = text;
  if (name == "engine") settings.engine = text;
  if (name == "missing-class") settings.missing_classes.insert(text);
  if (name == "missing-selector") settings.missing_selectors.insert(text);
  return name == "report" || (name == "engine" && (text == "cpu" || text == "reference")) ||
         name == "missing-class" || name == "missing-selector" ||
         parse_number_setting(name, text, settings);
}

bool parse_statement(const std::vector<std::string>& words, Script& script) {
  for (std::size_t i = 0; i < kPointNames.size(); ++i) {
    if (words[0] != kPointNames[i]) continue;
    Rule rule;
    rule.point = static_cast<Point>(i);
    if (words.size() < 3 || !parse_which(words[1], rule)) return false;
    if (!parse_actions(words, 2, rule.fault)) return false;
    const bool is_function = rule.point == Point::surface || rule.point == Point::lock;
    if (is_function && rule.fault.raise) return false;  // C functions raise nothing
    script.rules.push_back(std::move(rule));
    return true;
  }
  return parse_setting(words, script.settings);
}

// Adds what `more` says to `fault`.
void merge(Fault& fault, const Fault& more) {
  fault.fail |= more.fail;
  fault.no_error |= more.no_error;
  fault.garbage |= more.garbage;
  fault.raise |= more.raise;
  fault.hold |= more.hold;
  if (more.code != 0) fault.code = more.code;
  if (more.status != 0) fault.status = more.status;
  if (more.strides != 0) fault.strides = more.strides;
  if (!more.domain.empty()) fault.domain = more.domain;
  if (!more.text.empty()) fault.text = more.text;
  fault.hang_ms += more.hang_ms;
  fault.late_ms += more.late_ms;
}

void hold() {
  std::unique_lock lock(state().mutex);
  const long before = state().times_let_go;
  ++state().held;
  state().changed.wait(lock, [&] { return state().times_let_go != before; });
  --state().held;
}

}  // namespace

std::string set_script(std::string_view text) {
  Script script;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(";\n"), text.size());
    std::string_view statement = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    statement = statement.substr(0, statement.find('#'));
    const std::vector<std::string> words = words_of(statement);
    if (!words.empty() && !parse_statement(words, script)) {
      return "the script has a statement that is none: \"" + std::string(statement) + "\"";
    }
  }
  const std::lock_guard lock(state().mutex);
  state().script = std::move(script);
  state().occurrences = {};
  return {};
}

Settings settings() {
  const std::lock_guard lock(state().mutex);
  return state().script.settings;
}

Fault next_fault(Point point) {
  Fault fault;
  {
    const std::lock_guard lock(state().mutex);
    const long occurrence = ++state().occurrences[static_cast<std::size_t>(point)];
    for (const Rule& rule : state().script.rules) {
      if (rule.point == point && rule.first <= occurrence && occurrence <= rule.last) {
        merge(fault, rule.fault);
      }
    }
  }
  wait_ms(fault.hang_ms);
  if (fault.hold) hold();
  if (fault.raise) raise_exception(fault.text.empty() ? "as the script says" : fault.text);
  return fault;
}

long held() {
  const std::lock_guard lock(state().mutex);
  return state().held;
}

void let_go() {
  const std::lock_guard lock(state().mutex);
  ++state().times_let_go;
  state().changed.notify_all();
}

void wait_ms(long milliseconds) {
  if (milliseconds > 0) std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

}  // namespace anemone::fake_ane
