// Rotary position embedding: at position s the channels a and b of pair i of every head turn by
// the angle s / theta^(2i / head_dim), so that the product of a query and a key depends on how far
// apart they are.
//
// Both layouts come down to two slices [heads, head_dim/2, 1, S] of a reshaped x, along which
// positions stay contiguous: neighbours are axis 2 of [heads, head_dim/2, 2, S], halves are axis 1
// of [heads, head_dim, 1, S]. An engine can make views of all of it.
#include <cmath>

#include "anemone/base/error.h"
#include "anemone/nn/blocks.h"
#include "anemone/nn/decode.h"

namespace anemone::nn {
namespace {

// x as the layout wants it, and the axis along which a and b follow each other.
struct Layout {
  Shape shape;
  int axis;
};
Layout layout_of(const ModelConfig& config, const Shape& x) {
  const std::int64_t heads = x[1] / config.head_dim, pairs = config.head_dim / 2;
  ANEMONE_CHECK(x[1] == heads * config.head_dim, "rotary embedding of whole heads");
  if (config.rope == Rope::pairs) return {{heads, pairs, 2, x[3]}, 2};
  return {{heads, config.head_dim, 1, x[3]}, 1};
}

// Half 0 or 1 along the axis.
mil::Value half(mil::Builder& b, mil::Value x, int axis, int which, const char* name) {
  Shape size = b.shape(x);
  size[axis] /= 2;
  std::vector<std::int64_t> begin(4, 0);
  begin[static_cast<std::size_t>(axis)] = which * size[axis];
  return b.slice_by_size({{"x", x}, {"begin", begin}, {"size", size}}, name);
}

mil::Value turn(mil::Builder& b, const ModelConfig& config, mil::Value x, const RopeTable& table,
                bool back) {
  const Shape given = b.shape(x);
  const std::string name = b.function().name_of(x);
  const Layout layout = layout_of(config, given);
  const auto heads = b.reshape({{"x", x}, {"shape", layout.shape}}, name + "_pairs");
  const auto first = half(b, heads, layout.axis, 0, "pair_a");
  const auto second = half(b, heads, layout.axis, 1, "pair_b");

  const auto a_cos = b.mul({{"x", first}, {"y", table.cos}}, "a_cos");
  const auto b_sin = b.mul({{"x", second}, {"y", table.sin}}, "b_sin");
  const auto a_sin = b.mul({{"x", first}, {"y", table.sin}}, "a_sin");
  const auto b_cos = b.mul({{"x", second}, {"y", table.cos}}, "b_cos");
  // Back is the turn by the negative angle, which only the sign of the sine knows.
  const auto new_a = back ? b.add({{"x", a_cos}, {"y", b_sin}}, "turned_a")
                          : b.sub({{"x", a_cos}, {"y", b_sin}}, "turned_a");
  const auto new_b = back ? b.sub({{"x", b_cos}, {"y", a_sin}}, "turned_b")
                          : b.add({{"x", a_sin}, {"y", b_cos}}, "turned_b");

  const auto both = b.concat({{"values", std::vector<mil::Value>{new_a, new_b}},
                              {"axis", layout.axis},
                              {"interleave", false}},
                             name + "_turned_pairs");
  return b.reshape({{"x", both}, {"shape", given}}, name + "_turned");
}

}  // namespace

RopeTurn rope_turn(const ModelConfig& config, std::int64_t position, std::int64_t pair) {
  const double exponent = static_cast<double>(2 * pair) / static_cast<double>(config.head_dim);
  const double frequency = std::pow(config.rope_theta, -exponent);
  const double angle = static_cast<double>(position) * frequency;
  return {std::cos(angle), std::sin(angle)};
}

RopeTable rope_table(mil::Builder& b, const ModelConfig& config, DType dtype) {
  const std::int64_t pairs = config.head_dim / 2;
  std::vector<double> cos, sin;
  for (std::int64_t i = 0; i < pairs; ++i) {
    for (std::int64_t position = 0; position < config.seq; ++position) {
      const RopeTurn turn = rope_turn(config, position, i);
      cos.push_back(turn.cos);
      sin.push_back(turn.sin);
    }
  }
  const Shape shape = {1, pairs, 1, config.seq};
  // One after the other: compilers differ in the order in which they evaluate arguments.
  const auto cosines = b.constant(mil::Constant::numbers(dtype, shape, cos), "rope_cos");
  const auto sines = b.constant(mil::Constant::numbers(dtype, shape, sin), "rope_sin");
  return {cosines, sines};
}

mil::Value rope(mil::Builder& b, const ModelConfig& config, mil::Value x, const RopeTable& table) {
  return turn(b, config, x, table, /*back=*/false);
}

mil::Value rope_backward(mil::Builder& b, const ModelConfig& config, mil::Value dy,
                         const RopeTable& table) {
  return turn(b, config, dy, table, /*back=*/true);
}

}  // namespace anemone::nn
