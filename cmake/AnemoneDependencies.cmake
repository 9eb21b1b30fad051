# Everything Anemone takes from outside, found in one place. scripts/setup installs all of it.

macro(anemone_require package)
  find_package(${package} ${ARGN} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} was not found. Run scripts/setup, which installs what is missing "
      "(or says which packages to install).")
  endif()
endmacro()

set(THREADS_PREFER_PTHREAD_FLAG ON)
anemone_require(Threads)
anemone_require(fmt)
anemone_require(CLI11)
anemone_require(tomlplusplus)
anemone_require(nlohmann_json)
anemone_require(xxHash)

if(ANEMONE_TESTS)
  anemone_require(GTest)
  # Homebrew may not have it. The few tests that need it are left out there (AnemoneTests.cmake).
  if(APPLE)
    find_package(rapidcheck QUIET)
  else()
    anemone_require(rapidcheck)
  endif()
endif()
if(ANEMONE_BENCH)
  find_package(benchmark QUIET)
endif()
