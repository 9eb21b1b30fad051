// Between our values and Foundation's objects. Objects made here are autoreleased: whoever keeps
// one beyond the present pool retains it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anemone/engine/ane/driver/failure.h"
#include "anemone/engine/ane/driver/framework.h"

namespace anemone::engine::ane {

// These throw Error when Foundation returns nil.
Id to_string(const Framework& f, const std::string& text);
Id to_data(const Framework& f, std::span<const std::byte> bytes);
Id to_number(const Framework& f, std::int64_t value);
Id to_array(const Framework& f, std::span<const Id> objects);
Id to_dictionary(const Framework& f, std::span<const std::pair<Id, Id>> entries);

// What an object says, or a default where it is nil or of another class.
std::string from_string(const Framework& f, Id object);
std::optional<std::int64_t> from_number(const Framework& f, Id object);
std::vector<Id> from_array(const Framework& f, Id object);
Id lookup(const Framework& f, Id dictionary, const char* key);
std::vector<std::pair<std::string, Id>> from_dictionary(const Framework& f, Id object);

// What an NSError says; nil gives only what was tried.
Failure from_error(const Framework& f, Action action, Id error);

}  // namespace anemone::engine::ane
