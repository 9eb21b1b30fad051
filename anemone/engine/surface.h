// Memory that an engine reads and writes in place: aligned memory on the CPU, an IOSurface on the
// Neural Engine.
//
// A BufferSpec says how much memory a program wants; a Port says where one named tensor lies in
// such a buffer. Nobody assumes strides: they come from the ports of a compiled program. Host
// access is scoped (HostAccess), since some engines must lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "anemone/base/aligned_buffer.h"
#include "anemone/base/dtype.h"
#include "anemone/base/shape.h"

namespace anemone::engine {

struct BufferSpec {
  std::string name;  // for messages
  std::size_t bytes = 0;
  // Rows with gaps between them, where the engine's memory knows of such; 0: none.
  std::size_t row_bytes = 0, row_elements = 0, element_bytes = 0;
};

// One named tensor inside a buffer.
struct Port {
  std::string name;
  DType dtype = DType::fp16;
  Shape shape;
  Strides strides{};  // in elements
  std::size_t offset_bytes = 0;
  int buffer = 0;  // index into the executable's input or output buffers

  bool same_layout(const Port& other) const;  // dtype, shape and strides
};

enum class Access : std::uint8_t { read, write, read_write };

class Surface {
 public:
  virtual ~Surface() = default;
  virtual std::size_t bytes() const = 0;

 private:
  friend class HostAccess;
  virtual std::byte* lock(Access access) = 0;
  virtual void unlock(Access access) = 0;
};

// The host may touch the surface's memory while this lives.
class HostAccess {
 public:
  HostAccess(Surface& surface, Access access)
      : surface_(surface), access_(access), data_(surface.lock(access)) {}
  ~HostAccess() { surface_.unlock(access_); }
  HostAccess(const HostAccess&) = delete;
  HostAccess& operator=(const HostAccess&) = delete;
  std::byte* data() const { return data_; }

 private:
  Surface& surface_;
  Access access_;
  std::byte* data_;
};

// Plain aligned host memory: the surface of engines that run on the host.
class HostSurface final : public Surface {
 public:
  explicit HostSurface(std::size_t bytes) : memory_(bytes) {}
  std::size_t bytes() const override { return memory_.size(); }

 private:
  std::byte* lock(Access) override { return memory_.data(); }
  void unlock(Access) override {}
  AlignedBuffer memory_;
};

// Copies between a port's elements and a row-major array, converting the element type. For hosts,
// tests and files; hot paths use kernels on the locked memory.
void read_port(const std::byte* surface, const Port& port, std::span<double> values);
void write_port(std::byte* surface, const Port& port, std::span<const double> values);
void read_port(const std::byte* surface, const Port& port, std::span<float> values);
void write_port(std::byte* surface, const Port& port, std::span<const float> values);

}  // namespace anemone::engine
