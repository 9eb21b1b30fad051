# With ANEMONE_PRECOMPILE the headers that nearly every file includes are parsed once and not once in every
# file. None of them is ours, so a change of ours rebuilds no more than without.
#
# A precompiled header hides a missing #include. So of the two builds of `make test` only the release build
# has it; the sanitizer build does without and finds what is missing. Kernels, compiled with flags of their
# own, do without too: they include next to nothing.

set(ANEMONE_COMMON_HEADERS <algorithm> <cmath> <cstdint> <filesystem> <limits> <map> <memory> <optional> <span>
  <string> <string_view> <utility> <vector> <fmt/format.h>)

# anemone_precompile(target headers...): these and the common ones, for all files of the target.
function(anemone_precompile target)
  if(ANEMONE_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${ANEMONE_COMMON_HEADERS} ${ARGN})
  endif()
endfunction()

# -fpch-preprocess lets ccache see which precompiled header a file used. g++ 12 finds overflows inside a
# precompiled std::string where there are none; developers' builds, without it, keep these warnings.
if(ANEMONE_PRECOMPILE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-fpch-preprocess
    $<$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>:-Wno-array-bounds$<SEMICOLON>-Wno-stringop-overflow>)
endif()
