// Objects and classes of the fake framework in the GNU Objective-C runtime, made without an
// Objective-C compiler: an object is a class pointer, a reference count and a C++ body; a method is
// a C++ lambda. Every message is counted, every object is known while it lives, and what stays of
// a dead one complains about messages instead of crashing somewhere else.
#pragma once

#include <objc/message.h>
#include <objc/runtime.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace anemone::fake_ane {

// The C++ part of an object.
struct Body {
  Body() = default;
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  virtual ~Body() = default;
};

// As the runtime lays it out: class pointer first, then NSObject's two instance variables.
struct Object {
  Class class_pointer;
  std::atomic<std::int64_t> references;
  Body* body;
};

// A new object with one reference, which the caller owns.
id make_object(Class of, std::unique_ptr<Body> body);
id retain(id object);
void release(id object);
id autorelease(id object);
std::int64_t retain_count(id object);
// Never counted as live, and retain and release do nothing: constant strings.
id make_immortal(id object);

bool is_kind_of(id object, Class of);
inline Object* layout(id object) { return reinterpret_cast<Object*>(object); }

// The body of an object of the right kind, else null.
template <class T>
T* body_of(id object) {
  return object == nullptr || class_isMetaClass(object_getClass(object))
             ? nullptr
             : dynamic_cast<T*>(layout(object)->body);
}

// Owns one reference.
class Ref {
 public:
  Ref() = default;
  static Ref adopt(id object) { return Ref(object); }
  static Ref share(id object) { return Ref(object == nullptr ? nullptr : retain(object)); }
  Ref(const Ref& other) : Ref(share(other.object_)) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) release(object_);
  }
  id get() const { return object_; }
  id leak() { return std::exchange(object_, nullptr); }

 private:
  explicit Ref(id object) : object_(object) {}
  id object_ = nullptr;
};

// What a driver did wrong.
void violation(const std::string& what);
std::string violations();
void clear_violations();

// Counters of methods ("-[NSData bytes]") and C functions, by name; they live for ever.
std::atomic<long>& counter(const std::string& name);
inline constexpr const char* kOverlapCounter = "IOSurfaceLock during an evaluation";
long count_of(const std::string& name);  // also of a selector, over all classes
void clear_counters();
long live_objects(const std::string& class_name);  // empty: all
long created_objects();
std::string describe_live();

// Pools: objects to release when the innermost one of this thread is drained.
void push_pool(id pool);
void drain_pool(id pool);

template <class T>
constexpr const char* type_encoding() {
  if constexpr (std::is_void_v<T>) return "v";
  if constexpr (std::is_same_v<T, id>) return "@";
  if constexpr (std::is_same_v<T, Class>) return "#";
  if constexpr (std::is_same_v<T, SEL>) return ":";
  if constexpr (std::is_same_v<T, id*>) return "^@";
  if constexpr (std::is_same_v<T, const id*>) return "r^@";
  if constexpr (std::is_same_v<T, const char*>) return "r*";
  if constexpr (std::is_same_v<T, const void*>) return "r^v";
  if constexpr (std::is_same_v<T, void*>) return "^v";
  if constexpr (std::is_same_v<T, BOOL>) return "C";
  if constexpr (std::is_same_v<T, int>) return "i";
  if constexpr (std::is_same_v<T, unsigned>) return "I";
  if constexpr (std::is_same_v<T, long>) return "q";
  if constexpr (std::is_same_v<T, unsigned long>) return "Q";
  if constexpr (std::is_same_v<T, long long>) return "q";
  if constexpr (std::is_same_v<T, unsigned long long>) return "Q";
  if constexpr (std::is_same_v<T, float>) return "f";
  if constexpr (std::is_same_v<T, double>) return "d";
}

template <class... Arguments>
std::string encode_arguments() {
  std::string text;
  ((text += type_encoding<Arguments>()), ...);
  return text;
}

// The function the runtime calls for a lambda [](id self, …); counts, then calls it.
template <class Lambda, class Signature = decltype(&Lambda::operator())>
struct Thunk;

template <class Lambda, class Result, class... Arguments>
struct Thunk<Lambda, Result (Lambda::*)(id, Arguments...) const> {
  static inline std::atomic<long>* calls = nullptr;
  static Result call(id self, SEL, Arguments... arguments) {
    ++*calls;
    return Lambda{}(self, arguments...);
  }
  static std::string types() {
    return type_encoding<Result>() + ("@:" + encode_arguments<Arguments...>());
  }
};

// A class under construction. Methods that the script calls missing are left out, and a class that
// it calls missing is never registered (finish returns null).
class ClassBuilder {
 public:
  ClassBuilder(const char* name, Class super);

  template <class Lambda>
  ClassBuilder& method(const char* selector, Lambda) {
    return add(false, selector, Thunk<Lambda>{});
  }
  template <class Lambda>
  ClassBuilder& class_method(const char* selector, Lambda) {
    return add(true, selector, Thunk<Lambda>{});
  }
  Class finish();

 private:
  template <class T>
  ClassBuilder& add(bool of_class, const char* selector, T);
  void add(bool of_class, const char* selector, IMP function, const std::string& types);

  std::string name_;
  Class class_ = nullptr;
};

template <class T>
ClassBuilder& ClassBuilder::add(bool of_class, const char* selector, T) {
  T::calls = &counter((of_class ? "+[" : "-[") + name_ + " " + selector + "]");
  // By way of the type that stands for any function: no compiler warns of that.
  add(of_class, selector, reinterpret_cast<IMP>(reinterpret_cast<void (*)()>(&T::call)),
      T::types());
  return *this;
}

}  // namespace anemone::fake_ane
