// Where tests find what is not compiled into them: the checkout, the program under test, and the
// test material in ../shared, which is not part of the project and may be absent.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string_view>

namespace anemone::test {

// The root of the checkout this test was built from.
std::filesystem::path source_root();

// The program `anemone` of the same build.
std::filesystem::path program_path();

// The fault injector (tests/tools/io_fault.h) of the same build; there is none on macOS.
std::filesystem::path io_fault_library();

// The fake framework of the Neural Engine (tests/fake_ane/fake_ane.h) of the same build; nothing
// where it could not be built.
std::optional<std::filesystem::path> fake_ane_library();

// A file or folder of the test material: under $ANEMONE_SHARED where that is set, else under
// ../shared beside the checkout. Nothing if it does not exist there.
std::optional<std::filesystem::path> shared_path(std::string_view relative);

}  // namespace anemone::test

// Declares `const std::filesystem::path name`, or skips the test, saying what is missing.
#define ANEMONE_SHARED_OR_SKIP(name, relative)                                        \
  const auto name##_found = ::anemone::test::shared_path(relative);                   \
  if (!name##_found.has_value())                                                      \
    GTEST_SKIP() << "test material is absent: " << (relative)                         \
                 << " (looked in $ANEMONE_SHARED and ../shared beside the checkout)"; \
  const std::filesystem::path& name = *name##_found
