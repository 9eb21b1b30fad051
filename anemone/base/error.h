// Errors a user can cause, and checks of our own invariants.
//
// `Error` is thrown for bad text, files, flags and programs an engine cannot take; it says what is
// wrong, where, and what was expected, and is caught by the command line and by whoever embeds the
// library. ANEMONE_CHECK is for broken invariants of ours: a user must not be able to reach it.
// Expected outcomes (a full disk while saving, a failed evaluation, an overflow) are values, for
// example `Status`.
#pragma once

#include <stdexcept>
#include <string>

namespace anemone {

class Error : public std::runtime_error {
 public:
  // what():  "WHERE: WHAT (expected EXPECTED)", leaving out the parts that are empty.
  explicit Error(const std::string& what, const std::string& where = {},
                 const std::string& expected = {});

  const std::string& problem() const { return problem_; }
  const std::string& where() const { return where_; }
  const std::string& expected() const { return expected_; }

 private:
  std::string problem_, where_, expected_;
};

// The outcome of something that may fail without being anybody's bug. Empty message = success.
struct [[nodiscard]] Status {
  std::string message;
  bool ok() const { return message.empty(); }
  static Status failure(std::string why) { return {std::move(why)}; }
};

// Where a failure ends what was asked for.
inline void throw_if_failed(const Status& status) {
  if (!status.ok()) throw Error(status.message);
}

[[noreturn]] void check_failed(const char* condition, const char* why, const char* file, int line);

}  // namespace anemone

// Always on: aborts with the condition, the reason and the place.
#define ANEMONE_CHECK(condition, why) \
  ((condition) ? void() : ::anemone::check_failed(#condition, why, __FILE__, __LINE__))
