// Conversions; everything that is read is checked for its class first, since what the framework
// reports is not documented.
#include "anemone/engine/ane/driver/foundation.h"

#include <fmt/format.h>

#include "anemone/base/error.h"

namespace anemone::engine::ane {
namespace {

Id made(Id object, const char* what) {
  if (object == nullptr) throw Error(fmt::format("Foundation made no {}", what));
  return object;
}

bool is(const Framework& f, Id object, Id cls) {
  return object != nullptr && f.is_kind_of(object, cls) != 0;
}

}  // namespace

Id to_string(const Framework& f, const std::string& text) {
  return made(f.make_string(text.c_str()), "NSString");
}
Id to_data(const Framework& f, std::span<const std::byte> bytes) {
  return made(f.make_data(bytes.data(), bytes.size()), "NSData");
}
Id to_number(const Framework& f, std::int64_t value) {
  return made(f.make_number(value), "NSNumber");
}
Id to_array(const Framework& f, std::span<const Id> objects) {
  return made(f.make_array(objects.data(), objects.size()), "NSArray");
}

Id to_dictionary(const Framework& f, std::span<const std::pair<Id, Id>> entries) {
  std::vector<Id> keys, values;
  for (const auto& [key, value] : entries) {
    keys.push_back(key);
    values.push_back(value);
  }
  return made(f.make_dictionary(values.data(), keys.data(), keys.size()), "NSDictionary");
}

std::string from_string(const Framework& f, Id object) {
  if (!is(f, object, f.string_class)) return {};
  const char* text = f.utf8(object);
  return text != nullptr ? text : "";
}

std::optional<std::int64_t> from_number(const Framework& f, Id object) {
  if (!is(f, object, f.number_class)) return {};
  return f.integer(object);
}

std::vector<Id> from_array(const Framework& f, Id object) {
  std::vector<Id> objects;
  if (!is(f, object, f.array_class)) return objects;
  const unsigned long count = f.count(object);
  for (unsigned long i = 0; i < count; ++i) objects.push_back(f.element(object, i));
  return objects;
}

Id lookup(const Framework& f, Id dictionary, const char* key) {
  if (!is(f, dictionary, f.dictionary_class)) return nullptr;
  return f.value_for(dictionary, to_string(f, key));
}

std::vector<std::pair<std::string, Id>> from_dictionary(const Framework& f, Id object) {
  std::vector<std::pair<std::string, Id>> entries;
  if (!is(f, object, f.dictionary_class)) return entries;
  for (const Id key : from_array(f, f.keys(object)))
    entries.emplace_back(from_string(f, key), f.value_for(object, key));
  return entries;
}

Failure from_error(const Framework& f, Action action, Id error) {
  Failure failure;
  failure.action = action;
  if (error == nullptr) return failure;
  failure.domain = from_string(f, f.error_domain(error));
  failure.code = f.error_code(error);
  failure.text = from_string(f, f.error_text(error));
  return failure;
}

}  // namespace anemone::engine::ane
