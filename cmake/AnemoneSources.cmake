# Which file belongs to which target, by place and name:
#   anemone/**.cpp                       the library, except
#   anemone/cli/**.cpp                   the program
#   anemone/kernels/**_<isa>.cpp         the library, compiled for that ISA (AnemoneKernels.cmake)
#   anemone/**.mm                        the library, on Apple machines only
#   tests/<module>/**_test.cpp           anemone_<module>_tests          (AnemoneTests.cmake)
#   tests/<module>/**_slow_test.cpp      anemone_<module>_slow_tests, label slow
#   tests/<module>/**.cpp                helpers linked to both; tests/support/**.cpp to all
#   tests/fake_ane/framework/*.cpp       the fake framework              (AnemoneFakeAne.cmake)
#   bench/*.cpp                          anemone_bench_<name>            (AnemoneBench.cmake)
#   fuzz/*.cpp                           anemone_fuzz_<name>             (AnemoneFuzz.cmake)

set(ANEMONE_KERNEL_ISAS plain avx2 avx512 avx512bf16 amx neon)

file(GLOB_RECURSE ANEMONE_LIBRARY_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/anemone/*.cpp)
set(ANEMONE_PROGRAM_SOURCES ${ANEMONE_LIBRARY_SOURCES})
list(FILTER ANEMONE_PROGRAM_SOURCES INCLUDE REGEX "/anemone/cli/")
list(FILTER ANEMONE_LIBRARY_SOURCES EXCLUDE REGEX "/anemone/cli/")

foreach(isa IN LISTS ANEMONE_KERNEL_ISAS)
  set(ANEMONE_KERNEL_SOURCES_${isa} ${ANEMONE_LIBRARY_SOURCES})
  list(FILTER ANEMONE_KERNEL_SOURCES_${isa} INCLUDE REGEX "/anemone/kernels/.*_${isa}\\.cpp$")
  list(FILTER ANEMONE_LIBRARY_SOURCES EXCLUDE REGEX "/anemone/kernels/.*_${isa}\\.cpp$")
endforeach()

if(APPLE)
  enable_language(OBJCXX)
  file(GLOB_RECURSE apple_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/anemone/*.mm)
  list(APPEND ANEMONE_LIBRARY_SOURCES ${apple_sources})
endif()
