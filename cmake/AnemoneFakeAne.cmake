# The fake framework of the Neural Engine (tests/fake_ane/fake_ane.h): a shared library that holds all
# of Anemone, since it runs the programs it is given, and offers only what the real framework offers and
# its own control functions. Built where GNU's Objective-C runtime is found (Debian: libobjc-12-dev);
# without it the tests that need it are skipped.

if(NOT APPLE)
  # The headers lie in a folder of g++; behind -idirafter they do not hide those of another compiler.
  file(GLOB gcc_folders /usr/lib/gcc/*/*)
  list(SORT gcc_folders COMPARE NATURAL ORDER DESCENDING)
  list(TRANSFORM gcc_folders APPEND /include OUTPUT_VARIABLE gcc_includes)
  find_path(ANEMONE_OBJC_INCLUDE objc/runtime.h HINTS ${gcc_includes})
  find_library(ANEMONE_OBJC_LIBRARY objc HINTS ${gcc_folders})
endif()

if(NOT APPLE AND ANEMONE_OBJC_INCLUDE AND ANEMONE_OBJC_LIBRARY)
  file(GLOB fake_ane_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fake_ane/framework/*.cpp)
  add_library(anemone_fake_ane SHARED ${fake_ane_sources})
  target_include_directories(anemone_fake_ane PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(anemone_fake_ane PRIVATE "SHELL:-idirafter ${ANEMONE_OBJC_INCLUDE}")
  target_link_libraries(anemone_fake_ane PRIVATE anemone_lib anemone_options ${ANEMONE_OBJC_LIBRARY})
  # Nothing of the program under test may be taken for the library's own, and the other way round.
  target_link_options(anemone_fake_ane PRIVATE -Wl,--exclude-libs,ALL -Wl,-Bsymbolic)
  set_target_properties(anemone_fake_ane PROPERTIES
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tools)
  # Callers write their own types for the framework's opaque ones, as users of a C interface do.
  if(ANEMONE_SANITIZE MATCHES undefined AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(anemone_fake_ane PRIVATE -fno-sanitize=function)
  endif()
  add_dependencies(anemone_test_tools anemone_fake_ane)
elseif(NOT APPLE)
  message(STATUS "No Objective-C runtime found: tests of the Neural Engine's driver will be skipped")
endif()
