// Ports: elements between memory with strides and row-major arrays.
#include "anemone/engine/surface.h"

#include <gtest/gtest.h>

#include "anemone/base/element.h"
#include "anemone/base/error.h"

namespace anemone::engine {
namespace {

Port strided_port(DType dtype) {
  Port port;
  port.name = "x";
  port.dtype = dtype;
  port.shape = {2, 3};
  port.strides[0] = 8;
  port.strides[1] = 2;
  port.offset_bytes = 2 * dtype_size(dtype);
  return port;
}

TEST(Ports, ReadAndWriteThroughStrides) {
  for (const DType dtype : {DType::fp16, DType::fp32, DType::int32, DType::int8}) {
    const Port port = strided_port(dtype);
    std::vector<std::byte> memory(16 * dtype_size(dtype));
    const std::vector<double> values{1, 2, 3, -4, 5, 6};
    write_port(memory.data(), port, values);
    EXPECT_EQ(load_element(dtype, memory.data(), 2 + 8 + 2), 5);
    EXPECT_EQ(load_element(dtype, memory.data(), 3), 0);
    std::vector<double> back(6);
    read_port(memory.data(), port, back);
    EXPECT_EQ(back, values);
    std::vector<float> floats(6);
    read_port(memory.data(), port, floats);
    EXPECT_EQ(floats, std::vector<float>(values.begin(), values.end()));
    for (float& value : floats) value += 1;
    write_port(memory.data(), port, floats);
    read_port(memory.data(), port, back);
    EXPECT_EQ(back[3], -3);
  }
}

TEST(Ports, ReadContiguousMemory) {
  Port port = strided_port(DType::fp16);
  port.strides = contiguous_strides(port.shape);
  std::vector<std::byte> memory(16 * 2);
  const std::vector<float> values{1, 2, 3, 4, 5, 0.1F};
  write_port(memory.data(), port, values);
  std::vector<double> back(6);
  read_port(memory.data(), port, back);
  EXPECT_EQ(back[4], 5);
  EXPECT_EQ(back[5], round_to(DType::fp16, static_cast<double>(0.1F)));
}

TEST(Ports, RefuseAnotherNumberOfValues) {
  std::vector<std::byte> memory(64);
  std::vector<double> values(5);
  EXPECT_THROW(read_port(memory.data(), strided_port(DType::fp16), values), Error);
}

TEST(Ports, CompareLayoutsWhereItMatters) {
  Port a = strided_port(DType::fp16), b = a;
  b.offset_bytes = 0;
  b.buffer = 3;
  EXPECT_TRUE(a.same_layout(b));
  b.strides[0] = 6;
  EXPECT_FALSE(a.same_layout(b));
  a.shape = b.shape = {1, 3};
  EXPECT_TRUE(a.same_layout(b));  // nobody steps along a dimension of 1
  b.dtype = DType::fp32;
  EXPECT_FALSE(a.same_layout(b));
}

}  // namespace
}  // namespace anemone::engine
