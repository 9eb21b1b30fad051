// See device.h.
#include "anemone/engine/ane/device.h"

#include <fmt/format.h>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/foundation.h"

#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

namespace anemone::engine::ane {
namespace {

constexpr std::string_view kAssumed = "h16";  // the generation most was published about

std::string text(const Framework& f, const ClassMethod<Id()>& method) {
  return method ? from_string(f, method()) : std::string();
}
template <class T>
int number(const ClassMethod<T()>& method) {
  return method ? static_cast<int>(method()) : -1;
}

}  // namespace

Device read_device(const Framework& f) {
  const AutoreleasePool pool(f.runtime);
  Device device;
  device.present = number(f.has_ane);
  device.virtual_machine = number(f.is_virtual_machine);
  device.engines = number(f.engine_count);
  device.cores = number(f.core_count);
  device.architecture = text(f, f.architecture);
  device.sub_type = text(f, f.sub_type);
  device.product = text(f, f.product_name);
  device.build = text(f, f.build_version);
  return device;
}

std::string macos_version() {
#ifdef __APPLE__
  char version[64] = {};
  std::size_t size = sizeof version - 1;
  if (sysctlbyname("kern.osproductversion", version, &size, nullptr, 0) == 0) return version;
#endif
  return {};
}

DeviceTarget choose_target(const Device& device, const std::string& processor,
                           const std::string& macos) {
  const std::string_view candidates[] = {device.sub_type, device.architecture, processor, kAssumed};
  const std::string how[] = {fmt::format("the framework calls it {}", device.sub_type),
                             fmt::format("the framework calls it {}", device.architecture),
                             fmt::format("the processor is {}", processor),
                             fmt::format("unknown here, assumed ({} {} {})", device.sub_type,
                                         device.architecture, processor)};
  for (std::size_t i = 0; i < std::size(candidates); ++i) {
    if (candidates[i].empty()) continue;
    for (const std::string& version : {macos, std::string()}) {
      try {
        return {find_target(candidates[i], version), how[i]};
      } catch (const Error&) {  // not a name it knows: the next one
      }
    }
  }
  throw Error("there is no target for this Neural Engine");
}

}  // namespace anemone::engine::ane
