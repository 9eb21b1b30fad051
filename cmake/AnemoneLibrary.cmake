# The library (target anemone_lib, exported as anemone::anemone, file libanemone.a) and the program
# (target and file: anemone, at the top of the build folder).

add_library(anemone_lib STATIC ${ANEMONE_LIBRARY_SOURCES} ${ANEMONE_VERSION_SOURCE}
  ${ANEMONE_BUILTIN_CONFIG_SOURCE})
add_library(anemone::anemone ALIAS anemone_lib)
add_dependencies(anemone_lib anemone_version)
foreach(target IN LISTS ANEMONE_KERNEL_TARGETS)
  target_sources(anemone_lib PRIVATE $<TARGET_OBJECTS:${target}>)
endforeach()
set_target_properties(anemone_lib PROPERTIES
  OUTPUT_NAME anemone EXPORT_NAME anemone POSITION_INDEPENDENT_CODE ON)
target_compile_features(anemone_lib PUBLIC cxx_std_20)
target_compile_options(anemone_lib PRIVATE -ffp-contract=off)
target_include_directories(anemone_lib PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include>)
target_link_libraries(anemone_lib
  PUBLIC fmt::fmt Threads::Threads
  PRIVATE xxHash::xxhash tomlplusplus::tomlplusplus
    $<BUILD_INTERFACE:anemone_options> $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)

add_executable(anemone ${ANEMONE_PROGRAM_SOURCES})
target_link_libraries(anemone PRIVATE anemone_lib anemone_options CLI11::CLI11 nlohmann_json::nlohmann_json)
set_target_properties(anemone PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
# CLI11 is a large header that is slow to optimize, with sanitizers most of all, and nothing here is worth it.
target_compile_options(anemone PRIVATE $<IF:$<CONFIG:Debug>,-O0,-O1>)

anemone_precompile(anemone_lib)
anemone_precompile(anemone <CLI/CLI.hpp>)

# Every file of an operation names its parts alike (kParams, infer, eval, sample), as CONTRIBUTING.md says.
set(op_sources ${ANEMONE_LIBRARY_SOURCES})
list(FILTER op_sources INCLUDE REGEX "/anemone/mil/ops/")
# The version is another one after every commit.
set_source_files_properties(${op_sources} ${ANEMONE_VERSION_SOURCE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
anemone_unity(library anemone_lib)
anemone_unity(program anemone)
