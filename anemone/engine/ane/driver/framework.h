// Apple's frameworks as one struct: every class, method and function of framework.inc, resolved
// once, callable with its right type. What is required and missing is named in one error.
//
//   const auto framework = Framework::open();
//   Id text = framework->make_string("main");   // +[NSString stringWithUTF8String:]
//   if (framework->purge) framework->purge(model);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "anemone/engine/ane/driver/objc.h"

namespace anemone::engine::ane {

// Is given every exception when it is raised, and returns the one to throw.
using ExceptionHook = Id (*)(Id);

template <class Signature>
struct Method;
template <class R, class... A>
struct Method<R(A...)> {
  const Runtime* runtime = nullptr;
  Selector selector = nullptr;  // null: absent
  explicit operator bool() const { return selector != nullptr; }
  R operator()(Id receiver, A... arguments) const {
    return runtime->send<R>(receiver, selector, arguments...);
  }
};

template <class Signature>
struct ClassMethod;
template <class R, class... A>
struct ClassMethod<R(A...)> {
  const Runtime* runtime = nullptr;
  Id receiver = nullptr;
  Selector selector = nullptr;  // null: absent
  explicit operator bool() const { return selector != nullptr; }
  R operator()(A... arguments) const { return runtime->send<R>(receiver, selector, arguments...); }
};

struct Framework {
  // Where the frameworks lie; all of it in one library where ANEMONE_ANE_LIBRARY names one (tests).
  static std::vector<std::string> library_paths();
  // Throws Error: no Apple machine, a library that cannot be loaded, or all that is missing.
  static std::shared_ptr<const Framework> open();
  static std::shared_ptr<const Framework> open(const std::vector<std::string>& libraries);
  // The same without the error for what is missing.
  static std::shared_ptr<const Framework> inspect(const std::vector<std::string>& libraries);

  Runtime runtime;
  std::vector<std::string> found;             // "+[_ANERequest requestWith…]", "IOSurfaceCreate"
  std::vector<std::string> missing_required;  // the same; a missing class once, without its methods
  std::vector<std::string> missing_optional;

#define ANE_CLASS(need, member, name) Id member = nullptr;
#define ANE_CLASS_METHOD(need, member, cls, selector, ...) ClassMethod<__VA_ARGS__> member;
#define ANE_METHOD(need, member, cls, selector, ...) Method<__VA_ARGS__> member;
#define ANE_FUNCTION(need, member, symbol, ...) std::add_pointer_t<__VA_ARGS__> member = nullptr;
#define ANE_STRING(need, member, symbol) Id member = nullptr;
#include "anemone/engine/ane/driver/framework.inc"
#undef ANE_CLASS
#undef ANE_CLASS_METHOD
#undef ANE_METHOD
#undef ANE_FUNCTION
#undef ANE_STRING
};

}  // namespace anemone::engine::ane
