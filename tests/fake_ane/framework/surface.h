// IOSurfaces of the fake framework: memory with a guard page behind it, readable and writable only
// while locked if the script wants that.
#pragma once

#include <cstddef>
#include <mutex>

#include "tests/fake_ane/framework/objects.h"

namespace anemone::fake_ane {

class SurfaceBody final : public Body {
 public:
  SurfaceBody(std::size_t bytes, std::size_t row_bytes, bool protect);
  ~SurfaceBody() override;

  std::size_t bytes() const { return bytes_; }
  std::size_t row_bytes() const { return row_bytes_; }
  std::byte* address() const { return address_; }
  bool lock(bool read_only);
  bool unlock(bool read_only);
  bool locked() const;  // by the host, in whatever way
  bool locked_to_write() const;

  // The engine's own access, which no lock of the host protects.
  class DeviceAccess {
   public:
    explicit DeviceAccess(SurfaceBody& surface);
    ~DeviceAccess();
    DeviceAccess(const DeviceAccess&) = delete;
    DeviceAccess& operator=(const DeviceAccess&) = delete;
    std::byte* data() const { return surface_.address_; }

   private:
    SurfaceBody& surface_;
  };

 private:
  void update_protection();  // with mutex_ held

  mutable std::mutex mutex_;
  std::size_t bytes_, row_bytes_;
  bool protect_;
  std::byte* mapping_ = nullptr;
  std::size_t mapped_ = 0;  // without the guard page
  std::byte* address_ = nullptr;
  int readers_ = 0, writers_ = 0, device_ = 0;
};

// While one lives an evaluation is under way: locks taken meanwhile are counted as overlap.
class EvaluationUnderWay {
 public:
  EvaluationUnderWay();
  ~EvaluationUnderWay();
  EvaluationUnderWay(const EvaluationUnderWay&) = delete;
  EvaluationUnderWay& operator=(const EvaluationUnderWay&) = delete;
};

// The class of IOSurfaceRefs and the kIOSurface… strings; made when the library is loaded.
void make_surface_class();

}  // namespace anemone::fake_ane
