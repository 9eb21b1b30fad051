// Numbers in the JSON that a run writes (metrics, state, report): read back as the same double, and
// since JSON knows no others, "inf", "-inf" and "nan" as strings.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace anemone::train {

std::string json_number(double value);

// Reads what json_number wrote; throws nlohmann's exception for anything else.
double parse_json_number(const nlohmann::json& field);

}  // namespace anemone::train
