// The fault injector (io_fault.h). Uses no C++ library and no allocation: it runs inside every file
// call of a program, some of them before main.
#include "tests/tools/io_fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>

namespace {

using anemone::test::io_fault::Kind;

constexpr int kDescriptors = 1024;
char g_path[4096];
std::atomic<long> g_at{0}, g_count{0};
std::atomic<bool> g_armed{false};
std::atomic<bool> g_tracked[kDescriptors];
char g_paths[kDescriptors][256];  // what a tracked descriptor was opened with, cut off
char g_trace[1 << 20];            // calls in order; full is full
std::atomic<size_t> g_traced{0};
Kind g_kind = Kind::full_disk;

template <typename Function>
Function next(Function& cached, const char* name) {
  if (cached == nullptr) cached = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
  return cached;
}

// The C library's function of this name.
#define NEXT(name)                               \
  ([]() -> decltype(&::name) {                   \
    static decltype(&::name) function = nullptr; \
    return next(function, #name);                \
  }())

bool is_watched(const char* path) {
  return g_armed && path != nullptr && strstr(path, g_path) != nullptr;
}

bool is_watched(int descriptor) {
  return g_armed && descriptor >= 0 && descriptor < kDescriptors && g_tracked[descriptor];
}

void record(const char* call, const char* path, const char* other = "") {
  const size_t at = g_traced;
  if (at >= sizeof g_trace - 1024) return;
  const int size = snprintf(g_trace + at, 1024, "%s %s %s\n", call, path, other);
  g_traced = at + static_cast<size_t>(size < 1024 ? size : 1023);
}

// Counts a call; true if it must fail, with errno set.
bool fails(bool needs_space) {
  const long number = ++g_count;
  const long at = g_at;
  if (at == 0 || number < at) return false;
  if (g_kind == Kind::full_disk && needs_space) {
    errno = ENOSPC;
    return true;
  }
  if (number != at) return false;
  if (g_kind == Kind::kill) ::raise(SIGKILL);
  if (g_kind != Kind::error_once) return false;
  errno = EIO;
  return true;
}

// What reaches the file of a write that is cut short by the fault, if any.
size_t written_first(size_t size) {
  const long number = g_count + 1;
  const long at = g_at;
  if (at == 0 || number < at) return 0;
  if (g_kind == Kind::short_write && size > 2) return size / 2 - 1 + size % 2;
  if ((g_kind == Kind::kill || g_kind == Kind::full_disk) && number == at) return size / 2;
  return 0;
}

void track(int descriptor, const char* path, bool watched) {
  if (descriptor < 0 || descriptor >= kDescriptors) return;
  g_tracked[descriptor] = watched;
  if (!watched) return;
  strncpy(g_paths[descriptor], path, sizeof g_paths[0] - 1);
}

bool changes_files(int flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_DIRECTORY)) != 0; }

mode_t mode_argument(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

// Calls a function that changes names, unless it is its turn to fail.
#define FAIL_OR_CALL(watched, needs_space, call)  \
  if ((watched) && fails(needs_space)) return -1; \
  return call

void arm_from_environment() {
  const char* text = ::getenv("ANEMONE_IO_FAULT");
  if (text == nullptr) return;
  const char* kind = strrchr(text, ':');
  if (kind == nullptr || kind == text) return;
  const char* at = kind - 1;
  while (at > text && *at != ':') --at;
  const auto length = static_cast<size_t>(at - text);
  if (length >= sizeof g_path) return;
  memcpy(g_path, text, length);
  g_kind = static_cast<Kind>(atoi(kind + 1));
  g_at = atol(at + 1);
  g_armed = true;
}

__attribute__((constructor)) void start() { arm_from_environment(); }

__attribute__((destructor)) void report_count() {
  const char* file = ::getenv("ANEMONE_IO_FAULT_COUNT");
  if (file == nullptr) return;
  g_armed = false;
  char text[32];
  const int size = snprintf(text, sizeof text, "%ld\n", g_count.load());
  const int descriptor = NEXT(open)(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (descriptor < 0) return;
  (void)!NEXT(write)(descriptor, text, static_cast<size_t>(size));
  NEXT(close)(descriptor);
}

}  // namespace

extern "C" {

void anemone_io_fault_arm(const char* path, long at, int kind) {
  strncpy(g_path, path, sizeof g_path - 1);
  g_kind = static_cast<Kind>(kind);
  g_at = at;
  g_count = 0;
  g_traced = 0;
  g_trace[0] = '\0';
  g_armed = true;
}

const char* anemone_io_fault_trace() { return g_trace; }

long anemone_io_fault_disarm() {
  g_armed = false;
  return g_count;
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  const bool watched = is_watched(path) && changes_files(flags);
  if (watched && fails((flags & O_CREAT) != 0)) return -1;
  const int descriptor = NEXT(open)(path, flags, mode);
  track(descriptor, path, watched);
  if (watched && descriptor >= 0) record((flags & O_CREAT) != 0 ? "create" : "open", path);
  return descriptor;
}

ssize_t write(int descriptor, const void* data, size_t size) {
  if (!is_watched(descriptor)) return NEXT(write)(descriptor, data, size);
  record("write", g_paths[descriptor]);
  const size_t first = written_first(size);
  if (first > 0) {
    const ssize_t count = NEXT(write)(descriptor, data, first);
    if (g_kind != Kind::kill) {
      ++g_count;  // the rest of a full disk's write fails as the next call
      return count;
    }
  }
  FAIL_OR_CALL(true, true, NEXT(write)(descriptor, data, size));
}

int ftruncate(int descriptor, off_t size) noexcept {
  FAIL_OR_CALL(is_watched(descriptor), false, NEXT(ftruncate)(descriptor, size));
}

int fsync(int descriptor) {
  if (is_watched(descriptor)) record("fsync", g_paths[descriptor]);
  FAIL_OR_CALL(is_watched(descriptor), false, NEXT(fsync)(descriptor));
}

// A close that fails has closed the descriptor all the same, as on Linux.
int close(int descriptor) {
  const bool watched = is_watched(descriptor);
  track(descriptor, nullptr, false);
  if (watched && fails(false)) {
    NEXT(close)(descriptor);
    errno = EIO;
    return -1;
  }
  return NEXT(close)(descriptor);
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (is_watched(path)) record("mkdir", path);
  FAIL_OR_CALL(is_watched(path), true, NEXT(mkdir)(path, mode));
}

int rename(const char* from, const char* to) noexcept {
  const bool watched = is_watched(from) || is_watched(to);
  if (watched) record("rename", from, to);
  FAIL_OR_CALL(watched, false, NEXT(rename)(from, to));
}

int unlink(const char* path) noexcept { FAIL_OR_CALL(is_watched(path), false, NEXT(unlink)(path)); }

int rmdir(const char* path) noexcept { FAIL_OR_CALL(is_watched(path), false, NEXT(rmdir)(path)); }

int remove(const char* path) noexcept { FAIL_OR_CALL(is_watched(path), false, NEXT(remove)(path)); }

// Relative names inside a folder that is being removed: they have no path to compare.
int unlinkat(int folder, const char* path, int flags) noexcept {
  FAIL_OR_CALL(g_armed, false, NEXT(unlinkat)(folder, path, flags));
}

}  // extern "C"
