// The library's own functions (fake_ane.h), Foundation's and CoreFoundation's C functions, and what
// happens when the library is loaded and when the process ends.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/fake_ane/fake_ane.h"
#include "tests/fake_ane/framework/exception.h"
#include "tests/fake_ane/framework/export.h"
#include "tests/fake_ane/framework/model.h"

using namespace anemone::fake_ane;

namespace {

// For functions that return text: it stays valid until the thread asks again.
const char* keep(std::string text) {
  thread_local std::string kept;
  kept = std::move(text);
  return kept.c_str();
}

// One line for a process: what a test of a whole program asks.
void write_report() {
  const std::string path = settings().report;
  if (path.empty()) return;
  std::FILE* file = std::fopen(path.c_str(), "a");
  if (file == nullptr) return;
  std::fprintf(file,
               "compiles=%ld loads=%ld unloads=%ld evaluates=%ld requests=%ld created=%ld live=%ld "
               "loaded=%ld overlaps=%ld violations=%s\n",
               count_of("compileWithQoS:options:error:"), count_of("loadWithQoS:options:error:"),
               count_of("unloadWithQoS:error:"), count_of("evaluateWithQoS:options:request:error:"),
               live_objects("_ANERequest"), created_objects(), live_objects(""), loaded_programs(),
               count_of(kOverlapCounter), violations().empty() ? "none" : violations().c_str());
  std::fclose(file);
}

// Classes must exist as soon as dlopen returns, as the real framework's do.
__attribute__((constructor)) void start() {
  const char* script = std::getenv("ANEMONE_FAKE_ANE");
  const std::string wrong = set_script(script == nullptr ? "" : script);
  if (!wrong.empty()) {
    std::fprintf(stderr, "ANEMONE_FAKE_ANE: %s\n", wrong.c_str());
    std::abort();
  }
  foundation();
  make_exception_class();
  make_surface_class();
  make_model_classes();
  make_request_classes();
  std::atexit(write_report);
}

}  // namespace

FAKE_ANE_EXPORT const char* fake_ane_script(const char* text) {
  const std::string wrong = set_script(text == nullptr ? "" : text);
  return wrong.empty() ? nullptr : keep(wrong);
}

FAKE_ANE_EXPORT void fake_ane_reset(void) {
  let_go();
  set_script("");
  clear_counters();
  clear_violations();
  forget_programs();
}

FAKE_ANE_EXPORT long fake_ane_count(const char* name) { return count_of(name); }
FAKE_ANE_EXPORT long fake_ane_live_objects(void) { return live_objects(""); }
FAKE_ANE_EXPORT long fake_ane_live(const char* class_name) { return live_objects(class_name); }
FAKE_ANE_EXPORT long fake_ane_created_objects(void) { return created_objects(); }
FAKE_ANE_EXPORT long fake_ane_loaded_programs(void) { return loaded_programs(); }
FAKE_ANE_EXPORT long fake_ane_held(void) { return held(); }
FAKE_ANE_EXPORT void fake_ane_let_go(void) { let_go(); }
FAKE_ANE_EXPORT const char* fake_ane_violations(void) { return keep(violations()); }
FAKE_ANE_EXPORT const char* fake_ane_describe_live(void) { return keep(describe_live()); }
FAKE_ANE_EXPORT const char* fake_ane_last_compile_error(void) { return keep(last_compile_error()); }

FAKE_ANE_EXPORT id NSTemporaryDirectory() {
  FAKE_ANE_COUNT("NSTemporaryDirectory");
  return autorelease(make_string(temporary_directory()).leak());
}

FAKE_ANE_EXPORT id CFRetain(id object) {
  FAKE_ANE_COUNT("CFRetain");
  return retain(object);
}

FAKE_ANE_EXPORT void CFRelease(id object) {
  FAKE_ANE_COUNT("CFRelease");
  if (object == nullptr) {
    violation("CFRelease of a null pointer, which crashes");
    return;
  }
  release(object);
}
