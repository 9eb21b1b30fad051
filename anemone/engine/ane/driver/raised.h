// Objective-C exceptions. Apple's frameworks raise them for what they take to be a programmer's
// mistake: a message that nobody understands, nil in a dictionary. Whoever calls through Runtime
// gets a Raised instead, with what the exception says where the runtime lets us see it.
#pragma once

#include <string>

#include "anemone/base/error.h"

namespace anemone::engine::ane {

class Raised final : public Error {
 public:
  using Error::Error;
};

struct Framework;

// C++ can catch these exceptions but not look into them, so from now on name and reason of each are
// noted while it is raised. Done once a process and for good; hooks of others stay in use.
void note_exceptions(const Framework& framework);

// "NSInvalidArgumentException: …", the last raised in this thread; empty: not noted, or taken.
std::string take_noted_exception();

}  // namespace anemone::engine::ane
