// Named weights that programs refer to (WeightRef): where a trainer's master values and a program's
// constants meet.
//
// The store does not own values: it points at fp32 memory (a trainer's parameters, a mapped file)
// that must outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "anemone/base/shape.h"

namespace anemone::mil {

class WeightStore {
 public:
  struct Tensor {
    Shape shape;  // row-major
    std::span<const float> values;
  };

  void add(std::string name, Shape shape,
           std::span<const float> values);  // Error when the name is taken
  const Tensor* find(std::string_view name) const;
  const Tensor& get(std::string_view name) const;  // Error naming what is there
  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }

 private:
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace anemone::mil
