# Script: checks syntax and types of everything that is compiled differently on Apple machines, with
# clang, __APPLE__ defined and own declarations of the system headers that Linux lacks
# (apple_headers/). -DCLANG=compiler -DROOT=checkout
file(GLOB_RECURSE files ${ROOT}/anemone/*.cpp)
set(failed "")
foreach(file IN LISTS files)
  file(STRINGS ${file} apple REGEX "__APPLE__")
  if(NOT apple)
    continue()
  endif()
  execute_process(
    COMMAND ${CLANG} -D__APPLE__=1 -D__MACH__=1 -U__linux__ -std=c++20 -fsyntax-only -Werror
      -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
      -I${ROOT} -I${ROOT}/tests/engine/ane/apple_headers ${file}
    ERROR_VARIABLE problems RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    string(APPEND failed "\n${file}:\n${problems}")
  endif()
endforeach()
if(failed)
  message(FATAL_ERROR "Apple's code path does not compile:${failed}")
endif()
