// Runs of the program itself with the engine `ane` on the fake framework, each in a process of its
// own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace anemone::test {

class ProgramCase {
 public:
  explicit ProgramCase(std::filesystem::path library) : library_(std::move(library)) {}

  // `anemone ARGUMENTS…`; what it printed is in `output`.
  int run(std::vector<std::string> arguments);
  // `anemone train` into a folder of that name below `folder`.
  int train(const std::string& name, const std::string& toml,
            const std::vector<std::string>& flags);

  std::vector<std::string> losses(const std::string& name) const;  // of the steps, as written
  // What two runs disagree in, times aside (train::compare_metrics).
  std::vector<std::string> differences(const std::string& a, const std::string& b) const;
  long restarts(const std::string& name) const;  // processes that went on with the run
  // A number of the line that the fake framework writes at the end of a process ("evaluates"); the
  // last line counts. -1 where there is none.
  long reported(const std::string& counter) const;
  std::string report() const;  // its last line

  std::string script;    // of the fake framework
  std::string patience;  // seconds that a call may take (ANEMONE_ANE_PATIENCE); empty: as usual
  std::string output;
  TemporaryDirectory folder;

 private:
  std::filesystem::path library_;
};

// The largest relative difference of two lists of numbers; infinite when their lengths differ.
double largest_difference(const std::vector<std::string>& a, const std::vector<std::string>& b);

}  // namespace anemone::test
