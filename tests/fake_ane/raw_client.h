// A user of the fake framework who knows nothing but the Objective-C runtime's C functions: what
// the framework's own tests speak to it with, so that they do not depend on the driver.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_ane.h"

namespace anemone::test {

using Id = void*;

class ObjC {
 public:
  using AnyFunction = void (*)();
  explicit ObjC(const FakeAne& fake)
      : fake_(fake),
        lookup_(function<AnyFunction (*)(Id, const void*)>("objc_msg_lookup")),
        selector_(function<const void* (*)(const char*)>("sel_registerName")),
        class_(function<Id (*)(const char*)>("objc_getClass")) {}

  Id cls(const char* name) const { return class_(name); }
  template <class Result = Id, class... Arguments>
  Result send(Id receiver, const char* selector, Arguments... arguments) const {
    const void* sel = selector_(selector);
    using Method = Result (*)(Id, const void*, Arguments...);
    return reinterpret_cast<Method>(lookup_(receiver, sel))(receiver, sel, arguments...);
  }
  template <class Result = Id, class... Arguments>
  Result send_class(const char* name, const char* selector, Arguments... arguments) const {
    return send<Result>(cls(name), selector, arguments...);
  }
  template <class Function>
  Function function(const char* symbol) const {
    return reinterpret_cast<Function>(fake_.find(symbol));
  }
  Id key(const char* symbol) const { return *static_cast<Id*>(fake_.find(symbol)); }

  Id string(const std::string& text) const {
    return send_class("NSString", "stringWithUTF8String:", text.c_str());
  }
  Id data(const std::string& bytes) const {
    return send_class("NSData", "dataWithBytes:length:", static_cast<const void*>(bytes.data()),
                      bytes.size());
  }
  Id number(long long value) const { return send_class("NSNumber", "numberWithLongLong:", value); }
  Id array(const std::vector<Id>& items) const {
    return send_class("NSArray", "arrayWithObjects:count:", items.data(), items.size());
  }
  Id dictionary(const std::vector<std::pair<Id, Id>>& entries) const;
  std::string text(Id string) const {
    return string == nullptr ? "(nil)" : send<const char*>(string, "UTF8String");
  }
  Id at(Id dictionary, const std::string& key_text) const {
    return send(dictionary, "objectForKey:", string(key_text));
  }

 private:
  const FakeAne& fake_;
  AnyFunction (*lookup_)(Id, const void*);
  const void* (*selector_)(const char*);
  Id (*class_)(const char*);
};

class Pool {
 public:
  explicit Pool(const ObjC& objc)
      : objc_(objc), pool_(objc.send(objc.send_class("NSAutoreleasePool", "alloc"), "init")) {}
  ~Pool() { objc_.send<void>(pool_, "drain"); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

 private:
  const ObjC& objc_;
  Id pool_;
};

// An IOSurface of so many bytes.
class RawSurface {
 public:
  RawSurface(const ObjC& objc, std::size_t bytes);
  ~RawSurface() {
    if (surface != nullptr) objc_.function<void (*)(Id)>("CFRelease")(surface);
  }
  RawSurface(const RawSurface&) = delete;
  RawSurface& operator=(const RawSurface&) = delete;

  std::byte* lock(bool read_only = false);
  void unlock(bool read_only = false);
  // fp16 values at a byte offset, locked meanwhile.
  void write(std::size_t offset, const std::vector<double>& values);
  std::vector<double> read(std::size_t offset, std::size_t count);

  Id surface = nullptr;

 private:
  const ObjC& objc_;
};

struct RawError {
  std::string domain, text;
  long code = 0;
};

// One program: descriptor, model, files, and the calls on it. Nothing is checked on the way.
class RawModel {
 public:
  using Files = std::map<std::string, std::string>;  // "weights/w.bin" → bytes

  RawModel(const FakeAne& fake, const ObjC& objc, const std::string& text, const Files& files = {});
  ~RawModel();
  RawModel(const RawModel&) = delete;
  RawModel& operator=(const RawModel&) = delete;

  void write_files(const std::string& text, const Files& files);
  bool compile() { return call("compileWithQoS:options:error:"); }
  bool load() { return call("loadWithQoS:options:error:"); }
  bool unload();
  // Surfaces with their symbol indices.
  using Bound = std::vector<std::pair<RawSurface*, long long>>;
  bool evaluate(const Bound& inputs, const Bound& outputs, long long procedure = 0);

  Id model = nullptr;  // null where the framework made none
  RawError error;      // of the last call that said NO

 private:
  bool call(const char* selector);
  void take_error(Id object);
  Id surface_objects(const Bound& bound) const;
  Id indices(const Bound& bound) const;

  const ObjC& objc_;
  std::string folder_;
};

}  // namespace anemone::test
