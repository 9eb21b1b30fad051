// The few Foundation classes that a driver of the Neural Engine needs, and what the rest of the
// fake framework builds from them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fake_ane/framework/objects.h"

namespace anemone::fake_ane {

struct StringBody final : Body {
  std::string text;
};

struct DataBody final : Body {
  std::string owned;
  const void* bytes = nullptr;
  std::size_t size = 0;
  bool free_when_done = false;
  ~DataBody() override;
};

struct NumberBody final : Body {
  bool is_floating = false;
  std::int64_t integer = 0;
  double floating = 0;
};

struct ArrayBody final : Body {
  std::vector<Ref> items;
};

struct DictionaryBody final : Body {
  std::vector<std::pair<Ref, Ref>> entries;  // in the order in which they were added
};

struct ErrorBody final : Body {
  Ref domain, user_info;
  long code = 0;
};

// All of Foundation's classes; made once when the library is loaded.
struct FoundationClasses {
  Class object, pool, string, data, number, array, mutable_array, dictionary, mutable_dictionary,
      error;
};
const FoundationClasses& foundation();

// New objects, owned by the result.
Ref make_string(std::string_view text);
Ref make_number(std::int64_t value);
Ref make_array(std::vector<Ref> items);
Ref make_dictionary(std::vector<std::pair<std::string, Ref>> entries);

// Their contents; nothing or empty for an object of another class.
const std::string* string_of(id object);
const DataBody* data_of(id object);
const NumberBody* number_of(id object);
const ArrayBody* array_of(id object);
const DictionaryBody* dictionary_of(id object);
id entry_of(id dictionary, std::string_view key);
bool equal(id a, id b);

// Stores an autoreleased NSError where the caller wants one.
void set_error(id* error, std::string_view domain, long code, std::string_view text);

}  // namespace anemone::fake_ane
