// The linear layer: on channel-first data a 1x1 convolution, or a matrix product. Also the
// conversion between element types.
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

mil::Value linear_product(mil::Builder& b, mil::Value x, mil::Value weight, bool transposed) {
  const Shape data = b.shape(x);  // [1, C, 1, S]
  const Shape matrix = {1, 1, data[1], data[3]};
  const std::string name = b.function().name_of(weight);
  const auto columns = b.reshape({{"x", x}, {"shape", matrix}}, name + "_columns");
  const auto product =
      b.matmul({{"x", weight}, {"y", columns}, {"transpose_x", transposed}, {"transpose_y", false}},
               name + "_product");
  const Shape result = {1, b.shape(product)[2], 1, data[3]};
  return b.reshape({{"x", product}, {"shape", result}}, name + "_x");
}

mil::Value as_type(mil::Builder& b, mil::Value x, DType dtype) {
  if (b.dtype(x) == dtype) return x;
  return b.cast({{"x", x}, {"dtype", dtype_name(dtype)}},
                b.function().name_of(x) + "_" + dtype_name(dtype));
}

}  // namespace anemone::nn
