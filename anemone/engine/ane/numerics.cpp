// Emulates the arithmetic of the Neural Engine: `--numerics ane`, the profiles being chips. What is
// known of it and how well is in docs/numerics.md.
//
// Two things hold everywhere and make up most of it: every float is fp16, whatever its declared
// type, and there is no NaN. An operation without a rule below computes by its reference meaning;
// then its NaNs become 0, which is what the device has for inf - inf, 0 · inf, sqrt(-1) and the
// like. No zero has a sign, so that the reciprocal of each is +inf.
#include "anemone/engine/numerics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "anemone/base/element.h"
#include "anemone/engine/ane/activation_table.h"
#include "anemone/engine/ane/numerics_product.h"
#include "anemone/engine/ane/numerics_profile.h"
#include "anemone/mil/arithmetic.h"
#include "anemone/mil/ops/slice.h"

namespace anemone::engine::ane {
namespace {

using Context = mil::EvalContext<double>;

// To fp16, with `nan` for NaN and without negative zeros.
void make_fp16(std::span<double> values, double nan) {
  for (double& value : values) {
    if (std::isnan(value)) value = nan;
  }
  round_all_to(DType::fp16, values);
  for (double& value : values) value += 0.0;
}

class Products final : public mil::ProductRule {
 public:
  Products(const NumericsProfile& profile, bool is_conv) : profile_(profile), is_conv_(is_conv) {}
  void add_product(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, const double* b,
                   double* c) const override {
    // A convolution that adds nothing up is an elementwise product, with all of fp16's range.
    if (is_conv_ && k == 1) {
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) c[i * n + j] += round_to(DType::fp16, a[i] * b[j]);
      }
      return;
    }
    ane::add_product(profile_, m, n, k, a, b, c);
  }

 private:
  const NumericsProfile& profile_;
  bool is_conv_;
};

void multiply(const NumericsProfile& profile, const Context& context) {
  const mil::OpDef& def = context.op.def();
  const Products products(profile, def.kind == mil::OpKind::conv);
  Context by_rule = context;
  by_rule.products = &products;
  def.eval_real(by_rule);
}

template <const ActivationTable& (*table)()>
void look_up(const NumericsProfile&, const Context& context) {
  const ActivationTable& function = table();
  const auto in = context.input(0).data;
  std::transform(in.begin(), in.end(), context.output().data.begin(), function);
}

// Infinities count as numbers far away, so that the largest of a line can be subtracted from each:
// a line with one infinity puts all its weight there.
void softmax(const NumericsProfile&, const Context& context) {
  constexpr double kFar = 1e30;
  const auto in = context.input(0).data;
  std::vector<double> finite(in.begin(), in.end());
  for (double& value : finite) value = std::clamp(value, -kFar, kFar);
  std::vector<std::vector<mil::EvalTensor<const double>>> inputs(context.inputs.begin(),
                                                                 context.inputs.end());
  inputs[0][0].data = finite;
  context.op.def().eval_real({context.op, inputs, context.outputs});
}

// The crop along the last axis holds its values times 16 on the way.
void slice(const NumericsProfile& profile, const Context& context) {
  constexpr double kGain = 16;
  context.op.def().eval_real(context);
  const int last = context.input(0).shape.rank() - 1;
  const auto out = context.output().data;
  if (!profile.crops_with_gain || last < 0 || out.empty()) return;
  if (!is_float(context.op.dtype(0)) || mil::slice_begin(context, last) == 0) return;
  for (double& value : out) {
    if (std::isinf(round_to(DType::fp16, kGain * value))) value = std::copysign(kInfinity, value);
  }
}

struct Rule {
  mil::OpKind kind;
  void (*apply)(const NumericsProfile&, const Context&);
};
constexpr Rule kRules[] = {
    {mil::OpKind::conv, multiply},
    {mil::OpKind::matmul, multiply},
    {mil::OpKind::sigmoid, look_up<sigmoid_table>},
    {mil::OpKind::tanh, look_up<tanh_table>},
    {mil::OpKind::silu, look_up<silu_table>},
    {mil::OpKind::softmax, softmax},
    {mil::OpKind::slice_by_size, slice},
    {mil::OpKind::slice_by_index, slice},
};

class Emulation final : public mil::Arithmetic {
 public:
  explicit Emulation(const NumericsProfile& profile) : profile_(profile) {}

  std::string name() const override { return fmt::format("ane:{}", profile_.name); }
  std::string describe() const override {
    return fmt::format(
        "as the Neural Engine of the {} computes{}", profile_.chip,
        profile_.interior == InteriorOverflow::zero
            ? " (a sum of products that passes 2^15 on the way becomes 0, which no guard sees)"
            : "");
  }

  void take(const mil::Type& type, std::span<double> values) const override {
    if (is_float(type.dtype)) make_fp16(values, kInfinity);
  }

  void apply(const Context& context) const override {
    const mil::OpDef& def = context.op.def();
    const bool real = is_float(context.op.function().type(result(context, 0)).dtype);
    const auto* rule = std::find_if(std::begin(kRules), std::end(kRules),
                                    [&](const Rule& r) { return r.kind == def.kind; });
    if (real && rule != std::end(kRules)) {
      rule->apply(profile_, context);
    } else {
      def.eval_real(context);
    }
    const bool moves_only = def.tolerance.ulps == 0 && def.tolerance.sums == 0;
    for (std::size_t i = 0; i < context.outputs.size(); ++i) {
      const auto values = context.outputs[i].data;
      if (!real) {
        round_all_to(context.op.function().type(result(context, i)).dtype, values);
      } else if (!moves_only) {
        make_fp16(values, 0);
      }
    }
  }

 private:
  static mil::Value result(const Context& context, std::size_t index) {
    return context.op.operation().results[index];
  }

  const NumericsProfile& profile_;
};

}  // namespace
}  // namespace anemone::engine::ane

namespace anemone::engine {

std::shared_ptr<const mil::Arithmetic> make_ane_numerics(std::string_view profile);

std::shared_ptr<const mil::Arithmetic> make_ane_numerics(std::string_view profile) {
  return std::make_shared<ane::Emulation>(ane::numerics_profile(profile));
}

}  // namespace anemone::engine
