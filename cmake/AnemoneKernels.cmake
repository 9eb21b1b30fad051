# Kernels written for one instruction set: anemone/kernels/**_<isa>.cpp become one object library per
# ISA with that ISA's flags, and all of them go into the library, which chooses at run time. Only
# these files are compiled for more than the baseline processor; nothing is -march=native.
#
# -ffp-contract=off: a fused multiply-add happens where a kernel says so and nowhere else, so results
# do not depend on the compiler. -fno-math-errno and -fno-trapping-math change no result; they let
# sqrt and conditional loops become vector code. -fno-exceptions: kernels throw nothing, and without
# it noexcept brings a (weak) reference to the exception handler. g++ 12 takes the undefined vectors
# inside its own AVX-512 intrinsics for mistakes of ours: -Wno-(maybe-)uninitialized.

set(avx2_flags -mavx2 -mfma -mf16c)
set(avx512_flags -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c)
set(ANEMONE_KERNEL_FLAGS_plain "")
set(ANEMONE_KERNEL_FLAGS_avx2 ${avx2_flags})
set(ANEMONE_KERNEL_FLAGS_avx512 ${avx512_flags})
set(ANEMONE_KERNEL_FLAGS_avx512bf16 ${avx512_flags} -mavx512bf16)
set(ANEMONE_KERNEL_FLAGS_amx ${avx512_flags} -mavx512bf16 -mamx-tile -mamx-bf16)
set(ANEMONE_KERNEL_FLAGS_neon "")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(isas plain avx2 avx512 avx512bf16 amx)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(isas plain neon)
else()
  set(isas plain)
endif()

set(ANEMONE_KERNEL_TARGETS "")
foreach(isa IN LISTS isas)
  if(NOT ANEMONE_KERNEL_SOURCES_${isa})
    continue()
  endif()
  set(target anemone_kernels_${isa})
  add_library(${target} OBJECT ${ANEMONE_KERNEL_SOURCES_${isa}})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${target} PRIVATE ANEMONE_KERNEL_ISA=${isa})
  target_compile_options(${target} PRIVATE
    $<$<NOT:$<CONFIG:Debug>>:-O3> -ffp-contract=off -fno-math-errno -fno-trapping-math
    -fno-exceptions $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized$<SEMICOLON>-Wno-maybe-uninitialized>
    ${ANEMONE_KERNEL_FLAGS_${isa}})
  target_link_libraries(${target} PRIVATE anemone_options)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  list(APPEND ANEMONE_KERNEL_TARGETS ${target})
endforeach()
