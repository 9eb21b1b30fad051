// fork, exec and waitpid.
#include "tests/support/process.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace anemone::test {

Process::Process(const std::vector<std::string>& arguments, const Environment& environment)
    : output_(std::tmpfile()) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  child_ = ::fork();
  if (child_ < 0 || output_ == nullptr) {
    throw std::system_error(errno, std::generic_category(), "cannot start a process");
  }
  if (child_ > 0) return;
  ::dup2(::fileno(output_), STDOUT_FILENO);
  ::dup2(::fileno(output_), STDERR_FILENO);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  ::execv(pointers[0], pointers.data());
  ::_exit(127);
}

Process::~Process() {
  if (running()) {
    signal(SIGKILL);
    wait();
  }
  std::fclose(output_);
}

void Process::signal(int number) {
  if (running()) ::kill(child_, number);
}

bool Process::running() {
  if (code_ < 0) collect(WNOHANG);
  return code_ < 0;
}

int Process::wait() {
  if (code_ < 0) collect(0);
  return code_;
}

void Process::collect(int options) {
  int status = 0;
  pid_t result = 0;
  do {
    result = ::waitpid(child_, &status, options);
  } while (result < 0 && errno == EINTR);
  if (result != child_) return;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Process::output() const {
  std::string text;
  char part[4096];
  off_t at = 0;
  for (ssize_t count = 0; (count = ::pread(::fileno(output_), part, sizeof part, at)) > 0;) {
    text.append(part, static_cast<std::size_t>(count));
    at += count;
  }
  return text;
}

}  // namespace anemone::test
