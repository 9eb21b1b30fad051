// IOSurfaces: memory that the Neural Engine and the host share. The host locks it while it reads or
// writes.
#pragma once

#include <memory>

#include "anemone/engine/ane/driver/framework.h"
#include "anemone/engine/surface.h"

namespace anemone::engine::ane {

class IoSurface final : public Surface {
 public:
  // Rows as the spec has them; one flat row where it has none. Throws Error when the system makes
  // no surface or another one than asked for.
  IoSurface(std::shared_ptr<const Framework> framework, const BufferSpec& spec);
  ~IoSurface() override;
  IoSurface(const IoSurface&) = delete;
  IoSurface& operator=(const IoSurface&) = delete;

  std::size_t bytes() const override { return bytes_; }
  void* handle() const { return surface_; }  // an IOSurfaceRef

 private:
  std::byte* lock(Access access) override;
  void unlock(Access access) override;

  std::shared_ptr<const Framework> framework_;
  std::string name_;
  void* surface_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace anemone::engine::ane
