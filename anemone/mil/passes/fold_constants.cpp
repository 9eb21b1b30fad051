// Computes, once and for all, the operations whose operands are constants written in the program,
// and turns the transpose of a weight into a transposed reference to it. What folding adds to a
// program is bounded by what was there.
#include <utility>

#include "anemone/base/element.h"
#include "anemone/mil/evaluate.h"
#include "anemone/mil/op_def.h"
#include "anemone/mil/passes/passes.h"

namespace anemone::mil {
namespace {

// What folding may add: this much, and as much again as the program's constants hold.
constexpr std::size_t kFreeBytes = std::size_t{1} << 24;
constexpr std::int64_t kMaxWork = std::int64_t{1} << 28;  // additions in one operation

// Asked of the type, so that the numbers of a rule (Constant::upper_triangle) are not made for it.
std::size_t bytes_of(const Type& type) {
  return static_cast<std::size_t>(type.shape.elements()) * dtype_size(type.dtype);
}

class Folder {
 public:
  explicit Folder(Function& function) : function_(function), is_output_(function.values.size()) {
    for (const Value value : function.outputs)
      is_output_[static_cast<std::size_t>(value.index)] = true;
    budget_ = kFreeBytes;
    for (const Operation& op : function.ops) {
      if (op.kind == OpKind::const_ && op.constant->has_bytes())
        budget_ += bytes_of(op.constant->type());
    }
  }

  bool run() {
    std::vector<Operation> ops = std::move(function_.ops);
    function_.ops.clear();
    bool changed = false;
    for (Operation& op : ops) {
      if (fold_transposed_weight(op) || fold(op)) {
        changed = true;
      } else {
        append(std::move(op));
      }
    }
    return changed;
  }

 private:
  // Definitions are found through ValueInfo::op, so it is kept right as the list grows.
  void append(Operation op) {
    const auto index = static_cast<std::int32_t>(function_.ops.size());
    for (std::size_t i = 0; i < op.results.size(); ++i) {
      function_.info(op.results[i]).op = index;
      function_.info(op.results[i]).result = static_cast<std::int32_t>(i);
    }
    function_.ops.push_back(std::move(op));
  }

  void append_constant(const Operation& from, Value result, Constant value) {
    Operation op;
    op.kind = OpKind::const_;
    op.results = {result};
    op.constant = std::make_shared<const Constant>(std::move(value));
    op.location = from.location;
    op.attributes.push_back(
        {"name", {Type::tensor(DType::string), Constant::string(function_.name_of(result))}});
    append(std::move(op));
  }

  // Ports stay results of operations, so that engines need no case for a constant output.
  bool gives_output(const Operation& op) const {
    for (const Value value : op.results) {
      if (is_output_[static_cast<std::size_t>(value.index)]) return true;
    }
    return false;
  }

  bool fold_transposed_weight(const Operation& op) {
    if (op.kind != OpKind::transpose || gives_output(op)) return false;
    const OpContext context(op_def(op.kind), function_, op);
    const Value x = op.arguments[0][0], result = op.results[0];
    const Constant* constant = function_.constant(x);
    if (constant == nullptr || constant->weight() == nullptr) return false;
    const std::vector<std::int64_t> perm = context.integers(1);
    const auto rank = static_cast<std::int64_t>(perm.size());
    for (std::int64_t i = 0; i < rank; ++i) {
      const std::int64_t axis = perm[static_cast<std::size_t>(i)];
      if ((axis < 0 ? axis + rank : axis) != (i < 2 ? 1 - i : i)) return false;
    }
    WeightRef ref = *constant->weight();
    ref.transposed = !ref.transposed;
    append_constant(op, result, Constant(function_.type(result), std::move(ref)));
    return true;
  }

  bool is_foldable(const Operation& op) const {
    if (op.kind == OpKind::const_ || gives_output(op)) return false;
    for (const auto& argument : op.arguments) {
      for (const Value value : argument) {
        const Constant* constant = function_.constant(value);
        if (constant == nullptr || (!constant->has_bytes() && !constant->has_strings()))
          return false;
      }
    }
    const OpDef& def = op_def(op.kind);
    const std::int64_t terms = def.terms == nullptr ? 1 : def.terms(OpContext(def, function_, op));
    std::size_t bytes = 0;
    for (const Value result : op.results) {
      const Type& type = function_.type(result);
      const std::int64_t elements = type.shape.elements();
      if (elements > kMaxWork / std::max<std::int64_t>(1, terms)) return false;
      bytes += static_cast<std::size_t>(elements) * dtype_size(type.dtype);
    }
    return bytes <= budget_;
  }

  bool fold(const Operation& op) {
    if (!is_foldable(op)) return false;
    std::vector<std::vector<double>> storage;
    std::vector<std::vector<EvalTensor<const double>>> inputs(op.arguments.size());
    std::size_t count = 0;
    for (const auto& argument : op.arguments) count += argument.size();
    storage.reserve(count + op.results.size());  // spans point into it
    for (std::size_t p = 0; p < op.arguments.size(); ++p) {
      for (const Value value : op.arguments[p]) {
        const Constant& constant = *function_.constant(value);
        storage.push_back(constant.has_bytes() ? constant.all_numbers() : std::vector<double>());
        inputs[p].push_back({constant.type().shape, storage.back()});
      }
    }
    std::vector<EvalTensor<double>> outputs;
    for (const Value result : op.results) {
      const Shape& shape = function_.type(result).shape;
      storage.emplace_back(static_cast<std::size_t>(shape.elements()));
      outputs.push_back({shape, storage.back()});
    }
    evaluate_op<double>(function_, op, inputs, outputs);
    for (std::size_t i = 0; i < op.results.size(); ++i) {
      const Type& type = function_.type(op.results[i]);
      Constant value = Constant::numbers(type.dtype, type.shape, outputs[i].data);
      budget_ -= value.bytes().size();
      append_constant(op, op.results[i], std::move(value));
    }
    return true;
  }

  Function& function_;
  std::vector<bool> is_output_;
  std::size_t budget_ = 0;
};

}  // namespace

bool fold_constants(Function& function, PassContext&) { return Folder(function).run(); }

}  // namespace anemone::mil
