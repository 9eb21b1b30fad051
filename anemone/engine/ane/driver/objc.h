// The Objective-C runtime through its C functions, found with dlopen: nothing here needs an
// Objective-C compiler or links against the runtime, so the driver builds everywhere.
//
// A method that raises an exception is an error like any other: send() throws Raised (raised.h),
// whichever runtime raised it.
//
// Platforms differ in two places only, both in objc.cpp: where a message's code is looked up
// (objc_msgSend; GNU's objc_msg_lookup), and what an autorelease pool is.
#pragma once

#include <string>
#include <utility>

namespace anemone::engine::ane {

struct ObjcObject;
struct ObjcSelector;
using Id = ObjcObject*;  // an object; a class is one too
using Selector = const ObjcSelector*;
// BOOL is bool on arm64 and a character elsewhere: a byte that is not 0 is YES in all of them.
using Bool = signed char;

// A dlopen handle that is never closed: classes cannot be unloaded.
class Library {
 public:
  explicit Library(const std::string& path);  // throws Error with the loader's reason
  void* find(const char* symbol) const;       // null when absent
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  void* handle_ = nullptr;
};

class Runtime {
 public:
  Runtime();  // throws Error when the runtime is not here

  Id find_class(const char* name) const;  // null when absent
  Selector selector(const char* name) const { return register_selector_(name); }
  bool instances_respond(Id cls, Selector selector) const { return responds_(cls, selector) != 0; }
  bool class_responds(const char* name, Selector selector) const {
    return responds_(get_meta_class_(name), selector) != 0;
  }

  template <class R, class... A>
  R send(Id receiver, Selector selector, A... arguments) const {
    using Function = R (*)(Id, Selector, A...);
    try {
      return reinterpret_cast<Function>(code(receiver, selector))(receiver, selector, arguments...);
    } catch (...) {  // Apple's runtime throws it as C++ would, GNU's as a foreign one
    }
    throw_raised(selector);
  }

  void retain(Id object) const { send<Id>(object, retain_); }
  void release(Id object) const { send<void>(object, release_); }

  void* push_pool() const;
  void pop_pool(void* pool) const;

 private:
  using Code = void (*)();
  [[noreturn]] void throw_raised(Selector selector) const;
  Code code(Id receiver, Selector selector) const;  // of the method a message leads to

  Library library_;
  Id (*get_class_)(const char*) = nullptr;
  Id (*get_meta_class_)(const char*) = nullptr;
  Bool (*responds_)(Id, Selector) = nullptr;
  Selector (*register_selector_)(const char*) = nullptr;
  const char* (*selector_name_)(Selector) = nullptr;
  void* code_ = nullptr;
  void *push_ = nullptr, *pop_ = nullptr;  // Apple's pools
  Selector retain_ = nullptr, release_ = nullptr, alloc_ = nullptr, init_ = nullptr;
};

// Objects that are returned without being owned live until the innermost pool ends.
class AutoreleasePool {
 public:
  explicit AutoreleasePool(const Runtime& runtime)
      : runtime_(runtime), pool_(runtime.push_pool()) {}
  ~AutoreleasePool() { runtime_.pop_pool(pool_); }
  AutoreleasePool(const AutoreleasePool&) = delete;
  AutoreleasePool& operator=(const AutoreleasePool&) = delete;

 private:
  const Runtime& runtime_;
  void* pool_;
};

// An object that is owned: retained here, released at the end.
class Retained {
 public:
  Retained() = default;
  Retained(const Runtime& runtime, Id object) : runtime_(&runtime), object_(object) {
    if (object_ != nullptr) runtime_->retain(object_);
  }
  ~Retained() { reset(); }
  Retained(Retained&& other) noexcept
      : runtime_(other.runtime_), object_(std::exchange(other.object_, nullptr)) {}
  Retained& operator=(Retained&& other) noexcept {
    reset();
    runtime_ = other.runtime_;
    object_ = std::exchange(other.object_, nullptr);
    return *this;
  }
  // Takes over an object that alloc or new gave, which is owned already.
  static Retained adopt(const Runtime& runtime, Id object) {
    Retained owned;
    owned.runtime_ = &runtime;
    owned.object_ = object;
    return owned;
  }

  Id get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  void reset() {
    if (object_ != nullptr) runtime_->release(std::exchange(object_, nullptr));
  }

 private:
  const Runtime* runtime_ = nullptr;
  Id object_ = nullptr;
};

}  // namespace anemone::engine::ane
