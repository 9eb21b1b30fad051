// The hook that notes exceptions. It runs wherever an exception is raised in this process, so it
// allocates nothing of ours and lets nothing out.
#include "anemone/engine/ane/driver/raised.h"

#include <atomic>
#include <cstdio>
#include <mutex>

#include "anemone/engine/ane/driver/framework.h"

namespace anemone::engine::ane {
namespace {

// A runtime of its own, never destroyed: the hook outlives every Framework.
class Noter {
 public:
  Noter()
      : exception_class_(runtime_.find_class("NSException")),
        is_kind_of_(runtime_.selector("isKindOfClass:")),
        name_(runtime_.selector("name")),
        reason_(runtime_.selector("reason")),
        utf8_(runtime_.selector("UTF8String")) {}

  void write(Id exception, char* text, std::size_t size) const {
    if (exception_class_ == nullptr || exception == nullptr ||
        runtime_.send<Bool>(exception, is_kind_of_, exception_class_) == 0) {
      std::snprintf(text, size, "an object that is no NSException");
      return;
    }
    std::snprintf(text, size, "%s: %s", part(exception, name_), part(exception, reason_));
  }

 private:
  const char* part(Id exception, Selector which) const {
    const Id string = runtime_.send<Id>(exception, which);
    const char* text = string == nullptr ? nullptr : runtime_.send<const char*>(string, utf8_);
    return text == nullptr ? "nothing" : text;
  }

  Runtime runtime_;
  Id exception_class_;
  Selector is_kind_of_, name_, reason_, utf8_;
};

constexpr std::size_t kMostText = 1024;
thread_local char noted[kMostText];
thread_local bool noting = false;  // what raises while an exception is looked at is not noted

const Noter* noter = nullptr;
std::atomic<ExceptionHook> previous_hook{nullptr};

Id note(Id exception) {
  if (!noting) {
    noting = true;
    try {
      noter->write(exception, noted, kMostText);
    } catch (const Raised&) {
      noted[0] = '\0';
    }
    noting = false;
  }
  const ExceptionHook previous = previous_hook;
  return previous != nullptr ? previous(exception) : exception;
}

}  // namespace

void note_exceptions(const Framework& framework) {
  if (framework.set_exception_hook == nullptr) return;
  static std::once_flag once;
  std::call_once(once, [&] {
    noter = new Noter;
    previous_hook = framework.set_exception_hook(note);
  });
}

std::string take_noted_exception() {
  std::string text = noted;
  noted[0] = '\0';
  return text;
}

}  // namespace anemone::engine::ane
