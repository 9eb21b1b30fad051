// How the arithmetic of the Neural Engine differs from fp16 done right, chip by chip: one row each.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace anemone::engine::ane {

// What a product becomes when a sum inside it reaches the limit and later terms bring it back.
enum class InteriorOverflow : std::uint8_t { infinity, zero };

// Where a sum of products between two fp16 numbers, equally near to both, is rounded to.
enum class Ties : std::uint8_t { to_even, away_from_zero };

struct NumericsProfile {
  std::string_view name;  // "m4"
  std::string_view chip;  // "M4 (h16)"
  bool tiles_of_four;     // products are added four by four with 12 significant bits first
  bool rounds_products;   // each product is rounded to fp16; only where small ones are flushed
  bool flushes_products;  // a product below 2^-14, the smallest normal fp16 number, counts as 0
  InteriorOverflow interior;
  Ties ties;
  bool crops_with_gain;  // a slice of the last axis that begins behind 0 holds 16 times its values
};

// A sum of products that reaches this in magnitude is infinite, on every chip.
inline constexpr double kProductLimit = 32768;
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::span<const NumericsProfile> numerics_profiles();

// "m1" …; empty: the default. Throws Error with the names there are.
const NumericsProfile& numerics_profile(std::string_view name);

}  // namespace anemone::engine::ane
