// The list of arithmetics, from numerics.inc.
#include "anemone/engine/numerics.h"

#include <string>

#include "anemone/base/error.h"

namespace anemone::engine {

#define NUMERICS(name, summary) \
  std::shared_ptr<const mil::Arithmetic> make_##name##_numerics(std::string_view profile);
#include "anemone/engine/numerics.inc"
#undef NUMERICS

std::shared_ptr<const mil::Arithmetic> make_numerics(std::string_view name) {
  if (name == kExactNumerics) return nullptr;
  const std::size_t colon = name.find(':');
  const std::string_view kind = name.substr(0, colon);
  const std::string_view profile =
      colon == std::string_view::npos ? std::string_view() : name.substr(colon + 1);
  std::string known(kExactNumerics);
#define NUMERICS(name_, summary)                               \
  if (kind == #name_) return make_##name_##_numerics(profile); \
  known += std::string(" or " #name_ " (") + summary + ")";
#include "anemone/engine/numerics.inc"
#undef NUMERICS
  throw Error("there is no arithmetic called \"" + std::string(name) + "\"", "numerics", known);
}

std::string describe(const mil::Arithmetic& arithmetic) {
  return arithmetic.name() + ": " + arithmetic.describe() + ", emulated by the reference engine";
}

}  // namespace anemone::engine
