// Control of the fault injector, a shared library that stands between a program and the C library
// (LD_PRELOAD) and makes the Nth file operation below a folder fail.
//
// Counted are the calls that change files: open for writing, mkdir, write, ftruncate, fsync, close,
// rename, unlink, rmdir, and the opening, syncing and closing of a folder, where the path (or the
// path that the descriptor was opened with) contains the given text.
//
// A program under test is controlled by the environment:
//   ANEMONE_IO_FAULT=PATH:AT:KIND   KIND is a number of Kind below; AT 0 only counts
//   ANEMONE_IO_FAULT_COUNT=FILE     the number of counted calls goes there at exit
// A test inside the same process uses the functions, found with dlsym since they are there only
// when the library is preloaded.
#pragma once

namespace anemone::test::io_fault {

enum class Kind : int {
  full_disk = 0,    // from call AT on, whatever needs space fails with ENOSPC; writes half of AT's
  error_once = 1,   // call AT fails with EIO
  short_write = 2,  // every write from AT on takes one byte less than half; nothing fails
  kill = 3,         // SIGKILL just before call AT; half of it is written if it is a write
};

using Arm = void (*)(const char* path, long at, int kind);
using Disarm = long (*)();  // the number of calls counted since Arm
// What was called since Arm, a line each: "write PATH", "fsync PATH", "rename FROM TO" …
using Trace = const char* (*)();

inline constexpr const char* kArm = "anemone_io_fault_arm";
inline constexpr const char* kDisarm = "anemone_io_fault_disarm";
inline constexpr const char* kTrace = "anemone_io_fault_trace";

}  // namespace anemone::test::io_fault
