// See pack_io.h. The values of the old inputs live on, as results of slices, so the body is not
// touched.
#include "anemone/mil/passes/pack_io.h"

#include <fmt/format.h>

#include <algorithm>
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

bool is_packable(const Type& type) {
  return type.is_tensor() && type.shape.rank() == 4 && type.shape.is_static() &&
         type.shape[0] == 1 && type.shape[1] > 0 && type.shape[2] == 1;
}

void check_channels(const std::vector<PackedPort>& layout, std::int64_t channels,
                    const std::string& program, const char* side) {
  if (channels <= kMaxPackedChannels) return;
  std::string parts;
  for (const PackedPort& port : layout) {
    if (port.channels == 0) continue;
    parts += fmt::format("{}{} {}", parts.empty() ? "" : " + ", port.name, port.channels);
  }
  throw Error(fmt::format("the packed {} would have {} channels ({})", side, channels, parts),
              program, fmt::format("at most {}", kMaxPackedChannels));
}

// The ports like the first that can be packed one behind the other in buffer 0, the others in
// buffers behind it. Returns the packed channels.
std::int64_t lay_out(const Function& function, const std::vector<Value>& ports,
                     const std::string& program, const char* side,
                     std::vector<PackedPort>& layout) {
  const auto first = std::find_if(ports.begin(), ports.end(),
                                  [&](Value port) { return is_packable(function.type(port)); });
  std::int64_t channel = 0;
  int buffer = first == ports.end() ? 0 : 1;
  for (const Value port : ports) {
    const Type& type = function.type(port);
    if (is_packable(type) && type.dtype == function.type(*first).dtype &&
        type.shape[3] == function.type(*first).shape[3]) {
      layout.push_back({function.name_of(port), channel, type.shape[1], 0});
      channel += type.shape[1];
    } else {
      layout.push_back({function.name_of(port), 0, 0, buffer++});
    }
  }
  check_channels(layout, channel, program, side);
  return channel;
}

// The ports that are packed, and those that stay.
std::vector<Value> select(const std::vector<Value>& ports, const std::vector<PackedPort>& layout,
                          bool packed) {
  std::vector<Value> selected;
  for (std::size_t i = 0; i < ports.size(); ++i)
    if ((layout[i].channels > 0) == packed) selected.push_back(ports[i]);
  return selected;
}

Type packed_type(const Function& function, Value port, std::int64_t channels) {
  Type type = function.type(port);
  type.shape[1] = channels;
  return type;
}

void pack_inputs(Function& function, const PackedLayout& layout) {
  Extension front(function);
  const std::vector<Value> parts = select(function.inputs, layout.inputs, true);
  std::vector<Value> inputs = select(function.inputs, layout.inputs, false);
  if (parts.size() == 1) {
    inputs.insert(inputs.begin(), parts[0]);
    function.inputs = std::move(inputs);
    return;
  }
  const Value packed =
      function.add_value(front.unique_name(std::string(kPackedInput)),
                         packed_type(function, parts[0], layout.input_channels), -1, 0);
  for (std::size_t i = 0; i < function.inputs.size(); ++i) {
    const PackedPort& port = layout.inputs[i];
    if (port.channels == 0) continue;
    const std::vector<std::int64_t> begin = {0, port.channel, 0, 0};
    const Shape size = function.type(function.inputs[i]).shape;
    const Value begin_value = front.constant(port.name + "_begin", Constant::int32s(begin));
    const Value size_value = front.constant(port.name + "_size", Constant::int32s(size.dims()));
    front.add(OpKind::slice_by_size, function.inputs[i],
              {{"x", {packed}}, {"begin", {begin_value}}, {"size", {size_value}}});
  }
  front.put_in_front();
  inputs.insert(inputs.begin(), packed);
  function.inputs = std::move(inputs);
}

void pack_outputs(Function& function, const PackedLayout& layout) {
  Extension behind(function);
  const std::vector<Value> parts = select(function.outputs, layout.outputs, true);
  std::vector<Value> outputs = select(function.outputs, layout.outputs, false);
  if (parts.size() == 1) {
    outputs.insert(outputs.begin(), parts[0]);
    function.outputs = std::move(outputs);
    return;
  }
  const Value packed =
      function.add_value(behind.unique_name(std::string(kPackedOutput)),
                         packed_type(function, parts[0], layout.output_channels), -1, 0);
  const Value axis = behind.constant("packed_axis", Constant::scalar(DType::int32, 1));
  const Value interleave = behind.constant("packed_interleave", Constant::boolean(false));
  behind.add(OpKind::concat, packed,
             {{"values", parts}, {"axis", {axis}}, {"interleave", {interleave}}});
  behind.put_behind();
  outputs.insert(outputs.begin(), packed);
  function.outputs = std::move(outputs);
}

}  // namespace

PackedLayout pack_io(Function& function, const std::string& program) {
  if (function.inputs.empty() || function.outputs.empty()) {
    throw Error("a function without inputs or outputs cannot be packed", program);
  }
  PackedLayout layout;
  layout.input_channels = lay_out(function, function.inputs, program, "input", layout.inputs);
  layout.output_channels = lay_out(function, function.outputs, program, "output", layout.outputs);
  if (layout.input_channels > 0) pack_inputs(function, layout);
  if (layout.output_channels > 0) pack_outputs(function, layout);
  return layout;
}

}  // namespace anemone::mil
