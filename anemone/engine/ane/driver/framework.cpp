// Resolves framework.inc.
#include "anemone/engine/ane/driver/framework.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/raised.h"

namespace anemone::engine::ane {
namespace {

enum class Need : std::uint8_t { required, optional };

class SymbolResolver {
 public:
  SymbolResolver(Framework& framework, const std::vector<std::string>& paths)
      : framework_(framework) {
    for (const std::string& path : paths) libraries_.emplace_back(path);
  }

  Id find_class(Need need, const char* name) {
    const Id cls = framework_.runtime.find_class(name);
    const std::string entry = fmt::format("class {}", name);
    if (cls == nullptr)
      note_missing(need, entry);
    else if (std::count(framework_.found.begin(), framework_.found.end(), entry) == 0)
      framework_.found.push_back(entry);
    return cls;
  }

  template <class R, class... A>
  void find(Need need, ClassMethod<R(A...)>& method, const char* name, const char* selector) {
    const Id cls = find_class(need, name);
    if (cls == nullptr) return;
    const Selector sel = framework_.runtime.selector(selector);
    if (!note(need, framework_.runtime.class_responds(name, sel), '+', name, selector)) return;
    method = {&framework_.runtime, cls, sel};
  }

  template <class R, class... A>
  void find(Need need, Method<R(A...)>& method, const char* name, const char* selector) {
    const Id cls = find_class(need, name);
    if (cls == nullptr) return;
    const Selector sel = framework_.runtime.selector(selector);
    if (!note(need, framework_.runtime.instances_respond(cls, sel), '-', name, selector)) return;
    method = {&framework_.runtime, sel};
  }

  void* find_symbol(Need need, const char* symbol) {
    void* address = nullptr;
    for (const Library& library : libraries_)
      if (address == nullptr) address = library.find(symbol);
    if (address == nullptr)
      note_missing(need, symbol);
    else
      framework_.found.emplace_back(symbol);
    return address;
  }

  // Either way of making a descriptor will do.
  void check_descriptor() {
    if (framework_.make_descriptor) return;
    if (framework_.init_descriptor && framework_.alloc_descriptor) return;
    note_missing(Need::required, "any way to make an _ANEInMemoryModelDescriptor");
  }

 private:
  void note_missing(Need need, const std::string& entry) {
    auto& list = need == Need::required ? framework_.missing_required : framework_.missing_optional;
    if (std::find(list.begin(), list.end(), entry) == list.end()) list.push_back(entry);
  }
  bool note(Need need, bool found, char kind, const char* cls, const char* selector) {
    const std::string entry = fmt::format("{}[{} {}]", kind, cls, selector);
    if (found)
      framework_.found.push_back(entry);
    else
      note_missing(need, entry);
    return found;
  }

  Framework& framework_;
  std::vector<Library> libraries_;
};

}  // namespace

std::vector<std::string> Framework::library_paths() {
  if (const char* library = std::getenv("ANEMONE_ANE_LIBRARY");
      library != nullptr && *library != '\0')
    return {library};
#ifdef __APPLE__
  return {"/System/Library/PrivateFrameworks/AppleNeuralEngine.framework/AppleNeuralEngine",
          "/System/Library/Frameworks/Foundation.framework/Foundation",
          "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation",
          "/System/Library/Frameworks/IOSurface.framework/IOSurface"};
#else
  return {};
#endif
}

std::shared_ptr<const Framework> Framework::inspect(const std::vector<std::string>& libraries) {
  if (libraries.empty()) throw Error("only Apple computers have a Neural Engine");
  const auto framework = std::make_shared<Framework>();
  SymbolResolver resolver(*framework, libraries);
  Framework& f = *framework;
#define ANE_CLASS(need, member, name) f.member = resolver.find_class(Need::need, #name);
#define ANE_CLASS_METHOD(need, member, cls, selector, ...) \
  resolver.find(Need::need, f.member, #cls, selector);
#define ANE_METHOD(need, member, cls, selector, ...) \
  resolver.find(Need::need, f.member, #cls, selector);
#define ANE_FUNCTION(need, member, symbol, ...)                 \
  f.member = reinterpret_cast<std::add_pointer_t<__VA_ARGS__>>( \
      resolver.find_symbol(Need::need, #symbol));
#define ANE_STRING(need, member, symbol)                                             \
  if (void* address = resolver.find_symbol(Need::need, #symbol); address != nullptr) \
    f.member = *static_cast<Id*>(address);
#include "anemone/engine/ane/driver/framework.inc"
#undef ANE_CLASS
#undef ANE_CLASS_METHOD
#undef ANE_METHOD
#undef ANE_FUNCTION
#undef ANE_STRING
  resolver.check_descriptor();
  return framework;
}

std::shared_ptr<const Framework> Framework::open(const std::vector<std::string>& libraries) {
  auto framework = inspect(libraries);
  if (framework->missing_required.empty()) {
    note_exceptions(*framework);
    return framework;
  }
  throw Error(
      fmt::format("this system's AppleNeuralEngine framework lacks what the driver needs: {}",
                  fmt::join(framework->missing_required, ", ")),
      libraries.front());
}

std::shared_ptr<const Framework> Framework::open() { return open(library_paths()); }

}  // namespace anemone::engine::ane
