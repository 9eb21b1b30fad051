// A child process of a test: start, signal, wait, and what it printed.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace anemone::test {

class Process {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  // Starts `arguments[0]` with what follows; `environment` is added to this process's own.
  explicit Process(const std::vector<std::string>& arguments, const Environment& environment = {});
  ~Process();  // kills it if it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t id() const { return child_; }
  void signal(int number);
  bool running();
  int wait();                  // the exit code, or 128 + the signal that ended it
  std::string output() const;  // standard output and error together, so far

 private:
  void collect(int options);
  pid_t child_ = -1;
  int code_ = -1;
  std::FILE* output_ = nullptr;
};

}  // namespace anemone::test
