# One test program per folder of tests/ (and one for its slow tests), each one ctest entry. A folder
# without tests makes no target. tests/package is a project of its own, not a module; tests/tools holds
# programs and libraries that tests use, tests/fake_ane/framework is another such library.

file(GLOB_RECURSE support_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.cpp)
add_library(anemone_test_support STATIC ${support_sources})
target_include_directories(anemone_test_support PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(anemone_test_support
  PUBLIC anemone_lib GTest::gtest $<TARGET_NAME_IF_EXISTS:rapidcheck> nlohmann_json::nlohmann_json
  PRIVATE anemone_options)
# Only this file knows where the checkout lies, so that all others can come from ccache.
set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/support/shared.cpp PROPERTIES COMPILE_DEFINITIONS
  "ANEMONE_SOURCE_ROOT=\"${PROJECT_SOURCE_DIR}\";ANEMONE_PROGRAM=\"${PROJECT_BINARY_DIR}/anemone\";ANEMONE_TOOLS=\"${PROJECT_BINARY_DIR}/tools\"")

anemone_precompile(anemone_test_support <gtest/gtest.h> <nlohmann/json.hpp>)
# Optimizing makes a sanitized file take twice as long: it pays where tests compute much themselves (what they
# compare with), by their folders. A precompiled header is for one level only: here is that of the others.
set(ANEMONE_COMPUTING_TESTS base compute engine kernels)
set(ANEMONE_OTHER_TEST_OPTIONS $<IF:$<CONFIG:Debug>,-O0,-O1>)
target_compile_options(anemone_test_support PRIVATE -O1)
if(ANEMONE_PRECOMPILE)
  file(WRITE ${PROJECT_BINARY_DIR}/generated/test_headers.cpp "")
  add_library(anemone_test_headers OBJECT ${PROJECT_BINARY_DIR}/generated/test_headers.cpp)
  target_link_libraries(anemone_test_headers PRIVATE anemone_test_support anemone_options)
  target_compile_options(anemone_test_headers PRIVATE ${ANEMONE_OTHER_TEST_OPTIONS})
  anemone_precompile(anemone_test_headers <gtest/gtest.h> <nlohmann/json.hpp>)
endif()

# The fault injector (LD_PRELOAD). Never sanitized: it runs before a sanitizer's own start.
add_custom_target(anemone_test_tools)
if(NOT APPLE)
  add_library(anemone_io_fault MODULE ${PROJECT_SOURCE_DIR}/tests/tools/io_fault.cpp)
  target_include_directories(anemone_io_fault PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(anemone_io_fault PRIVATE anemone_options ${CMAKE_DL_LIBS})
  target_compile_options(anemone_io_fault PRIVATE -fno-sanitize=all)
  target_link_options(anemone_io_fault PRIVATE -fno-sanitize=all)
  set_target_properties(anemone_io_fault PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tools PREFIX "")
  add_dependencies(anemone_test_tools anemone_io_fault)
endif()

include(AnemoneFakeAne)

# What every test runs with. Cases at random are the same ones in each run of ctest, so that what passed
# passes again; a test program run by itself draws others (and says how to repeat what failed).
set(ANEMONE_TEST_ENVIRONMENT "RC_PARAMS=seed=20260727")
if(ANEMONE_SANITIZE)
  list(APPEND ANEMONE_TEST_ENVIRONMENT
    "ASAN_OPTIONS=allocator_may_return_null=1"  # as other allocators do
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan_suppressions.txt:print_suppressions=0")
endif()

# compile_as_test(target module): a test program of a folder, or what several of them are linked with.
function(compile_as_test target module)
  target_link_libraries(${target} PRIVATE anemone_test_support anemone_options)
  if(module IN_LIST ANEMONE_COMPUTING_TESTS)
    target_compile_options(${target} PRIVATE -O1)
    anemone_precompile_like(${target} anemone_test_support)
  else()
    target_compile_options(${target} PRIVATE ${ANEMONE_OTHER_TEST_OPTIONS})
    anemone_precompile_like(${target} anemone_test_headers)
  endif()
  anemone_unity(tests ${target})
endfunction()

# add_test_program(name labels timeout sources...), the first label is the folder. The longest start first
# (COST), so that no processor waits for the last of them.
function(add_test_program name label timeout)
  add_executable(${name} ${ARGN})
  list(GET label 0 module)
  compile_as_test(${name} ${module})
  target_link_libraries(${name} PRIVATE GTest::gtest_main)
  add_dependencies(${name} anemone anemone_test_tools)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${timeout} COST ${timeout}
    ENVIRONMENT "${ANEMONE_TEST_ENVIRONMENT}")
endfunction()

file(GLOB folders CONFIGURE_DEPENDS LIST_DIRECTORIES true ${PROJECT_SOURCE_DIR}/tests/*)
foreach(folder IN LISTS folders)
  get_filename_component(module ${folder} NAME)
  if(NOT IS_DIRECTORY ${folder} OR module MATCHES "^(support|package|tools|aarch64)$")
    continue()
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/fake_ane/framework/")
  if(NOT TARGET rapidcheck)
    foreach(source IN LISTS sources)
      file(STRINGS ${source} needs_rapidcheck REGEX "^#include <rapidcheck" LIMIT_COUNT 1)
      if(needs_rapidcheck)
        list(REMOVE_ITEM sources ${source})
        message(STATUS "left out, there is no rapidcheck: ${source}")
      endif()
    endforeach()
  endif()
  set(fast_tests ${sources})
  set(slow_tests ${sources})
  set(helpers ${sources})
  list(FILTER helpers EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER slow_tests INCLUDE REGEX "_slow_test\\.cpp$")
  list(FILTER fast_tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER fast_tests EXCLUDE REGEX "_slow_test\\.cpp$")
  if(helpers)
    add_library(anemone_${module}_test_helpers OBJECT ${helpers})
    compile_as_test(anemone_${module}_test_helpers ${module})
    set(helpers $<TARGET_OBJECTS:anemone_${module}_test_helpers>)
  endif()
  if(fast_tests)
    add_test_program(anemone_${module}_tests ${module} 600 ${fast_tests} ${helpers})
  endif()
  if(slow_tests)
    add_test_program(anemone_${module}_slow_tests "${module};slow" 3000 ${slow_tests} ${helpers})
    # The test presets of sanitizers leave slow tests out: built there only when asked for by name.
    if(ANEMONE_SANITIZE)
      set_target_properties(anemone_${module}_slow_tests PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
  endif()
endforeach()

# A weak symbol in an object compiled for an ISA could become the copy every machine runs. Sanitizers
# bring their own weak symbols, and without optimization nothing is inlined: checked in release builds.
# The plain kernels run everywhere, so theirs may be picked.
if(CMAKE_NM AND NOT APPLE AND NOT ANEMONE_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(checked_targets ${ANEMONE_KERNEL_TARGETS})
  list(REMOVE_ITEM checked_targets anemone_kernels_plain)
  foreach(target IN LISTS checked_targets)
    set(list_file ${PROJECT_BINARY_DIR}/generated/${target}_objects.txt)
    file(GENERATE OUTPUT ${list_file} CONTENT "$<JOIN:$<TARGET_OBJECTS:${target}>,\n>\n")
    add_test(NAME no_weak_symbols_${target}
      COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DLIST=${list_file}
        -P ${PROJECT_SOURCE_DIR}/cmake/check_weak_symbols.cmake)
    set_tests_properties(no_weak_symbols_${target} PROPERTIES LABELS structure)
  endforeach()
endif()

# What only Apple machines compile is at least right in syntax and types.
find_program(ANEMONE_CLANG clang++)
if(ANEMONE_CLANG AND NOT APPLE AND NOT ANEMONE_SANITIZE)
  add_test(NAME apple_syntax
    COMMAND ${CMAKE_COMMAND} -DCLANG=${ANEMONE_CLANG} -DROOT=${PROJECT_SOURCE_DIR}
      -P ${PROJECT_SOURCE_DIR}/tests/engine/ane/apple_syntax.cmake)
  set_tests_properties(apple_syntax PROPERTIES LABELS structure TIMEOUT 600 COST 600)
endif()

# The contract that every engine keeps, kept by the driver of the Neural Engine on the fake framework.
if(TARGET anemone_fake_ane AND TARGET anemone_engine_tests)
  add_test(NAME ane_keeps_the_contract
    COMMAND anemone_engine_tests --gtest_brief=1 --gtest_filter=*EveryEngine*/ane)
  set_tests_properties(ane_keeps_the_contract PROPERTIES LABELS engine
    ENVIRONMENT "${ANEMONE_TEST_ENVIRONMENT};ANEMONE_ANE_LIBRARY=$<TARGET_FILE:anemone_fake_ane>")
endif()

# Another project can find_package(anemone) and run it. A sanitized library needs its users sanitized too.
if(PROJECT_IS_TOP_LEVEL AND NOT ANEMONE_SANITIZE)
  add_test(NAME package
    COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR} -DCOMPILER=${CMAKE_CXX_COMPILER}
      -P ${PROJECT_SOURCE_DIR}/tests/package/check.cmake)
  set_tests_properties(package PROPERTIES LABELS package TIMEOUT 300)
endif()
