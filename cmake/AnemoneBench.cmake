# bench/<name>.cpp becomes anemone_bench_<name>; `--target benchmarks` builds all of them. They are not
# part of an ordinary build.
if(NOT benchmark_FOUND)
  message(STATUS "Google Benchmark was not found: no benchmarks")
  return()
endif()

add_custom_target(benchmarks)
file(GLOB bench_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.cpp)
foreach(source IN LISTS bench_sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(anemone_bench_${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(anemone_bench_${name} PRIVATE anemone_lib anemone_options benchmark::benchmark_main)
  set_target_properties(anemone_bench_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
  add_dependencies(benchmarks anemone_bench_${name})
endforeach()
