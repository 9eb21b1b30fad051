# fuzz/<name>.cpp defines LLVMFuzzerTestOneInput; its seeds lie in fuzz/seeds/<name>/. With ANEMONE_FUZZ
# (preset `fuzz`, clang) it becomes the libFuzzer program fuzz/anemone_fuzz_<name>; in other builds a
# test that replays the seeds.
if(ANEMONE_FUZZ AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "ANEMONE_FUZZ needs clang with libFuzzer: configure with `cmake --preset fuzz`.")
endif()

file(GLOB fuzz_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/fuzz/*.cpp)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(anemone_fuzz_${name} ${source})
  target_link_libraries(anemone_fuzz_${name} PRIVATE anemone_lib anemone_options)
  set_target_properties(anemone_fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  if(ANEMONE_FUZZ)
    target_link_options(anemone_fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(anemone_fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/fuzz/replay/main.cpp)
    set(seeds ${PROJECT_SOURCE_DIR}/fuzz/seeds/${name})
    add_test(NAME fuzz_seeds_${name} COMMAND anemone_fuzz_${name} ${seeds})
    set_tests_properties(fuzz_seeds_${name} PROPERTIES LABELS fuzz TIMEOUT 300)
  endif()
endforeach()
