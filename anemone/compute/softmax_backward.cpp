// Row by row: the sum, then the products, on blocks that stay in the L1 cache.
#include "anemone/compute/softmax_backward.h"

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/compute/elementwise_block.h"

namespace anemone::compute {
namespace {

constexpr std::int64_t kSoftmaxBackwardTaskElements = 16 * 1024;

class SoftmaxBackwardRow {
 public:
  SoftmaxBackwardRow(const SoftmaxBackwardPlan& plan, std::int64_t row, const void* p,
                     const void* dp, void* dx)
      : plan_(plan), spec_(plan.spec), p_(p), dp_(dp), dx_(dx) {
    for (int axis = spec_.shape.rank() - 2; axis >= 0; --axis) {
      const auto i = static_cast<std::size_t>(axis);
      const std::int64_t index = row % spec_.shape[axis];
      row /= spec_.shape[axis];
      if (axis == spec_.shape.rank() - 2 && spec_.causal) length_ = index + 1;
      p_at_ += index * spec_.p_strides[i];
      dp_at_ += index * spec_.dp_strides[i];
      dx_at_ += index * spec_.dx_strides[i];
    }
    if (!spec_.causal) length_ = plan.length;
  }

  void run() {
    float sum = 0;
    for (std::int64_t begin = 0; begin < length_; begin += kBlock) {
      const std::int64_t n = load(begin);
      static constexpr kernels::ElementwiseStep kMultiply[] = {{Op::mul, kT, kP, kDp}};
      plan_.elementwise->run(kMultiply, 1, operands_.data(), round_up(n, kMultiple));
      sum += plan_.reduce->reduce(kernels::ReduceOp::sum, slot(kT), n);
    }
    const kernels::ElementwiseStep steps[] = {{Op::add_imm, kDp, kDp, 0, 0, -sum},
                                              {Op::mul, kDp, kDp, kP}};
    for (std::int64_t begin = 0; begin < length_; begin += kBlock) {
      const std::int64_t n =
          length_ <= kBlock ? length_ : load(begin);  // a short row is still there
      plan_.elementwise->run(steps, 2, operands_.data(), round_up(n, kMultiple));
      store(begin, n);
    }
    if (length_ == plan_.length) return;
    std::fill_n(slot(kDp), kBlock, 0.0f);
    for (std::int64_t begin = length_; begin < plan_.length; begin += kBlock)
      store(begin, std::min(kBlock, plan_.length - begin));
  }

 private:
  using Op = kernels::ElementwiseOp;
  enum : std::uint8_t { kP, kDp, kT, kSlots };
  static constexpr std::int64_t kMultiple = kernels::kSlotMultiple;

  float* slot(int index) { return slots_ + index * kSlotStride; }
  std::ptrdiff_t last(const Strides& strides) const {
    return strides[static_cast<std::size_t>(spec_.shape.rank() - 1)];
  }

  std::int64_t load(std::int64_t begin) {
    const std::int64_t n = std::min(kBlock, length_ - begin);
    const std::ptrdiff_t p_step = last(spec_.p_strides), dp_step = last(spec_.dp_strides);
    plan_.convert->load(spec_.p_type, element_at(p_, spec_.p_type, p_at_ + begin * p_step), p_step,
                        slot(kP), n);
    plan_.convert->load(spec_.dp_type, element_at(dp_, spec_.dp_type, dp_at_ + begin * dp_step),
                        dp_step, slot(kDp), n);
    return n;
  }
  void store(std::int64_t begin, std::int64_t n) {
    const std::ptrdiff_t step = last(spec_.dx_strides);
    plan_.convert->store(spec_.dx_type, slot(kDp),
                         element_at(dx_, spec_.dx_type, dx_at_ + begin * step), step, n);
  }

  const SoftmaxBackwardPlan& plan_;
  const SoftmaxBackwardSpec& spec_;
  const void *p_, *dp_;
  void* dx_;
  std::ptrdiff_t p_at_ = 0, dp_at_ = 0, dx_at_ = 0;
  std::int64_t length_ = 0;
  alignas(64) float slots_[kSlots * kSlotStride];
  const std::array<ElementwiseOperand, kSlots> operands_ =
      slot_operands<kSlots>(slots_, kSlotStride);
};

}  // namespace

int SoftmaxBackwardPlan::tasks() const { return static_cast<int>(divide_up(rows, task_rows)); }

SoftmaxBackwardPlan plan_softmax_backward(const SoftmaxBackwardSpec& spec,
                                          const CpuFeatures& features) {
  const int rank = spec.shape.rank();
  ANEMONE_CHECK(rank >= 1, "softmax has an axis");
  ANEMONE_CHECK(!spec.causal || (rank >= 2 && spec.shape[rank - 2] == spec.shape[rank - 1]),
                "a causal softmax is over the rows of square matrices");
  for (const DType type : {spec.p_type, spec.dp_type, spec.dx_type})
    ANEMONE_CHECK(kernels::converts(type), "a type that is computed in fp32");
  SoftmaxBackwardPlan plan;
  plan.spec = spec;
  plan.convert = &kernels::pick_convert(features);
  plan.elementwise = &kernels::pick_elementwise(features);
  plan.reduce = &kernels::pick_reduce(features);
  plan.length = spec.shape[rank - 1];
  plan.rows = plan.length == 0 ? 0 : spec.shape.elements() / plan.length;
  plan.task_rows = std::max<std::int64_t>(
      1, kSoftmaxBackwardTaskElements / std::max<std::int64_t>(1, plan.length));
  return plan;
}

void run(ThreadPool& pool, const SoftmaxBackwardPlan& plan, const void* p, const void* dp,
         void* dx) {
  pool.run(plan.tasks(), [&](int task, int) {
    const std::int64_t first = task * plan.task_rows;
    const std::int64_t end = std::min(plan.rows, first + plan.task_rows);
    for (std::int64_t row = first; row < end; ++row) SoftmaxBackwardRow(plan, row, p, dp, dx).run();
  });
}

}  // namespace anemone::compute
