// The name somebody probably meant, for "did you mean" in messages about unknown names.
#pragma once

#include <span>
#include <string_view>

namespace anemone {

// The candidate with the fewest edits (insert, delete, replace, swap neighbours) from `name`, if at
// most a third of its letters changed; empty otherwise. The first wins among equals.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace anemone
