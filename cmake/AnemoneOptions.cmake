# Compiler settings common to all targets: standard, warnings, sanitizers, ccache, output folders.
# Interface target anemone_options carries them; it is linked privately and never exported.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# Objects are shared between checkouts: ccache sees paths relative to the checkout, not where it lies.
# It takes precompiled headers (AnemonePrecompile.cmake) only if told that their macros are as they were.
find_program(ANEMONE_CCACHE ccache)
if(ANEMONE_CCACHE AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${ANEMONE_CCACHE})
endif()

add_library(anemone_options INTERFACE)
# A unity file (AnemoneUnity.cmake) names its parts by whole paths. They are no part of a message, and so
# nothing that ccache could not find again from another checkout.
target_compile_options(anemone_options INTERFACE -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_compile_options(anemone_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wundef -Wextra-semi
  -Wcast-align -Wformat=2 -Wno-missing-field-initializers
  $<$<BOOL:${ANEMONE_WERROR}>:-Werror>)

# Where every processor has a fused multiply-add, compilers make one of `a * b + c` by themselves, in
# tests too, which say what is rounded when.
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  target_compile_options(anemone_options INTERFACE -ffp-contract=off)
endif()

# -Wno-psabi: g++ notes at every vector argument that the ABI changed in version 4.6.
# -Wno-restrict: g++ 12 sees overlap in `"text" + std::move(string)` where there is none.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(anemone_options INTERFACE -Wno-psabi
    $<$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>:-Wno-restrict>)
endif()

if(ANEMONE_SANITIZE)
  add_compile_options(-fsanitize=${ANEMONE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ANEMONE_SANITIZE})
endif()
if(ANEMONE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
