// What glibc's headers ask for where they do not know the processor: nothing. For the syntax check
// of Apple's code path (tests/engine/ane/apple_syntax.cmake).
#pragma once
