// The fake framework of the Neural Engine, loaded into this process: its script, counters and list
// of misuses (tests/fake_ane/fake_ane.h says what each is).
//
//   ANEMONE_FAKE_ANE_OR_SKIP(fake);
//   fake.script("compile 2 fail; rows 128");
//   …
//   EXPECT_EQ(fake.violations(), "");
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/fake_ane/fake_ane.h"

namespace anemone::test {

class FakeAne {
 public:
  // Loads the library, once a process, and points ANEMONE_ANE_LIBRARY and TMPDIR at it and at a
  // folder of this process. Null where it was not built.
  static FakeAne* load();

  // A new state: no faults but those of `text`, counters at zero.
  void script(const std::string& text);

  long count(const std::string& name) const { return count_(name.c_str()); }
  long live() const { return live_objects_(); }
  long live(const std::string& class_name) const { return live_(class_name.c_str()); }
  long created() const { return created_objects_(); }
  long loaded_programs() const { return loaded_programs_(); }
  long held() const { return held_(); }
  void let_go() { let_go_(); }
  std::string violations() const { return violations_(); }
  std::string describe_live() const { return describe_live_(); }
  std::string last_compile_error() const { return last_compile_error_(); }
  // What lies in the folder for programs: names, one per line. Empty = all was removed.
  std::string left_files() const;

  // Any exported symbol of the library or of the runtime it uses; null if there is none.
  void* find(const char* symbol) const;

 private:
  FakeAne() = default;
  void* library_ = nullptr;
  std::string folder_;
  decltype(&fake_ane_script) script_ = nullptr;
  decltype(&fake_ane_reset) reset_ = nullptr;
  decltype(&fake_ane_count) count_ = nullptr;
  decltype(&fake_ane_live) live_ = nullptr;
  decltype(&fake_ane_live_objects) live_objects_ = nullptr;
  decltype(&fake_ane_created_objects) created_objects_ = nullptr;
  decltype(&fake_ane_loaded_programs) loaded_programs_ = nullptr;
  decltype(&fake_ane_held) held_ = nullptr;
  decltype(&fake_ane_let_go) let_go_ = nullptr;
  decltype(&fake_ane_violations) violations_ = nullptr;
  decltype(&fake_ane_describe_live) describe_live_ = nullptr;
  decltype(&fake_ane_last_compile_error) last_compile_error_ = nullptr;
};

}  // namespace anemone::test

// Declares `FakeAne& name` in a fresh state, or skips the test.
#define ANEMONE_FAKE_ANE_OR_SKIP(name)                                                   \
  ::anemone::test::FakeAne* const name##_found = ::anemone::test::FakeAne::load();       \
  if (name##_found == nullptr)                                                           \
    GTEST_SKIP() << "the fake framework was not built: no GNU Objective-C runtime here"; \
  ::anemone::test::FakeAne& name = *name##_found;                                        \
  name.script("")
