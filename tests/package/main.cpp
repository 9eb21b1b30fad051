// Uses the installed library the way another project would.
#include <iostream>

#include "anemone/base/version.h"

int main() {
  std::cout << "anemone " << anemone::build_info().version << "\n";
  return 0;
}
