// Own declarations of what Anemone uses of macOS's <sys/sysctl.h>, for the syntax check of Apple's
// code path (tests/engine/ane/apple_syntax.cmake).
#pragma once
#include <cstddef>
extern "C" int sysctlbyname(const char* name, void* old_value, std::size_t* old_size,
                            void* new_value, std::size_t new_size);
