// Time that has passed, by the clock that is never set.
#pragma once

#include <chrono>

namespace anemone {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

inline double milliseconds_between(Clock::time_point start, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - start).count();
}

inline double milliseconds_since(Clock::time_point start) {
  return milliseconds_between(start, Clock::now());
}

}  // namespace anemone
