// How the library offers C functions; everything else in it is hidden.
#pragma once

#include "tests/fake_ane/framework/objects.h"

#define FAKE_ANE_EXPORT extern "C" __attribute__((visibility("default")))

// Counts a call of a C function.
#define FAKE_ANE_COUNT(name)                                                           \
  static ::std::atomic<long>& anemone_fake_calls = ::anemone::fake_ane::counter(name); \
  ++anemone_fake_calls
