// Rules 31 to 49: shapes, matrix products and convolutions.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "anemone/engine/ane/lint/rule.h"

namespace anemone::engine::ane::lint {
namespace {

void axis_sizes(const FunctionView& function, mil::Value value, Report& report) {
  const Shape* shape = function.shape(value);
  if (shape == nullptr || function.is_constant(value)) return;
  const AxisLimits& limits = function.target().limits;
  const struct {
    const char* name;
    int distance;
    std::int64_t limit, cautious;
  } axes[] = {{"W", 1, limits.width, limits.width},
              {"H", 2, limits.height, limits.height},
              {"C", 3, limits.channels, limits.cautious_channels}};
  for (const auto& axis : axes) {
    const std::int64_t size = axis_from_back(*shape, axis.distance).value_or(0);
    const std::string& name = function.function().name_of(value);
    if (size > axis.limit) {
      report.add(function, value,
                 fmt::format("'{}' has {} = {}, at most {} is possible", name, axis.name, size,
                             axis.limit));
    } else if (size > axis.cautious) {
      report.add(function, value,
                 fmt::format("'{}' has {} = {}; some tools stay below {}", name, axis.name, size,
                             axis.cautious),
                 Certainty::D);
    }
  }
}

void axis_limits(const FunctionView& function, Report& report) {
  for (std::size_t i = 0; i < function.function().values.size(); ++i) {
    axis_sizes(function, {static_cast<std::int32_t>(i)}, report);
  }
}

void kernel_size(const OpView& op, Report& report) {
  const Shape* weight = op.shape("weight");
  if (!op.is("conv") || weight == nullptr || weight->rank() < 3) return;
  const AxisLimits& limits = op.function().target().limits;
  const std::int64_t width = (*weight)[weight->rank() - 1];
  const std::int64_t height = weight->rank() > 3 ? (*weight)[weight->rank() - 2] : 1;
  if (width > limits.kernel_width || height > limits.kernel_height) {
    report.add(op, fmt::format("a kernel of {} x {}, at most {} x {} is possible", height, width,
                               limits.kernel_height, limits.kernel_width));
  }
}

void groups(const OpView& op, Report& report) {
  if (!op.is_any("conv", "conv_transpose")) return;
  const auto count = static_cast<std::int64_t>(op.number("groups").value_or(1));
  const Shape *x = op.shape("x"), *result = op.result_shape();
  if (count <= 1) return;
  if (op.is_computed("weight")) report.add(op, "grouped, with a weight that is computed");
  for (const Shape* shape : {x, result}) {
    if (shape == nullptr || shape->rank() < 2 || (*shape)[1] % count == 0) continue;
    report.add(op, fmt::format("{} channels in {} groups", (*shape)[1], count));
  }
}

constexpr std::int64_t kManyChannels = 32'000;

void many_channels(const OpView& op, Report& report) {
  const Shape *x = op.shape("x"), *result = op.result_shape();
  if (!op.is("conv")) return;
  if (x != nullptr && x->rank() > 1 && (*x)[1] >= kManyChannels) {
    report.add(op, fmt::format("{} channels go in", (*x)[1]));
  } else if (result != nullptr && result->rank() > 1 && (*result)[1] >= kManyChannels) {
    report.add(op, fmt::format("{} channels come out", (*result)[1]), Certainty::D);
  }
}

void computed_weight(const OpView& op, Report& report) {
  if (op.is("conv") && op.is_computed("weight")) report.add(op, "its weight is computed");
}

void linear(const OpView& op, Report& report) {
  if (!op.is("linear")) return;
  if (op.is_computed("weight")) report.add(op, "its weight is computed");
  const Shape* x = op.shape("x");
  if (x != nullptr && x->rank() > 4) report.add(op, fmt::format("x has rank {}", x->rank()));
}

constexpr std::int64_t kKernelMemory = 64 * 1024;  // bytes, for the weights of one output channel

bool is_constant_product(const OpView& op) {
  return op.is("matmul") && (op.constant("x") != nullptr || op.constant("y") != nullptr);
}

void kernel_memory(const OpView& op, Report& report) {
  const auto terms = contraction(op);
  const auto dtype = op.result_dtype();
  if (!is_constant_product(op) || !terms || !dtype) return;
  const std::int64_t bytes = *terms * static_cast<std::int64_t>(dtype_size(*dtype));
  if (bytes > kKernelMemory) {
    report.add(op, fmt::format("{} KB of constants for each element", bytes / 1024), Certainty::E);
  }
}

void computed_product(const OpView& op, Report& report) {
  const Fact& fact = op.function().target().takes.runtime_matmul;
  const auto terms = contraction(op);
  const Shape* x = op.shape("x");
  if (!op.is("matmul") || fact.holds || !terms || !op.is_computed("x") || !op.is_computed("y")) {
    return;
  }
  if (x->rank() == 3 && *terms % 32 == 0) return;
  report.add(op,
             fmt::format("rank {} and {} products for each element, where rank 3 and a multiple "
                         "of 32 worked",
                         x->rank(), *terms),
             fact.certainty);
}

void transposition_flags(const OpView& op, Report& report) {
  for (const char* flag : {"transpose_x", "transpose_y"}) {
    const OpView::Argument* given = op.argument(flag);
    if (op.is("matmul") && given != nullptr && given->in_place) {
      report.add(op, fmt::format("{} is written in place", flag));
    }
  }
}

void transpose_extent(const OpView& op, Report& report) {
  const Shape* x = op.shape("x");
  const auto order = op.integers("perm");
  const std::int64_t limit = op.function().target().limits.transpose;
  if (!op.is("transpose") || x == nullptr) return;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto axis = normalize_axis(order[i], x->rank());
    if (!axis || *axis == static_cast<int>(i) || (*x)[*axis] <= limit) continue;
    report.add(op, fmt::format("moves an axis of {}, at most {} is possible", (*x)[*axis], limit));
  }
}

void padding(const OpView& op, Report& report) {
  if (!op.is("pad")) return;
  if (op.is_computed("pad")) return report.add(op, "its amounts are computed");
  const auto amounts = op.integers("pad");  // two for each of the last axes
  for (std::size_t i = 0; i + 4 < amounts.size(); ++i) {
    if (amounts[i] == 0) continue;
    return report.add(op, "pads another axis than H and W");
  }
}

constexpr std::int64_t kLongestSearch = 2 * 1024;

void arg_extremes(const OpView& op, Report& report) {
  const Shape* x = op.shape("x");
  if (!op.is_any("reduce_argmax", "reduce_argmin") || x == nullptr) return;
  const auto axis =
      normalize_axis(static_cast<std::int64_t>(op.number("axis").value_or(-1)), x->rank());
  if (axis && (*x)[*axis] > kLongestSearch) {
    report.add(
        op, fmt::format("over {} elements, at most {} are possible", (*x)[*axis], kLongestSearch));
  }
}

// The tensor whose width a value is a slice of, perhaps negated or scaled; not valid: it is none.
mil::Value sliced_width(const FunctionView& function, mil::Value value) {
  const OpView* op = function.producer(value);
  if (op != nullptr && op->is("mul")) op = function.producer(op->value("x"));
  if (op == nullptr || !op->is_any("slice_by_size", "slice_by_index", "split")) return {};
  const Shape *x = op->shape("x"), *result = op->result_shape();
  if (x == nullptr || result == nullptr || x->rank() == 0 || x->rank() != result->rank()) return {};
  return (*x)[x->rank() - 1] != (*result)[x->rank() - 1] ? op->value("x") : mil::Value{};
}

void width_rotation(const OpView& op, Report& report) {
  const OpView::Argument* parts = op.argument("values");
  const Shape* result = op.result_shape();
  const auto axis = op.number("axis");
  if (!op.is("concat") || parts == nullptr || result == nullptr || !axis) return;
  if (op.function().target().generation != 15 || parts->values.size() < 2) return;
  if (normalize_axis(static_cast<std::int64_t>(*axis), result->rank()) != result->rank() - 1)
    return;
  std::set<std::int32_t> sources;
  for (const mil::Value part : parts->values) {
    sources.insert(sliced_width(op.function(), part).index);
  }
  if (sources.size() == 1 && *sources.begin() >= 0) {
    report.add(op, "joins slices of one tensor along its width", Certainty::E);
  }
}

void blob_records(const FunctionView& function, Report& report) {
  const Fact& fact = function.target().takes.blob_records;
  if (fact.holds) return;
  std::map<std::string_view, std::set<std::uint64_t>> files;
  for (const mil::Operation& op : function.function().ops) {
    const mil::BlobRef* blob = op.constant != nullptr ? op.constant->blob() : nullptr;
    if (blob == nullptr || op.results.empty()) continue;
    auto& offsets = files[blob->path];
    if (offsets.insert(blob->offset).second && offsets.size() == 2) {
      report.add(function, op.results.front(), fmt::format("{} holds several tensors", blob->path),
                 fact.certainty);
    }
  }
}

void narrow_broadcast(const OpView& op, Report& report) {
  const Fact& fact = op.function().target().takes.narrow_broadcast;
  const Shape *x = op.shape("x"), *y = op.shape("y");
  if (fact.holds || op.function().target().generation != 13 || x == nullptr || y == nullptr) return;
  if (!op.is_any("add", "sub", "mul", "real_div", "maximum", "minimum")) return;
  if (x->rank() != 3 || y->rank() != 3 || ((*x)[2] == 1) == ((*y)[2] == 1)) return;
  report.add(op, fmt::format("{} with {}", x->to_string(), y->to_string()), fact.certainty);
}

constexpr std::size_t kManyBranches = 12;

void branches(const OpView& op, Report& report) {
  std::set<std::int32_t> values;
  for (const mil::Value value : op.operands()) values.insert(value.index);
  if (values.size() >= kManyBranches) {
    report.add(op, fmt::format("joins {} branches", values.size()));
  }
}

constexpr std::int64_t kBigBatch = 32;

void big_batch(const OpView& op, Report& report) {
  const Shape* x = op.shape("x");
  if (!op.is("conv_transpose") || x == nullptr || x->rank() == 0 || (*x)[0] < kBigBatch) return;
  report.add(op, fmt::format("over a batch of {}", (*x)[0]));
}

constexpr Rule kShapeRules[] = {
    {31, "Axes have largest sizes", Effect::compile, Certainty::C,
     "W and H up to 16384, C up to 65536: exact boundaries of a sweep on M1. Others use 16384, or "
     "65536, for every axis.",
     "Cut the tensor, or fold the axis into another.", "ane-guide, libane, ironmill, ANEForge",
     FunctionCheck{axis_limits}},
    {32, "Convolutions have largest kernels", Effect::compile, Certainty::C,
     "13 elements of width (fp16, M1; 16 by another report) and 29 of height.",
     "Cut the kernel into several.", "ane-guide, ironmill", OpCheck{kernel_size}},
    {33, "Groups divide the channels", Effect::compile, Certainty::B,
     "Of input and output; and a grouped convolution has a constant weight.",
     "Choose another number of groups; bake the weight.", "ane-guide, ane-train", OpCheck{groups}},
    {34, "Convolutions of very many channels", Effect::compile, Certainty::B,
     "32,000 channels going in were refused. 32,000 coming out worked for one project and not for "
     "another. More than 65,536 never work.",
     "Cut the channels into several convolutions.", "maderix/ANE, Orion", OpCheck{many_channels}},
    {35, "A convolution's weight is constant", Effect::data, Certainty::B,
     "A computed weight compiles and is ignored (M3 Max), works for small sizes only, or crashes "
     "the "
     "compiler from batch 2 on (M1).",
     "Bake the weight, or use matmul.", "field guide, ane-train, ane-guide",
     OpCheck{computed_weight}},
    {36, "linear has a constant weight and rank below 5", Effect::compile, Certainty::C,
     "So say the framework's validators.", "Use matmul.", "ane-guide", OpCheck{linear}},
    {37, "A product's constants fit the kernel memory", Effect::compile, Certainty::C,
     "64 KB for an output channel, else it says that it cannot fit the Kmem. That this is the "
     "number of products times the size of an element is our reading.",
     "Cut the sum into parts and add them.", "ane-guide", OpCheck{kernel_memory}},
    {38, "Products of two computed tensors", Effect::data, Certainty::D,
     "They work on M3 and M4, best where the last axis is a multiple of 64. On M1 one report has "
     "them right for rank 3 and sums of a multiple of 32, and zeros otherwise.",
     "On M1, reshape to rank 3 and pad.", "maderix/ANE, MiniMax-H3 against ane-train (M1)",
     OpCheck{computed_product}},
    {39, "matmul's flags are named constants", Effect::compile, Certainty::B,
     "transpose_x and transpose_y written in place are refused.", "Define a const for each.",
     "Orion, ironmill", OpCheck{transposition_flags}},
    {40, "Transposed axes have largest sizes", Effect::compile, Certainty::C,
     "16384 on M1 and M2, 65536 from M3 on.", "Cut the tensor.", "ane-guide",
     OpCheck{transpose_extent}},
    {41, "pad takes H and W", Effect::compile, Certainty::C,
     "Channels and batches cannot be padded, amounts are constant; reflect and symmetric need A14, "
     "which every M chip has.",
     "Use concat with zeros for channels.", "ane-guide", OpCheck{padding}},
    {42, "Searches have a largest axis", Effect::compile, Certainty::C,
     "reduce_argmax and reduce_argmin over at most 2,048 elements.", "Search in two steps.",
     "ane-guide", OpCheck{arg_extremes}},
    {43, "Rotation along the width", Effect::compile, Certainty::C,
     "Rotary embeddings as slices and a concat of the width were refused on M3 Ultra. The pattern "
     "is recognized by guessing.",
     "Multiply by a permutation matrix.", "rustane", OpCheck{width_rotation}},
    {44, "512 channels on M3 Pro", Effect::compile, Certainty::D,
     "Of 52 sizes in one benchmark only 512 channels compiled on an M3 Pro; another project "
     "compiled "
     "4 to 4,096 there. So it is the benchmark's text, not the chip.",
     "Nothing.", "maderix/ANE benchmark report against ironmill",
     NotDecidable{"contradicted: it belongs to one generator of programs"}},
    {45, "One tensor a blob file on M1", Effect::compile, Certainty::C,
     "Files with several records were refused there.",
     "Write one file a tensor: anemone export "
     "does.",
     "maderix/ANE benchmark report", FunctionCheck{blob_records}},
    {46, "Broadcasts along the width on M1", Effect::data, Certainty::D,
     "[1, C, S] with [1, C, 1] gave zeros on M1; [1, C, 1, S] with [1, C, 1, 1] works on M4.",
     "Use rank 4.", "ane-train (M1) against maderix/ANE (M4)", OpCheck{narrow_broadcast}},
    {47, "Many branches into one operation", Effect::speed, Certainty::C,
     "From about 12 on, each such place takes some 9 seconds to compile.", "Join them in steps.",
     "ane-guide", OpCheck{branches}},
    {48, "Transposed convolutions of a big batch", Effect::speed, Certainty::C,
     "On M1: 2 seconds to compile for a batch of 4, 79 for 128, never for 1,000.", "Cut the batch.",
     "ane-guide", OpCheck{big_batch}},
    {49, "A validator's yes is no promise", Effect::fact, Certainty::C,
     "Sorting, top-k, dynamic slices and 3-D convolutions pass the framework's validators and are "
     "refused when code is made.",
     "Compile on the chip to be sure.", "ane-guide", NotDecidable{"it is about the validators"}},
};

}  // namespace

Rules shape_rules() { return kShapeRules; }

}  // namespace anemone::engine::ane::lint
