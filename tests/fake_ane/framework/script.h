// The scripted faults and settings of the fake framework: parses the text that fake_ane.h describes
// and answers "what happens this time?" at each point where something can go wrong.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace anemone::fake_ane {

enum class Point : std::uint8_t {
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
  map,
  count_,
};

enum class Attributes : std::uint8_t { full, none, no_layout, no_symbols, no_strides };
enum class Exists : std::uint8_t { real, yes, no };

// What happens at one occurrence of a point.
struct Fault {
  bool fail = false;  // also nil
  bool no_error = false;
  bool garbage = false;
  bool raise = false;
  bool hold = false;
  long code = 0;  // 0 = the point's own
  long status = 0;
  long hang_ms = 0;
  long late_ms = 0;
  long strides = 0;
  std::string domain, text;
};

struct Settings {
  long budget = 119;
  long loaded = 0;
  long rows = 64;
  long slow_ms = 0;
  long min_surface = 0;
  long threads = 0;
  bool alphabetical = true;
  bool procedures_reversed = false;
  bool cache = false;
  bool uniform = false;
  bool protect = false;
  Attributes attributes = Attributes::full;
  Exists exists = Exists::real;
  std::string engine = "cpu";
  std::string report;
  std::set<std::string, std::less<>> missing_classes, missing_selectors;
};

// Replaces the script and starts counting anew; returns what is wrong with it, or nothing.
std::string set_script(std::string_view text);
Settings settings();
// The fault of this occurrence; waits, is held or raises an exception if it says so.
Fault next_fault(Point point);
void wait_ms(long milliseconds);
// Calls that are held: how many there are, and the end of it for them.
long held();
void let_go();

}  // namespace anemone::fake_ane
