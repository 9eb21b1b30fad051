// Making and locking an IOSurface.
#include "anemone/engine/ane/driver/surface.h"

#include <fmt/format.h>

#include <array>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/foundation.h"

namespace anemone::engine::ane {
namespace {

constexpr std::uint32_t kLockReadOnly = 1;

struct Properties {
  std::size_t width, height, element_bytes, row_bytes;
};

// Rows without gaps are one flat run of bytes: that form works for surfaces of any height.
Properties properties_of(const BufferSpec& spec) {
  const bool gaps = spec.row_bytes > spec.row_elements * spec.element_bytes;
  if (!gaps) return {spec.bytes, 1, 1, spec.bytes};
  return {spec.row_elements, spec.bytes / spec.row_bytes, spec.element_bytes, spec.row_bytes};
}

void* make_surface(const Framework& f, const BufferSpec& spec) {
  const AutoreleasePool pool(f.runtime);
  const Properties p = properties_of(spec);
  const auto number = [&](std::size_t value) {
    return to_number(f, static_cast<std::int64_t>(value));
  };
  const std::array<std::pair<Id, Id>, 6> entries = {{
      {f.surface_width_key, number(p.width)},
      {f.surface_height_key, number(p.height)},
      {f.surface_element_key, number(p.element_bytes)},
      {f.surface_row_key, number(p.row_bytes)},
      {f.surface_size_key, number(spec.bytes)},
      {f.surface_format_key, number(0)},
  }};
  return f.surface_create(to_dictionary(f, entries));
}

std::uint32_t lock_options(Access access) { return access == Access::read ? kLockReadOnly : 0; }

}  // namespace

IoSurface::IoSurface(std::shared_ptr<const Framework> framework, const BufferSpec& spec)
    : framework_(std::move(framework)), name_(spec.name) {
  const Framework& f = *framework_;
  surface_ = make_surface(f, spec);
  if (surface_ == nullptr)
    throw Error(fmt::format("the system made no IOSurface of {} bytes", spec.bytes), spec.name);
  bytes_ = f.surface_bytes(surface_);
  const std::size_t rows = properties_of(spec).row_bytes, got = f.surface_row_bytes(surface_);
  if (bytes_ >= spec.bytes && (rows == spec.bytes || got == rows)) return;
  f.surface_release(surface_);
  throw Error(fmt::format("the IOSurface made has {} bytes in rows of {}", bytes_, got), spec.name,
              fmt::format("{} in rows of {}", spec.bytes, rows));
}

IoSurface::~IoSurface() { framework_->surface_release(surface_); }

std::byte* IoSurface::lock(Access access) {
  const int status = framework_->surface_lock(surface_, lock_options(access), nullptr);
  if (status != 0)
    throw Error(fmt::format("locking its IOSurface failed ({:#x})", static_cast<unsigned>(status)),
                name_);
  return static_cast<std::byte*>(framework_->surface_address(surface_));
}

void IoSurface::unlock(Access access) {
  framework_->surface_unlock(surface_, lock_options(access), nullptr);
}

}  // namespace anemone::engine::ane
