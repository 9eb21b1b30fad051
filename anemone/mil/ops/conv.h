// The geometry of a convolution: what engines need to know of its parameters, resolved once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "anemone/mil/op_def.h"

namespace anemone::mil {

// One spatial dimension. `before`: zeros in front of x.
struct ConvAxis {
  std::int64_t in = 1, kernel = 1, stride = 1, dilation = 1, before = 0, out = 1;
};

// Everything as three spatial dimensions, the missing ones in front being 1.
struct ConvGeometry {
  std::int64_t batch = 1, groups = 1, in_channels = 1, out_channels = 1;  // channels of one group
  ConvAxis axes[3];
  int spatial = 0;

  std::int64_t in_size() const { return axes[0].in * axes[1].in * axes[2].in; }
  std::int64_t out_size() const { return axes[0].out * axes[1].out * axes[2].out; }
  std::int64_t kernel_size() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
  bool is_product() const {  // a 1x1 kernel that visits every element
    return std::all_of(axes, axes + 3, [](const ConvAxis& a) {
      return a.kernel == 1 && a.stride == 1 && a.before == 0 && a.out == a.in;
    });
  }
};

// Of an operation `conv`. Throws Error if its parameters do not go together.
ConvGeometry conv_geometry(const OpContext& op);

}  // namespace anemone::mil
