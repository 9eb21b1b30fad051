// The linear layer: on channel-first data a 1x1 convolution. Also the conversion between element
// types.
#include "anemone/nn/blocks.h"

namespace anemone::nn {

mil::Value linear(mil::Builder& b, mil::Value x, mil::Value weight) {
  // Every argument is given: the Neural Engine's compiler rejects a conv with fewer.
  const std::vector<std::int64_t> ones = {1, 1};
  const std::vector<std::int64_t> no_pad = {0, 0, 0, 0};
  return b.conv({{"x", x},
                 {"weight", weight},
                 {"strides", ones},
                 {"pad_type", "valid"},
                 {"pad", no_pad},
                 {"dilations", ones},
                 {"groups", 1}},
                b.function().name_of(weight) + "_x");
}

mil::Value as_type(mil::Builder& b, mil::Value x, DType dtype) {
  if (b.dtype(x) == dtype) return x;
  return b.cast({{"x", x}, {"dtype", dtype_name(dtype)}},
                b.function().name_of(x) + "_" + dtype_name(dtype));
}

}  // namespace anemone::nn
