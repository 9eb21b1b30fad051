// Own declarations of what Anemone uses of macOS's <mach-o/dyld.h>, for the syntax check of Apple's
// code path (tests/engine/ane/apple_syntax.cmake).
#pragma once
#include <cstdint>
extern "C" int _NSGetExecutablePath(char* buffer, std::uint32_t* size);
