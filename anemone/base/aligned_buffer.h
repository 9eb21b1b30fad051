// A block of zeroed memory aligned for vector loads and cache lines. Move-only; never grows.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace anemone {

class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 128;

  AlignedBuffer() = default;
  // Throws Error when the memory cannot be had.
  explicit AlignedBuffer(std::size_t bytes);

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

  template <class T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(data_.get()), size_ / sizeof(T)};
  }
  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data_.get()), size_ / sizeof(T)};
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace anemone
