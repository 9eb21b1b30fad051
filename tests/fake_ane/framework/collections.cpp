// NSArray, NSDictionary and their mutable variants.
#include "tests/fake_ane/framework/foundation.h"

namespace anemone::fake_ane {
namespace {

template <class T>
id allocate(id self) {
  return make_object(reinterpret_cast<Class>(self), std::make_unique<T>());
}

bool add_item(id array, id item) {
  if (item == nullptr) {
    violation("nil was put into an NSArray");
    return false;
  }
  body_of<ArrayBody>(array)->items.push_back(Ref::share(item));
  return true;
}

id init_array(id self, const id* items, unsigned long count) {
  for (unsigned long i = 0; i < count; ++i) {
    if (add_item(self, items[i])) continue;
    release(self);
    return nullptr;
  }
  return self;
}

bool set_entry(id dictionary, id key, id value) {
  if (key == nullptr || value == nullptr) {
    violation("nil was put into an NSDictionary");
    return false;
  }
  auto& entries = body_of<DictionaryBody>(dictionary)->entries;
  for (auto& [known, old] : entries) {
    if (!equal(known.get(), key)) continue;
    old = Ref::share(value);
    return true;
  }
  entries.emplace_back(Ref::share(key), Ref::share(value));
  return true;
}

id init_dictionary(id self, const id* values, const id* keys, unsigned long count) {
  for (unsigned long i = 0; i < count; ++i) {
    if (set_entry(self, keys[i], values[i])) continue;
    release(self);
    return nullptr;
  }
  return self;
}

id find_entry(id dictionary, id key) {
  for (const auto& [known, value] : body_of<DictionaryBody>(dictionary)->entries) {
    if (equal(known.get(), key)) return value.get();
  }
  return nullptr;
}

}  // namespace

Class make_array_class(Class super) {
  ClassBuilder c("NSArray", super);
  c.class_method("alloc", [](id self) { return allocate<ArrayBody>(self); })
      .class_method("array", [](id self) { return autorelease(allocate<ArrayBody>(self)); })
      .class_method("arrayWithObject:",
                    [](id self, id item) {
                      return autorelease(init_array(allocate<ArrayBody>(self), &item, 1));
                    })
      .class_method("arrayWithObjects:count:",
                    [](id self, const id* items, unsigned long count) {
                      return autorelease(init_array(allocate<ArrayBody>(self), items, count));
                    })
      .method("initWithObjects:count:",
              [](id self, const id* items, unsigned long count) {
                return init_array(self, items, count);
              })
      .method("count",
              [](id self) {
                return static_cast<unsigned long>(body_of<ArrayBody>(self)->items.size());
              })
      .method("firstObject",
              [](id self) -> id {
                const auto& items = body_of<ArrayBody>(self)->items;
                return items.empty() ? nullptr : items.front().get();
              })
      .method("objectAtIndex:", [](id self, unsigned long index) -> id {
        const auto& items = body_of<ArrayBody>(self)->items;
        if (index < items.size()) return items[index].get();
        violation("objectAtIndex: " + std::to_string(index) + " of an array of " +
                  std::to_string(items.size()));
        return nullptr;
      });
  return c.finish();
}

Class make_mutable_array_class(Class array) {
  ClassBuilder c("NSMutableArray", array);
  c.class_method("arrayWithCapacity:",
                 [](id self, unsigned long) { return autorelease(allocate<ArrayBody>(self)); })
      .method("initWithCapacity:", [](id self, unsigned long) { return self; })
      .method("addObject:", [](id self, id item) { add_item(self, item); });
  return c.finish();
}

Class make_dictionary_class(Class super) {
  ClassBuilder c("NSDictionary", super);
  c.class_method("alloc", [](id self) { return allocate<DictionaryBody>(self); })
      .class_method("dictionary",
                    [](id self) { return autorelease(allocate<DictionaryBody>(self)); })
      .class_method(
          "dictionaryWithObject:forKey:",
          [](id self, id value, id key) {
            return autorelease(init_dictionary(allocate<DictionaryBody>(self), &value, &key, 1));
          })
      .class_method("dictionaryWithObjects:forKeys:count:",
                    [](id self, const id* values, const id* keys, unsigned long count) {
                      return autorelease(
                          init_dictionary(allocate<DictionaryBody>(self), values, keys, count));
                    })
      .method("initWithObjects:forKeys:count:",
              [](id self, const id* values, const id* keys, unsigned long count) {
                return init_dictionary(self, values, keys, count);
              })
      .method("count",
              [](id self) {
                return static_cast<unsigned long>(body_of<DictionaryBody>(self)->entries.size());
              })
      .method("objectForKey:", [](id self, id key) { return find_entry(self, key); })
      .method("allKeys", [](id self) {
        std::vector<Ref> keys;
        for (const auto& entry : body_of<DictionaryBody>(self)->entries)
          keys.push_back(entry.first);
        return autorelease(make_array(std::move(keys)).leak());
      });
  return c.finish();
}

Class make_mutable_dictionary_class(Class dictionary) {
  ClassBuilder c("NSMutableDictionary", dictionary);
  c.class_method("dictionaryWithCapacity:",
                 [](id self, unsigned long) { return autorelease(allocate<DictionaryBody>(self)); })
      .method("initWithCapacity:", [](id self, unsigned long) { return self; })
      .method("setObject:forKey:", [](id self, id value, id key) { set_entry(self, key, value); });
  return c.finish();
}

Ref make_array(std::vector<Ref> items) {
  auto body = std::make_unique<ArrayBody>();
  body->items = std::move(items);
  return Ref::adopt(make_object(foundation().array, std::move(body)));
}

Ref make_dictionary(std::vector<std::pair<std::string, Ref>> entries) {
  auto body = std::make_unique<DictionaryBody>();
  for (auto& [key, value] : entries) body->entries.emplace_back(make_string(key), std::move(value));
  return Ref::adopt(make_object(foundation().dictionary, std::move(body)));
}

const ArrayBody* array_of(id object) { return body_of<ArrayBody>(object); }
const DictionaryBody* dictionary_of(id object) { return body_of<DictionaryBody>(object); }

id entry_of(id dictionary, std::string_view key) {
  const auto* body = body_of<DictionaryBody>(dictionary);
  if (body == nullptr) return nullptr;
  for (const auto& [known, value] : body->entries) {
    const std::string* text = string_of(known.get());
    if (text != nullptr && *text == key) return value.get();
  }
  return nullptr;
}

}  // namespace anemone::fake_ane
