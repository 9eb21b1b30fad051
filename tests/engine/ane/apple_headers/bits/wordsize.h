// Tells glibc's headers that a word has 64 bits, on a processor that they do not know. For the
// syntax check of Apple's code path (tests/engine/ane/apple_syntax.cmake).
#pragma once
#define __WORDSIZE 64
#define __WORDSIZE_TIME64_COMPAT32 0
