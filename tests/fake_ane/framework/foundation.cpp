#include "tests/fake_ane/framework/foundation.h"

#include <cstdlib>
#include <cstring>

namespace anemone::fake_ane {
namespace {

bool is_class(id object) { return class_isMetaClass(object_getClass(object)); }
Class as_class(id object) { return reinterpret_cast<Class>(object); }
BOOL yes_if(bool condition) { return condition ? YES : NO; }

// alloc makes the object with the body that its class has; init… fills it.
template <class T>
id allocate(id self) {
  return make_object(as_class(self), std::make_unique<T>());
}

Class make_object_class() {
  ClassBuilder c("NSObject", Nil);
  c.class_method("alloc", [](id self) { return make_object(as_class(self), nullptr); })
      .class_method("new", [](id self) { return make_object(as_class(self), nullptr); })
      .method("init", [](id self) { return self; })
      .method("retain", [](id self) { return retain(self); })
      .method("release", [](id self) { release(self); })
      .method("autorelease", [](id self) { return autorelease(self); })
      .method("retainCount", [](id self) { return static_cast<unsigned long>(retain_count(self)); })
      .method("class",
              [](id self) { return is_class(self) ? as_class(self) : object_getClass(self); })
      .method("superclass",
              [](id self) {
                return class_getSuperclass(is_class(self) ? as_class(self) : object_getClass(self));
              })
      .method("isKindOfClass:", [](id self, Class of) { return yes_if(is_kind_of(self, of)); })
      .method("respondsToSelector:",
              [](id self, SEL selector) {
                return class_respondsToSelector(object_getClass(self), selector);
              })
      .class_method(
          "instancesRespondToSelector:",
          [](id self, SEL selector) { return class_respondsToSelector(as_class(self), selector); })
      .method("isEqual:", [](id self, id other) { return yes_if(equal(self, other)); })
      .method("description", [](id self) {
        return autorelease(make_string(class_getName(object_getClass(self))).leak());
      });
  return c.finish();
}

struct PoolBody final : Body {};

Class make_pool_class(Class super) {
  ClassBuilder c("NSAutoreleasePool", super);
  const auto make = [](id self) { return allocate<PoolBody>(self); };
  c.class_method("alloc", make)
      .class_method("new",
                    [](id self) {
                      const id pool = allocate<PoolBody>(self);
                      push_pool(pool);
                      return pool;
                    })
      .method("init",
              [](id self) {
                push_pool(self);
                return self;
              })
      .method("drain", [](id self) { drain_pool(self); })
      .method("release", [](id self) { drain_pool(self); });
  return c.finish();
}

id init_string(id self, const char* text) {
  if (text == nullptr) {
    violation("an NSString was made of a null pointer");
    release(self);
    return nullptr;
  }
  body_of<StringBody>(self)->text = text;
  return self;
}

Class make_string_class(Class super) {
  ClassBuilder c("NSString", super);
  c.class_method("alloc", [](id self) { return allocate<StringBody>(self); })
      .class_method("string", [](id self) { return autorelease(allocate<StringBody>(self)); })
      .class_method("stringWithUTF8String:",
                    [](id self, const char* text) {
                      return autorelease(init_string(allocate<StringBody>(self), text));
                    })
      .method("initWithUTF8String:",
              [](id self, const char* text) { return init_string(self, text); })
      .method("UTF8String", [](id self) { return body_of<StringBody>(self)->text.c_str(); })
      .method("length",
              [](id self) {
                return static_cast<unsigned long>(body_of<StringBody>(self)->text.size());
              })
      .method("isEqualToString:", [](id self, id other) { return yes_if(equal(self, other)); })
      .method("description", [](id self) { return autorelease(retain(self)); });
  return c.finish();
}

id init_data(id self, const void* bytes, unsigned long size) {
  auto* data = body_of<DataBody>(self);
  data->owned.assign(static_cast<const char*>(bytes), size);
  data->bytes = data->owned.data();
  data->size = size;
  return self;
}

id init_data_no_copy(id self, const void* bytes, unsigned long size, bool free_when_done) {
  auto* data = body_of<DataBody>(self);
  data->bytes = bytes;
  data->size = size;
  data->free_when_done = free_when_done;
  return self;
}

Class make_data_class(Class super) {
  ClassBuilder c("NSData", super);
  c.class_method("alloc", [](id self) { return allocate<DataBody>(self); })
      .class_method("data", [](id self) { return autorelease(allocate<DataBody>(self)); })
      .class_method("dataWithBytes:length:",
                    [](id self, const void* bytes, unsigned long size) {
                      return autorelease(init_data(allocate<DataBody>(self), bytes, size));
                    })
      .class_method(
          "dataWithBytesNoCopy:length:",
          [](id self, void* bytes, unsigned long size) {
            return autorelease(init_data_no_copy(allocate<DataBody>(self), bytes, size, true));
          })
      .class_method("dataWithBytesNoCopy:length:freeWhenDone:",
                    [](id self, void* bytes, unsigned long size, BOOL free_when_done) {
                      return autorelease(init_data_no_copy(allocate<DataBody>(self), bytes, size,
                                                           free_when_done != NO));
                    })
      .method("initWithBytes:length:",
              [](id self, const void* bytes, unsigned long size) {
                return init_data(self, bytes, size);
              })
      .method("initWithBytesNoCopy:length:freeWhenDone:",
              [](id self, void* bytes, unsigned long size, BOOL free_when_done) {
                return init_data_no_copy(self, bytes, size, free_when_done != NO);
              })
      .method("bytes", [](id self) { return body_of<DataBody>(self)->bytes; })
      .method("length",
              [](id self) { return static_cast<unsigned long>(body_of<DataBody>(self)->size); });
  return c.finish();
}

template <class T>
id new_number(id self, T value) {
  const id object = allocate<NumberBody>(self);
  auto* number = body_of<NumberBody>(object);
  number->is_floating = std::is_floating_point_v<T>;
  number->integer = static_cast<std::int64_t>(value);
  number->floating = static_cast<double>(value);
  return autorelease(object);
}

template <class T>
T number_value(id self) {
  const auto* number = body_of<NumberBody>(self);
  return number->is_floating ? static_cast<T>(number->floating) : static_cast<T>(number->integer);
}

Class make_number_class(Class super) {
  ClassBuilder c("NSNumber", super);
#define ANEMONE_NUMBER(type, make, get)          \
  c.class_method(make, [](id self, type value) { \
     return new_number(self, value);             \
   }).method(get, [](id self) { return number_value<type>(self); })
  ANEMONE_NUMBER(int, "numberWithInt:", "intValue");
  ANEMONE_NUMBER(unsigned, "numberWithUnsignedInt:", "unsignedIntValue");
  ANEMONE_NUMBER(long, "numberWithLong:", "longValue");
  ANEMONE_NUMBER(unsigned long, "numberWithUnsignedLong:", "unsignedLongValue");
  ANEMONE_NUMBER(long long, "numberWithLongLong:", "longLongValue");
  ANEMONE_NUMBER(unsigned long long, "numberWithUnsignedLongLong:", "unsignedLongLongValue");
  ANEMONE_NUMBER(long, "numberWithInteger:", "integerValue");
  ANEMONE_NUMBER(unsigned long, "numberWithUnsignedInteger:", "unsignedIntegerValue");
  ANEMONE_NUMBER(BOOL, "numberWithBool:", "boolValue");
  ANEMONE_NUMBER(float, "numberWithFloat:", "floatValue");
  ANEMONE_NUMBER(double, "numberWithDouble:", "doubleValue");
#undef ANEMONE_NUMBER
  return c.finish();
}

id init_error(id self, id domain, long code, id user_info) {
  auto* error = body_of<ErrorBody>(self);
  error->domain = Ref::share(domain);
  error->code = code;
  error->user_info = Ref::share(user_info);
  return self;
}

Class make_error_class(Class super) {
  ClassBuilder c("NSError", super);
  c.class_method("alloc", [](id self) { return allocate<ErrorBody>(self); })
      .class_method(
          "errorWithDomain:code:userInfo:",
          [](id self, id domain, long code, id user_info) {
            return autorelease(init_error(allocate<ErrorBody>(self), domain, code, user_info));
          })
      .method("initWithDomain:code:userInfo:",
              [](id self, id domain, long code, id user_info) {
                return init_error(self, domain, code, user_info);
              })
      .method("domain", [](id self) { return body_of<ErrorBody>(self)->domain.get(); })
      .method("code", [](id self) { return body_of<ErrorBody>(self)->code; })
      .method("userInfo", [](id self) { return body_of<ErrorBody>(self)->user_info.get(); })
      .method("localizedDescription",
              [](id self) {
                return entry_of(body_of<ErrorBody>(self)->user_info.get(),
                                "NSLocalizedDescription");
              })
      .method("description", [](id self) {
        const auto* error = body_of<ErrorBody>(self);
        const std::string* domain = string_of(error->domain.get());
        const std::string* text =
            string_of(entry_of(error->user_info.get(), "NSLocalizedDescription"));
        return autorelease(make_string("Error Domain=" + (domain ? *domain : "(null)") +
                                       " Code=" + std::to_string(error->code) + " \"" +
                                       (text ? *text : "(null)") + "\"")
                               .leak());
      });
  return c.finish();
}

}  // namespace

Class make_array_class(Class super);
Class make_mutable_array_class(Class array);
Class make_dictionary_class(Class super);
Class make_mutable_dictionary_class(Class dictionary);

DataBody::~DataBody() {
  if (free_when_done) std::free(const_cast<void*>(bytes));
}

const FoundationClasses& foundation() {
  static const FoundationClasses kClasses = [] {
    FoundationClasses c{};
    c.object = make_object_class();
    c.pool = make_pool_class(c.object);
    c.string = make_string_class(c.object);
    c.data = make_data_class(c.object);
    c.number = make_number_class(c.object);
    c.array = make_array_class(c.object);
    c.mutable_array = make_mutable_array_class(c.array);
    c.dictionary = make_dictionary_class(c.object);
    c.mutable_dictionary = make_mutable_dictionary_class(c.dictionary);
    c.error = make_error_class(c.object);
    return c;
  }();
  return kClasses;
}

Ref make_string(std::string_view text) {
  auto body = std::make_unique<StringBody>();
  body->text = text;
  return Ref::adopt(make_object(foundation().string, std::move(body)));
}

Ref make_number(std::int64_t value) {
  auto body = std::make_unique<NumberBody>();
  body->integer = value;
  body->floating = static_cast<double>(value);
  return Ref::adopt(make_object(foundation().number, std::move(body)));
}

const std::string* string_of(id object) {
  const auto* body = body_of<StringBody>(object);
  return body == nullptr ? nullptr : &body->text;
}
const DataBody* data_of(id object) { return body_of<DataBody>(object); }
const NumberBody* number_of(id object) { return body_of<NumberBody>(object); }

bool equal(id a, id b) {
  if (a == b) return true;
  const std::string* text = string_of(a);
  const std::string* other_text = string_of(b);
  if (text != nullptr && other_text != nullptr) return *text == *other_text;
  const NumberBody* number = number_of(a);
  const NumberBody* other_number = number_of(b);
  return number != nullptr && other_number != nullptr && number->integer == other_number->integer &&
         number->floating == other_number->floating;
}

void set_error(id* error, std::string_view domain, long code, std::string_view text) {
  if (error == nullptr) return;
  auto body = std::make_unique<ErrorBody>();
  body->domain = make_string(domain);
  body->code = code;
  std::vector<std::pair<std::string, Ref>> user_info;
  user_info.emplace_back("NSLocalizedDescription", make_string(text));
  body->user_info = make_dictionary(std::move(user_info));
  *error = autorelease(make_object(foundation().error, std::move(body)));
}

}  // namespace anemone::fake_ane
