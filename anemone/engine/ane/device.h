// The Neural Engine of this machine: what the framework says of it, and which target it is.
#pragma once

#include <string>

#include "anemone/engine/ane/driver/framework.h"
#include "anemone/engine/ane/target.h"

namespace anemone::engine::ane {

// Empty or negative: not said.
struct Device {
  int present = -1, virtual_machine = -1, engines = -1, cores = -1;
  std::string architecture, sub_type, product, build;
};
Device read_device(const Framework& framework);

std::string macos_version();  // "26.3"; empty elsewhere

struct DeviceTarget {
  Target target;
  std::string how;  // "the framework calls it h16g"; where nothing is known: what is assumed
};
DeviceTarget choose_target(const Device& device, const std::string& processor,
                           const std::string& macos);

}  // namespace anemone::engine::ane
