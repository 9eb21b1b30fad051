// See pack_io.h. The values of the old inputs live on, as results of slices, so the body is not
// touched.
#include "anemone/mil/passes/pack_io.h"

#include <fmt/format.h>

#include <iterator>
#include <unordered_set>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/mil/op_def.h"

namespace anemone::mil {
namespace {

// Operations to be put in front of a function's or behind it, with the values they define.
class Extension {
 public:
  explicit Extension(Function& function) : function_(function) {
    for (const ValueInfo& info : function.values) taken_.insert(info.name);
  }

  std::string unique_name(const std::string& wish) {
    std::string name = wish;
    for (int i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", wish, i);
    return name;
  }

  Value constant(const std::string& name, Constant constant) {
    Operation op;
    op.kind = OpKind::const_;
    op.arguments.resize(op_def(OpKind::const_).params.size());
    op.results = {function_.add_value(unique_name(name), constant.type(), -1, 0)};
    add_name(op);
    op.constant = std::make_shared<const Constant>(std::move(constant));
    ops_.push_back(std::move(op));
    return ops_.back().results.front();
  }

  using Argument = std::pair<std::string_view, std::vector<Value>>;
  void add(OpKind kind, Value result, const std::vector<Argument>& arguments) {
    const OpDef& def = op_def(kind);
    Operation op;
    op.kind = kind;
    op.arguments.resize(def.params.size());
    for (const auto& [param, values] : arguments) {
      op.arguments[static_cast<std::size_t>(def.find_param(param))] = values;
    }
    op.results = {result};
    add_name(op);
    ops_.push_back(std::move(op));
  }

  void put_in_front() {
    function_.ops.insert(function_.ops.begin(), std::make_move_iterator(ops_.begin()),
                         std::make_move_iterator(ops_.end()));
    renumber();
  }
  void put_behind() {
    function_.ops.insert(function_.ops.end(), std::make_move_iterator(ops_.begin()),
                         std::make_move_iterator(ops_.end()));
    renumber();
  }

 private:
  void add_name(Operation& op) const {
    Constant name = Constant::string(function_.name_of(op.results.front()));
    op.attributes.push_back({"name", {name.type(), std::move(name)}});
  }
  void renumber() {
    for (std::size_t i = 0; i < function_.ops.size(); ++i) {
      for (const Value result : function_.ops[i].results) {
        function_.info(result).op = static_cast<std::int32_t>(i);
      }
    }
    ops_.clear();
  }

  Function& function_;
  std::vector<Operation> ops_;
  std::unordered_set<std::string> taken_;
};

// The ports one behind the other; `first` is the port that all others must agree with.
std::vector<PackedPort> lay_out(const Function& function, const std::vector<Value>& ports,
                                Value first, const std::string& program, const char* side) {
  const Type& expected = function.type(first);
  std::vector<PackedPort> layout;
  std::int64_t channel = 0;
  for (const Value port : ports) {
    const Type& type = function.type(port);
    const bool packable = type.is_tensor() && type.shape.rank() == 4 && type.shape.is_static() &&
                          type.shape[0] == 1 && type.shape[2] == 1;
    if (!packable || type.dtype != expected.dtype || type.shape[3] != expected.shape[3]) {
      throw Error(fmt::format("{} '{}' is {} and cannot be packed", side, function.name_of(port),
                              type.to_string()),
                  program,
                  fmt::format("[1, C, 1, S] with the element type and S of '{}', {}",
                              function.name_of(first), expected.to_string()));
    }
    layout.push_back({function.name_of(port), channel, type.shape[1]});
    channel += type.shape[1];
  }
  if (channel > kMaxPackedChannels) {
    std::string parts;
    for (const PackedPort& port : layout) {
      parts += fmt::format("{}{} {}", parts.empty() ? "" : " + ", port.name, port.channels);
    }
    throw Error(fmt::format("the packed {} would have {} channels ({})", side, channel, parts),
                program, fmt::format("at most {}", kMaxPackedChannels));
  }
  return layout;
}

Type packed_type(const Function& function, Value port, std::int64_t channels) {
  Type type = function.type(port);
  type.shape[1] = channels;
  return type;
}

void pack_inputs(Function& function, const PackedLayout& layout) {
  Extension front(function);
  const Value packed =
      function.add_value(front.unique_name(std::string(kPackedInput)),
                         packed_type(function, function.inputs[0], layout.input_channels), -1, 0);
  for (std::size_t i = 0; i < layout.inputs.size(); ++i) {
    const PackedPort& port = layout.inputs[i];
    const std::vector<std::int64_t> begin = {0, port.channel, 0, 0};
    const Shape& size = function.type(function.inputs[i]).shape;
    const Value begin_value = front.constant(port.name + "_begin", Constant::int32s(begin));
    const Value size_value = front.constant(port.name + "_size", Constant::int32s(size.dims()));
    front.add(OpKind::slice_by_size, function.inputs[i],
              {{"x", {packed}}, {"begin", {begin_value}}, {"size", {size_value}}});
  }
  front.put_in_front();
  function.inputs = {packed};
}

void pack_outputs(Function& function, const PackedLayout& layout) {
  Extension behind(function);
  const Value packed =
      function.add_value(behind.unique_name(std::string(kPackedOutput)),
                         packed_type(function, function.outputs[0], layout.output_channels), -1, 0);
  const Value axis = behind.constant("packed_axis", Constant::scalar(DType::int32, 1));
  const Value interleave = behind.constant("packed_interleave", Constant::boolean(false));
  behind.add(OpKind::concat, packed,
             {{"values", function.outputs}, {"axis", {axis}}, {"interleave", {interleave}}});
  behind.put_behind();
  function.outputs = {packed};
}

}  // namespace

PackedLayout pack_io(Function& function, const std::string& program) {
  if (function.inputs.empty() || function.outputs.empty()) {
    throw Error("a function without inputs or outputs cannot be packed", program);
  }
  const Value first = function.inputs.front();
  PackedLayout layout;
  layout.inputs = lay_out(function, function.inputs, first, program, "input");
  layout.outputs = lay_out(function, function.outputs, first, program, "output");
  layout.input_channels = layout.inputs.back().channel + layout.inputs.back().channels;
  layout.output_channels = layout.outputs.back().channel + layout.outputs.back().channels;
  if (function.inputs.size() > 1) pack_inputs(function, layout);
  if (function.outputs.size() > 1) pack_outputs(function, layout);
  return layout;
}

}  // namespace anemone::mil
