// How often this program has asked for memory, in all threads, for tests of what must not allocate.
//
// A test program that calls it has malloc and its kin interposed. Sanitizers bring their own and
// other C libraries have no way in; there nothing is counted.
#pragma once

#include <optional>

namespace anemone::test {

std::optional<long> allocation_count();

}  // namespace anemone::test
