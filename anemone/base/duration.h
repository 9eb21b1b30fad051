// A time as people say it: "42 s", "3:07 min", "2:15 h", "12 days".
#pragma once

#include <fmt/core.h>

#include <string>

namespace anemone {

inline std::string duration_text(double seconds) {
  constexpr long long kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (whole < kMinute) return fmt::format("{} s", whole);
  if (whole < kHour) return fmt::format("{}:{:02} min", whole / kMinute, whole % kMinute);
  if (whole < 3 * kDay) return fmt::format("{}:{:02} h", whole / kHour, whole % kHour / kMinute);
  return fmt::format("{} days", (whole + kDay / 2) / kDay);
}

}  // namespace anemone
