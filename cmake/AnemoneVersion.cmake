# Generates version.cpp from anemone/base/version.cpp.in at every build (written only when it changed),
# so `anemone version` names the commit it was built from. Runs as a script too, with -P.

if(CMAKE_SCRIPT_MODE_FILE)
  set(ANEMONE_GIT "unknown")
  find_package(Git QUIET)
  if(GIT_FOUND)
    execute_process(COMMAND ${GIT_EXECUTABLE} describe --always --dirty --tags
      WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE
      RESULT_VARIABLE failed ERROR_QUIET)
    if(NOT failed)
      set(ANEMONE_GIT ${described})
    endif()
  endif()
  configure_file(${SOURCE_DIR}/anemone/base/version.cpp.in ${OUTPUT} @ONLY)
  return()
endif()

set(ANEMONE_VERSION_SOURCE ${PROJECT_BINARY_DIR}/generated/version.cpp)
string(TOLOWER "${CMAKE_BUILD_TYPE}" build_type)
if(ANEMONE_SANITIZE)
  string(APPEND build_type " (${ANEMONE_SANITIZE})")
endif()
set(version_command ${CMAKE_COMMAND}
  -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DOUTPUT=${ANEMONE_VERSION_SOURCE}
  -DANEMONE_VERSION=${PROJECT_VERSION} "-DANEMONE_BUILD_TYPE=${build_type}"
  "-DANEMONE_COMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
  -P ${CMAKE_CURRENT_LIST_FILE})
execute_process(COMMAND ${version_command} COMMAND_ERROR_IS_FATAL ANY)
add_custom_target(anemone_version COMMAND ${version_command} BYPRODUCTS ${ANEMONE_VERSION_SOURCE}
  COMMENT "Version of this checkout" VERBATIM)
