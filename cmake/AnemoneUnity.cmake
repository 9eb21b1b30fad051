# Unity builds: several files of a folder are compiled as one, because most of the time goes into the
# headers that they share. What it asks for: names in anonymous namespaces differ within a folder.
#
# It hides a missing #include. So preset `dev` compiles the library file by file (with its precompiled
# headers, which are none of ours, it would gain a fifth only), and preset `clang`, which clang-tidy reads,
# everything; so does -DANEMONE_UNITY= with any other.

set(ANEMONE_UNITY "library;program;tests" CACHE STRING
  "What is compiled several files at once: library, program, tests")

# At most this many at once: one change compiles all of them, and many processors want many objects.
set(ANEMONE_UNITY_FILES 8)

# anemone_unity(what target): in groups of about the same size, folder by folder, so that a new file moves
# those of its own folder only. Files with the property SKIP_UNITY_BUILD_INCLUSION stay alone.
function(anemone_unity what target)
  if(NOT what IN_LIST ANEMONE_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.cpp$")
  set(folders "")
  foreach(source IN LISTS sources)
    get_source_file_property(alone ${source} SKIP_UNITY_BUILD_INCLUSION)
    if(NOT alone)
      cmake_path(GET source PARENT_PATH folder)
      list(APPEND folders ${folder})
      list(APPEND sources_${folder} ${source})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES folders)
  foreach(folder IN LISTS folders)
    cmake_path(RELATIVE_PATH folder BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE name)
    string(MAKE_C_IDENTIFIER ${name} name)
    list(LENGTH sources_${folder} files)
    if(files EQUAL 1)
      continue()
    endif()
    math(EXPR groups "(${files} + ${ANEMONE_UNITY_FILES} - 1) / ${ANEMONE_UNITY_FILES}")
    set(number 0)
    foreach(source IN LISTS sources_${folder})
      math(EXPR group "${number} * ${groups} / ${files}")
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${name}_${group})
      math(EXPR number "${number} + 1")
    endforeach()
  endforeach()
endfunction()
