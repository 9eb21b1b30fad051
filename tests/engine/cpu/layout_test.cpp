// Layouts of views, against the same operations on arrays of element numbers.
#include "anemone/engine/cpu/layout.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <vector>

namespace anemone::cpu {
namespace {

// The places of a layout's elements in row-major order.
std::vector<std::int64_t> places(const Layout& layout) {
  std::vector<std::int64_t> result;
  std::vector<std::int64_t> index(static_cast<std::size_t>(layout.shape.rank()), 0);
  const std::int64_t count = layout.shape.elements();
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t place = layout.offset;
    for (std::size_t axis = 0; axis < index.size(); ++axis)
      place += index[axis] * layout.strides[axis];
    result.push_back(place);
    for (int axis = layout.shape.rank() - 1; axis >= 0; --axis) {
      if (++index[static_cast<std::size_t>(axis)] < layout.shape[axis]) break;
      index[static_cast<std::size_t>(axis)] = 0;
    }
  }
  return result;
}

Shape random_shape() {
  Shape shape;
  const int rank = *rc::gen::inRange(0, 5);
  for (int axis = 0; axis < rank; ++axis) shape.push_back(*rc::gen::inRange(1, 5));
  return shape;
}

std::vector<std::int64_t> random_permutation(int rank) {
  std::vector<std::int64_t> axes(static_cast<std::size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  for (std::size_t i = axes.size(); i > 1; --i)
    std::swap(axes[i - 1], axes[*rc::gen::inRange<std::size_t>(0, i)]);
  return axes;
}

// Cuts, steps and turns a contiguous layout.
Layout random_layout() {
  Layout layout = Layout::contiguous(random_shape());
  for (int axis = 0; axis < layout.shape.rank(); ++axis) {
    if (*rc::gen::inRange(0, 2) == 0) continue;
    const std::int64_t begin = *rc::gen::inRange<std::int64_t>(0, layout.shape[axis]);
    const std::int64_t step = *rc::gen::inRange<std::int64_t>(1, 3);
    const std::int64_t most = (layout.shape[axis] - begin + step - 1) / step;
    layout = sliced(layout, axis, begin, step, *rc::gen::inRange<std::int64_t>(1, most + 1));
  }
  return transposed(layout, random_permutation(layout.shape.rank()));
}

// Another shape of as many elements.
Shape random_reshape(const Shape& shape) {
  std::int64_t rest = shape.elements();
  Shape result;
  while (rest > 1 && result.rank() < 5) {
    std::vector<std::int64_t> divisors;
    for (std::int64_t d = 1; d <= rest; ++d) {
      if (rest % d == 0) divisors.push_back(d);
    }
    const std::int64_t dim = *rc::gen::elementOf(divisors);
    result.push_back(dim);
    rest /= dim;
  }
  if (rest > 1) result.push_back(rest);
  return result;
}

RC_GTEST_PROP(Layout, ReshapeKeepsPlacesInOrder, ()) {
  const Layout layout = random_layout();
  const auto result = reshaped(layout, random_reshape(layout.shape));
  if (!result.has_value()) return;
  RC_ASSERT(places(*result) == places(layout));
}

RC_GTEST_PROP(Layout, EveryReshapeOfContiguousMemoryIsAView, ()) {
  const Layout layout = Layout::contiguous(random_shape());
  RC_ASSERT(reshaped(layout, random_reshape(layout.shape)).has_value());
}

// A reshape that is refused cannot be said with strides: some dimension would need two.
RC_GTEST_PROP(Layout, RefusedReshapesAreNoViews, ()) {
  const Layout layout = random_layout();
  const Shape shape = random_reshape(layout.shape);
  if (reshaped(layout, shape).has_value()) return;
  const std::vector<std::int64_t> wanted = places(layout);
  Layout guess{shape, {}, layout.offset};
  const Strides steps = contiguous_strides(shape);
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    if (shape[axis] > 1)
      guess.strides[i] = wanted[static_cast<std::size_t>(steps[i])] - layout.offset;
  }
  RC_ASSERT(places(guess) != wanted);
}

RC_GTEST_PROP(Layout, TransposeGoesThereAndBack, ()) {
  const Layout layout = random_layout();
  const auto axes = random_permutation(layout.shape.rank());
  RC_ASSERT(same_places(transposed_back(transposed(layout, axes), axes), layout));
}

TEST(Layout, TransposesByPermutation) {
  const Layout layout =
      transposed(Layout::contiguous({2, 3, 4}), std::vector<std::int64_t>{2, 0, 1});
  EXPECT_EQ(layout.shape, (Shape{4, 2, 3}));
  EXPECT_EQ(layout.strides[0], 1);
  EXPECT_EQ(layout.strides[1], 12);
  EXPECT_EQ(layout.strides[2], 4);
}

TEST(Layout, BroadcastRepeatsMissingAndSingleDimensions) {
  const Strides strides = broadcast_strides(Layout::contiguous({3, 1, 5}), {2, 3, 4, 5});
  EXPECT_EQ(strides[0], 0);
  EXPECT_EQ(strides[1], 5);
  EXPECT_EQ(strides[2], 0);
  EXPECT_EQ(strides[3], 1);
}

}  // namespace
}  // namespace anemone::cpu
