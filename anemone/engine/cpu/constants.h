// The constants of a compiled program in the forms its steps want: plain memory, or packed for a
// matrix product. Only forms that some step asked for exist. Weights (references to the
// WeightStore) can be taken again from the store, which allocates nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "anemone/base/aligned_buffer.h"
#include "anemone/compute/copy.h"
#include "anemone/compute/gemm.h"
#include "anemone/compute/gemv.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/engine/cpu/layout.h"
#include "anemone/engine/engine.h"
#include "anemone/mil/constant_source.h"
#include "anemone/mil/ir.h"

namespace anemone::cpu {

// A constant's elements before any view of it: row-major, or for a transposed weight as the store
// holds them, so that its bytes are the store's.
Layout constant_layout(const mil::Function& function, mil::Value value);

class Constants {
 public:
  // All must outlive this object, `function` unchanged.
  Constants(const mil::Function& function, mil::ConstantSource& source, compute::ThreadPool& pool);

  // Memory laid out as constant_layout says; the same for every call with this value.
  std::byte* plain(mil::Value constant);

  // The matrix with these strides and offset (elements) in the memory of `constant`, packed for
  // operand `side` of `plan`; one matrix serves all plans that it fits.
  const compute::PackedMatrix* packed(mil::Value constant, std::ptrdiff_t offset,
                                      std::ptrdiff_t row_stride, std::ptrdiff_t col_stride,
                                      const compute::GemmPlan& plan, compute::GemmSide side);

  // The same for a matrix-vector product.
  const compute::PackedLanes* packed(mil::Value constant, std::ptrdiff_t offset,
                                     std::ptrdiff_t lane_stride, std::ptrdiff_t depth_stride,
                                     const compute::GemvPlan& plan);

  mil::ConstantSource& source() const { return source_; }

  // Weights again, from the store.
  void update();

  std::size_t bytes() const;  // of all forms
  std::size_t packed_bytes() const;
  std::vector<engine::PackedWeight> packed_weights() const;

 private:
  struct Plain {
    mil::Value value;
    AlignedBuffer memory;  // empty where the program's own bytes serve
    std::byte* data = nullptr;
    compute::CopyPlan from_store;  // weights: rounds the store's values
  };
  struct Source {  // a matrix in a constant's memory
    mil::Value value;
    std::ptrdiff_t offset, row_stride, col_stride;
    bool operator==(const Source& other) const {
      return value == other.value && offset == other.offset && row_stride == other.row_stride &&
             col_stride == other.col_stride;
    }
  };
  struct Packed {
    Source source;
    compute::GemmSide side;
    compute::PackedMatrix matrix;
  };
  struct Lanes {
    Source source;
    compute::PackedLanes matrix;
  };

  const mil::Constant& constant(mil::Value value) const;
  const float* store_values(mil::Value value) const;
  void fill(Plain& plain);
  template <class Matrix>
  void pack(const Source& source, Matrix& matrix);

  const mil::Function& function_;
  mil::ConstantSource& source_;
  compute::ThreadPool& pool_;
  std::vector<std::unique_ptr<Plain>> plain_;
  std::vector<std::unique_ptr<Packed>> packed_;
  std::vector<std::unique_ptr<Lanes>> lanes_;
};

}  // namespace anemone::cpu
