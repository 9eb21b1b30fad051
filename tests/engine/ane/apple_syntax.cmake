# Script: checks syntax and types of what Apple machines compile: the driver, and every file that is
# compiled differently there. clang compiles for arm64-apple-macos14, so that the language, the predefined
# macros and the processor are Apple's; the C and C++ libraries are Linux's, with own declarations of the
# headers that it lacks (apple_headers/). -DCLANG=compiler -DROOT=checkout

# Where clang finds headers when it compiles for this machine.
execute_process(COMMAND ${CLANG} -E -v -x c++ /dev/null OUTPUT_QUIET ERROR_VARIABLE search)
string(REGEX MATCH "search starts here:\n(.*)End of search list" search "${search}")
string(REGEX MATCHALL "/[^\n]+" folders "${CMAKE_MATCH_1}")
# Linux's headers take Apple's word for a nullable pointer as a macro of their own.
set(flags -target arm64-apple-macos14 -nostdlibinc -U__nonnull -D_GNU_SOURCE
  -isystem ${ROOT}/tests/engine/ane/apple_headers)
foreach(folder IN LISTS folders)
  list(APPEND flags -isystem ${folder})
endforeach()

set(source ${CMAKE_CURRENT_BINARY_DIR}/apple_syntax_target.cpp)
file(WRITE ${source} "#include <string>\n#include <pthread.h>\n#if !__APPLE__ || !__aarch64__\n#error other\n#endif\n")
execute_process(COMMAND ${CLANG} ${flags} -std=c++20 -fsyntax-only ${source}
  ERROR_VARIABLE problems RESULT_VARIABLE status)
file(REMOVE ${source})
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${CLANG} does not compile for Apple's machines with this system's headers:\n${problems}")
endif()

file(GLOB_RECURSE files ${ROOT}/anemone/*.cpp)
set(failed "")
set(checked 0)
foreach(file IN LISTS files)
  file(STRINGS ${file} apple REGEX "__APPLE__")
  if(NOT apple AND NOT file MATCHES "/engine/ane/driver/")
    continue()
  endif()
  math(EXPR checked "${checked} + 1")
  execute_process(
    COMMAND ${CLANG} ${flags} -std=c++20 -fsyntax-only -Werror
      -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -I${ROOT} ${file}
    ERROR_VARIABLE problems RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    string(APPEND failed "\n${file}:\n${problems}")
  endif()
endforeach()
if(failed)
  message(FATAL_ERROR "Apple's code path does not compile:${failed}")
endif()
message(STATUS "${checked} files compile for arm64-apple-macos14")
