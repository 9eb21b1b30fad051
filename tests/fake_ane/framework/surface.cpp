#include "tests/fake_ane/framework/surface.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "tests/fake_ane/framework/export.h"
#include "tests/fake_ane/framework/foundation.h"
#include "tests/fake_ane/framework/script.h"

namespace anemone::fake_ane {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::uint32_t kReadOnly = 1;
constexpr int kErrorVmFailure = static_cast<int>(0xe00002bc);

Class surface_class = nullptr;
std::atomic<int> evaluations_under_way{0};
std::atomic<long>& overlaps = counter(kOverlapCounter);

std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

std::size_t property(id properties, const char* key, std::size_t otherwise) {
  const NumberBody* number = number_of(entry_of(properties, key));
  return number == nullptr ? otherwise : static_cast<std::size_t>(number->integer);
}

SurfaceBody* surface_or_complain(id surface, const char* function) {
  auto* body = body_of<SurfaceBody>(surface);
  if (body == nullptr) violation(std::string(function) + " of something that is no IOSurface");
  return body;
}

}  // namespace

// The end of the buffer touches the guard page, so that the first byte too far crashes.
SurfaceBody::SurfaceBody(std::size_t bytes, std::size_t row_bytes, bool protect)
    : bytes_(bytes), row_bytes_(row_bytes), protect_(protect) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t used = round_up(bytes, kAlignment);
  mapped_ = round_up(used, page);
  void* memory =
      mmap(nullptr, mapped_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(memory);
  mprotect(mapping_ + mapped_, page, PROT_NONE);
  address_ = mapping_ + (mapped_ - used);
  update_protection();
}

SurfaceBody::~SurfaceBody() {
  if (readers_ + writers_ > 0) violation("an IOSurface was released while it was locked");
  munmap(mapping_, mapped_ + static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
}

void SurfaceBody::update_protection() {
  if (!protect_) return;
  const int allowed = device_ + writers_ > 0 ? PROT_READ | PROT_WRITE
                      : readers_ > 0         ? PROT_READ
                                             : PROT_NONE;
  mprotect(mapping_, mapped_, allowed);
}

bool SurfaceBody::lock(bool read_only) {
  const std::lock_guard guard(mutex_);
  ++(read_only ? readers_ : writers_);
  update_protection();
  return true;
}

bool SurfaceBody::unlock(bool read_only) {
  const std::lock_guard guard(mutex_);
  int& count = read_only ? readers_ : writers_;
  if (count == 0) return false;
  --count;
  update_protection();
  return true;
}

bool SurfaceBody::locked() const {
  const std::lock_guard guard(mutex_);
  return readers_ + writers_ > 0;
}

bool SurfaceBody::locked_to_write() const {
  const std::lock_guard guard(mutex_);
  return writers_ > 0;
}

EvaluationUnderWay::EvaluationUnderWay() { ++evaluations_under_way; }
EvaluationUnderWay::~EvaluationUnderWay() { --evaluations_under_way; }

SurfaceBody::DeviceAccess::DeviceAccess(SurfaceBody& surface) : surface_(surface) {
  const std::lock_guard guard(surface_.mutex_);
  if (++surface_.device_ == 1) surface_.update_protection();
}

SurfaceBody::DeviceAccess::~DeviceAccess() {
  const std::lock_guard guard(surface_.mutex_);
  if (--surface_.device_ == 0) surface_.update_protection();
}

}  // namespace anemone::fake_ane

using namespace anemone::fake_ane;

extern "C" {
__attribute__((visibility("default"))) id kIOSurfaceWidth;
__attribute__((visibility("default"))) id kIOSurfaceHeight;
__attribute__((visibility("default"))) id kIOSurfaceBytesPerElement;
__attribute__((visibility("default"))) id kIOSurfaceBytesPerRow;
__attribute__((visibility("default"))) id kIOSurfaceAllocSize;
__attribute__((visibility("default"))) id kIOSurfacePixelFormat;
}

namespace anemone::fake_ane {

void make_surface_class() {
  surface_class = ClassBuilder("IOSurface", foundation().object).finish();
  const auto name = [](const char* text) { return make_immortal(make_string(text).leak()); };
  kIOSurfaceWidth = name("IOSurfaceWidth");
  kIOSurfaceHeight = name("IOSurfaceHeight");
  kIOSurfaceBytesPerElement = name("IOSurfaceBytesPerElement");
  kIOSurfaceBytesPerRow = name("IOSurfaceBytesPerRow");
  kIOSurfaceAllocSize = name("IOSurfaceAllocSize");
  kIOSurfacePixelFormat = name("IOSurfacePixelFormat");
}

}  // namespace anemone::fake_ane

FAKE_ANE_EXPORT id IOSurfaceCreate(id properties) {
  FAKE_ANE_COUNT("IOSurfaceCreate");
  if (next_fault(Point::surface).fail) return nullptr;
  const std::size_t width = property(properties, "IOSurfaceWidth", 0);
  const std::size_t height = property(properties, "IOSurfaceHeight", 0);
  const std::size_t element = property(properties, "IOSurfaceBytesPerElement", 1);
  const std::size_t row = property(properties, "IOSurfaceBytesPerRow", width * element);
  const std::size_t bytes = property(properties, "IOSurfaceAllocSize", row * height);
  const bool fits =
      bytes > 0 && width > 0 && height > 0 && row >= width * element && bytes / height >= row;
  if (!fits) {
    violation("IOSurfaceCreate with properties that contradict each other");
    return nullptr;
  }
  return make_object(surface_class, std::make_unique<SurfaceBody>(bytes, row, settings().protect));
}

FAKE_ANE_EXPORT int IOSurfaceLock(id surface, std::uint32_t options, std::uint32_t*) {
  FAKE_ANE_COUNT("IOSurfaceLock");
  auto* body = surface_or_complain(surface, "IOSurfaceLock");
  const Fault fault = next_fault(Point::lock);
  if (body == nullptr || fault.fail)
    return fault.code == 0 ? kErrorVmFailure : static_cast<int>(fault.code);
  body->lock((options & kReadOnly) != 0);
  if (evaluations_under_way > 0) ++overlaps;
  return 0;
}

FAKE_ANE_EXPORT int IOSurfaceUnlock(id surface, std::uint32_t options, std::uint32_t*) {
  FAKE_ANE_COUNT("IOSurfaceUnlock");
  auto* body = surface_or_complain(surface, "IOSurfaceUnlock");
  if (body == nullptr) return kErrorVmFailure;
  if (body->unlock((options & kReadOnly) != 0)) return 0;
  violation("an IOSurface was unlocked that was not locked so");
  return kErrorVmFailure;
}

FAKE_ANE_EXPORT void* IOSurfaceGetBaseAddress(id surface) {
  FAKE_ANE_COUNT("IOSurfaceGetBaseAddress");
  auto* body = surface_or_complain(surface, "IOSurfaceGetBaseAddress");
  return body == nullptr ? nullptr : body->address();
}

FAKE_ANE_EXPORT std::size_t IOSurfaceGetAllocSize(id surface) {
  FAKE_ANE_COUNT("IOSurfaceGetAllocSize");
  auto* body = surface_or_complain(surface, "IOSurfaceGetAllocSize");
  return body == nullptr ? 0 : body->bytes();
}

FAKE_ANE_EXPORT std::size_t IOSurfaceGetBytesPerRow(id surface) {
  FAKE_ANE_COUNT("IOSurfaceGetBytesPerRow");
  auto* body = surface_or_complain(surface, "IOSurfaceGetBytesPerRow");
  return body == nullptr ? 0 : body->row_bytes();
}
