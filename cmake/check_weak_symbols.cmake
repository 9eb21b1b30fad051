# Script: fails if an object named in the file LIST defines a weak (W, V) or unique (u) symbol.
file(STRINGS ${LIST} objects)
set(found "")
foreach(object IN LISTS objects)
  execute_process(COMMAND ${NM} -C --defined-only ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [WVu] [^\n]*" weak "${symbols}")
  foreach(symbol IN LISTS weak)
    string(APPEND found "\n  ${object}: ${symbol}")
  endforeach()
endforeach()
if(found)
  message(FATAL_ERROR "Kernel objects may export no weak symbols: the linker could pick this copy for every "
    "machine. Make the function static, always_inline, or a member of an anonymous namespace.${found}")
endif()
