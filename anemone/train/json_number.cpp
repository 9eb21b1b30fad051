// Numbers to JSON and back.
#include "anemone/train/json_number.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace anemone::train {

std::string json_number(double value) {
  if (std::isnan(value)) return "\"nan\"";
  if (std::isinf(value)) return value > 0 ? "\"inf\"" : "\"-inf\"";
  return fmt::format("{:.17g}", value);
}

double parse_json_number(const nlohmann::json& field) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (field == "inf") return kInfinity;
  if (field == "-inf") return -kInfinity;
  if (field == "nan") return std::numeric_limits<double>::quiet_NaN();
  return field.get<double>();
}

}  // namespace anemone::train
