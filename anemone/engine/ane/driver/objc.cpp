// Finding the runtime, and what differs between Apple's and GNU's.
#include "anemone/engine/ane/driver/objc.h"

#include <dlfcn.h>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/raised.h"

namespace anemone::engine::ane {
namespace {

#ifdef __APPLE__
constexpr bool kApple = true;
constexpr const char* kRuntimeLibrary = "/usr/lib/libobjc.A.dylib";
constexpr const char* kCodeFunction = "objc_msgSend";
#else
constexpr bool kApple = false;
constexpr const char* kRuntimeLibrary = "libobjc.so.4";
constexpr const char* kCodeFunction = "objc_msg_lookup";
#endif

template <class Function>
Function function(const Library& library, const char* symbol) {
  void* address = library.find(symbol);
  if (address == nullptr)
    throw Error(std::string("the Objective-C runtime has no ") + symbol, library.path());
  return reinterpret_cast<Function>(address);
}

}  // namespace

Library::Library(const std::string& path)
    : path_(path), handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ != nullptr) return;
  const char* reason = dlerror();
  throw Error(reason != nullptr ? reason : "cannot be loaded", path);
}

void* Library::find(const char* symbol) const { return dlsym(handle_, symbol); }

Runtime::Runtime() : library_(kRuntimeLibrary) {
  get_class_ = function<decltype(get_class_)>(library_, "objc_getClass");
  get_meta_class_ = function<decltype(get_meta_class_)>(library_, "objc_getMetaClass");
  responds_ = function<decltype(responds_)>(library_, "class_respondsToSelector");
  register_selector_ = function<decltype(register_selector_)>(library_, "sel_registerName");
  selector_name_ = function<decltype(selector_name_)>(library_, "sel_getName");
  code_ = function<void*>(library_, kCodeFunction);
  if (kApple) {
    push_ = function<void*>(library_, "objc_autoreleasePoolPush");
    pop_ = function<void*>(library_, "objc_autoreleasePoolPop");
  }
  retain_ = selector("retain");
  release_ = selector("release");
  alloc_ = selector("alloc");
  init_ = selector("init");
}

Id Runtime::find_class(const char* name) const { return get_class_(name); }

void Runtime::throw_raised(Selector selector) const {
  const std::string said = take_noted_exception();
  throw Raised(std::string(selector_name_(selector)) + " raised " +
               (said.empty() ? "an exception" : said));
}

// Apple's objc_msgSend is itself called in place of the method; GNU's runtime says where it is.
Runtime::Code Runtime::code(Id receiver, Selector selector) const {
  if (kApple) return reinterpret_cast<Code>(code_);
  return reinterpret_cast<Code (*)(Id, Selector)>(code_)(receiver, selector);
}

void* Runtime::push_pool() const {
  if (kApple) return reinterpret_cast<void* (*)()>(push_)();
  const Id pool_class = find_class("NSAutoreleasePool");
  if (pool_class == nullptr) throw Error("there is no class NSAutoreleasePool");
  return send<Id>(send<Id>(pool_class, alloc_), init_);
}

void Runtime::pop_pool(void* pool) const {
  if (kApple)
    reinterpret_cast<void (*)(void*)>(pop_)(pool);
  else
    release(static_cast<Id>(pool));
}

}  // namespace anemone::engine::ane
