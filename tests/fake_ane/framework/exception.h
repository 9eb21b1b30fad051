// NSException, and raising one: as the real framework does for what it takes to be a mistake of the
// programmer.
#pragma once

#include <string>

namespace anemone::fake_ane {

// Made when the library is loaded.
void make_exception_class();

// Raises an NSException named NSInternalInconsistencyException through the runtime, after the hook
// that a user has set (objc_setExceptionPreprocessor, which GNU's runtime lacks) has seen it.
[[noreturn]] void raise_exception(const std::string& reason);

}  // namespace anemone::fake_ane
