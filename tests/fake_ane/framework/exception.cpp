#include "tests/fake_ane/framework/exception.h"

#include <objc/objc-exception.h>

#include <atomic>

#include "tests/fake_ane/framework/export.h"
#include "tests/fake_ane/framework/foundation.h"

namespace anemone::fake_ane {
namespace {

using Hook = id (*)(id);

struct ExceptionBody final : Body {
  Ref name, reason;
};

Class exception_class = nullptr;
std::atomic<Hook> hook{nullptr};

}  // namespace

void make_exception_class() {
  ClassBuilder c("NSException", foundation().object);
  c.method("name", [](id self) {
     return body_of<ExceptionBody>(self)->name.get();
   }).method("reason", [](id self) { return body_of<ExceptionBody>(self)->reason.get(); });
  exception_class = c.finish();
}

void raise_exception(const std::string& reason) {
  id exception = nullptr;
  {
    auto body = std::make_unique<ExceptionBody>();
    body->name = make_string("NSInternalInconsistencyException");
    body->reason = make_string(reason);
    exception = autorelease(make_object(exception_class, std::move(body)));
  }
  if (const Hook set = hook; set != nullptr) exception = set(exception);
  objc_exception_throw(exception);
  __builtin_unreachable();
}

}  // namespace anemone::fake_ane

FAKE_ANE_EXPORT anemone::fake_ane::Hook objc_setExceptionPreprocessor(
    anemone::fake_ane::Hook hook) {
  return anemone::fake_ane::hook.exchange(hook);
}
