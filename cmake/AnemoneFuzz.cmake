# fuzz/<name>.cpp defines LLVMFuzzerTestOneInput and becomes fuzz/anemone_fuzz_<name>; its seeds lie in
# fuzz/seeds/<name>/. Needs clang: use the preset `fuzz`.
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "ANEMONE_FUZZ needs clang with libFuzzer: configure with `cmake --preset fuzz`.")
endif()

file(GLOB fuzz_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/fuzz/*.cpp)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(anemone_fuzz_${name} ${source})
  target_link_libraries(anemone_fuzz_${name} PRIVATE anemone_lib anemone_options)
  target_link_options(anemone_fuzz_${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(anemone_fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
endforeach()
