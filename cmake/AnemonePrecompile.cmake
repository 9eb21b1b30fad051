# Headers of others that nearly every file includes, parsed once and not in every file: two fifths of the
# time of a sanitizer build. None of them is ours, so a change of ours rebuilds no more than without.
#
# A precompiled header hides a missing #include. So release builds, which users make, do without.
# Only with clang: g++ 12 takes longer to load such a header (140 MB) than to parse what it holds.

set(ANEMONE_COMMON_HEADERS <algorithm> <cmath> <cstdint> <filesystem> <functional> <limits> <map> <memory>
  <optional> <random> <set> <span> <sstream> <string> <string_view> <thread> <utility> <variant> <vector>
  <fmt/format.h>)

if(ANEMONE_SANITIZE AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
  set(ANEMONE_PRECOMPILE ON)
endif()

# anemone_precompile(target headers...): these and the common ones, for all files of the target.
function(anemone_precompile target)
  if(ANEMONE_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${ANEMONE_COMMON_HEADERS} ${ARGN})
  endif()
endfunction()

# anemone_precompile_like(target other): with the headers of the other target, which has the same options.
function(anemone_precompile_like target other)
  if(ANEMONE_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${other})
  endif()
endfunction()

# Lets ccache find the header, and what was compiled with it, again.
if(ANEMONE_PRECOMPILE)
  add_compile_options(-Xclang -fno-pch-timestamp)
endif()
