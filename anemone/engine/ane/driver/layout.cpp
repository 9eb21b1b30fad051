// See layout.h.
#include "anemone/engine/ane/driver/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "anemone/base/dtype.h"
#include "anemone/base/error.h"
#include "anemone/engine/ane/target.h"

namespace anemone::engine::ane {
namespace {

constexpr std::string_view kOutputSuffix = "@output";

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// "main" is also called "0@main"; the output "y" also "y@output".
bool names_function(std::string_view reported, std::string_view name) {
  return reported == name || (reported.size() > name.size() && reported.ends_with(name) &&
                              reported[reported.size() - name.size() - 1] == '@');
}
bool names_tensor(std::string_view reported, std::string_view name) {
  if (reported.ends_with(kOutputSuffix)) reported.remove_suffix(kOutputSuffix.size());
  return reported == name;
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// A tensor as the Neural Engine counts: four axes, the missing ones in front are 1.
TensorLayout dims_of(const DeclaredTensor& tensor) {
  const Shape& shape = tensor.type.shape;
  if (!tensor.type.is_tensor() || shape.rank() > 4 || !shape.is_static())
    throw Error(fmt::format("'{}' is {}", tensor.name, tensor.type.to_string()), {},
                "a tensor of four axes or fewer");
  TensorLayout layout;
  for (std::int64_t& dim : layout.dims) dim = 1;
  for (int axis = 0; axis < shape.rank(); ++axis)
    layout.dims[4 - shape.rank() + axis] = shape[axis];
  return layout;
}

std::string_view reported_type_name(DType type) {
  switch (type) {
    case DType::fp16:
      return "Float16";
    case DType::fp32:
      return "Float32";
    default:
      return {};
  }
}

class LayoutResolver {
 public:
  explicit LayoutResolver(const Reported& reported) : reported_(reported) {}

  ModelLayout resolve(const std::vector<DeclaredFunction>& functions) {
    for (std::size_t i = 0; i < functions.size(); ++i) {
      try {
        layout_.functions.push_back(resolve_function(functions, i));
      } catch (const Error& error) {
        throw Error(error.problem(), functions.size() == 1 ? "" : "function " + functions[i].name,
                    error.expected());
      }
    }
    return std::move(layout_);
  }

 private:
  struct Side {
    const std::vector<std::string>& symbols;     // of all functions
    const std::vector<std::int64_t>* indices;    // into them, of this function; null: not reported
    const std::vector<ReportedTensor>* tensors;  // null: not reported
    const char* name;
    std::int64_t first;  // the index of this function's first tensor, where nothing is reported
  };

  void assume(std::string what) { layout_.assumed.push_back(std::move(what)); }

  std::int64_t procedure_of(const std::vector<DeclaredFunction>& functions, std::size_t index) {
    for (const auto& [name, id] : reported_.procedure_ids)
      if (names_function(name, functions[index].name)) return id;
    if (functions.size() > 1)
      assume(fmt::format("procedure {} is function {}, in the program's order", index,
                         functions[index].name));
    return static_cast<std::int64_t>(index);
  }

  const ReportedProcedure* find_procedure(std::int64_t id) const {
    for (const ReportedProcedure& procedure : reported_.procedures)
      if (procedure.id == id) return &procedure;
    return nullptr;
  }

  const ReportedNetwork* find_network(const std::string& function, std::int64_t procedure) const {
    for (const ReportedNetwork& network : reported_.networks)
      if (names_function(network.name, function)) return &network;
    const auto at = static_cast<std::size_t>(procedure);
    return at < reported_.networks.size() ? &reported_.networks[at] : nullptr;
  }

  FunctionLayout resolve_function(const std::vector<DeclaredFunction>& functions,
                                  std::size_t index) {
    const DeclaredFunction& function = functions[index];
    FunctionLayout layout;
    layout.procedure = procedure_of(functions, index);
    const ReportedProcedure* procedure = find_procedure(layout.procedure);
    const ReportedNetwork* network = find_network(function.name, layout.procedure);
    std::int64_t inputs_before = 0, outputs_before = 0;
    for (std::size_t i = 0; i < index; ++i) {
      inputs_before += static_cast<std::int64_t>(functions[i].inputs.size());
      outputs_before += static_cast<std::int64_t>(functions[i].outputs.size());
    }
    const Side in{reported_.input_symbols, procedure != nullptr ? &procedure->inputs : nullptr,
                  network != nullptr ? &network->inputs : nullptr, "input", inputs_before};
    const Side out{reported_.output_symbols, procedure != nullptr ? &procedure->outputs : nullptr,
                   network != nullptr ? &network->outputs : nullptr, "output", outputs_before};
    layout.inputs = resolve_side(function.inputs, in);
    layout.outputs = resolve_side(function.outputs, out);
    return layout;
  }

  std::vector<TensorLayout> resolve_side(const std::vector<DeclaredTensor>& tensors,
                                         const Side& side) {
    std::vector<TensorLayout> layouts;
    bool assumed = false;
    for (const DeclaredTensor& tensor : tensors) {
      TensorLayout layout = dims_of(tensor);
      layout.symbol = symbol_of(tensors, tensor, side);
      assumed |= !place(tensor, side, tensors.size() == 1, layout);
      layouts.push_back(layout);
    }
    for (std::size_t i = 0; i < layouts.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (layouts[i].symbol == layouts[j].symbol)
          throw Error(fmt::format("the compiled program gives {} '{}' and '{}' the same index {}",
                                  side.name, tensors[j].name, tensors[i].name, layouts[i].symbol));
    // Where sizes are not reported some systems want all surfaces of a side equally large (rule
    // 59).
    if (assumed) {
      std::int64_t largest = 0;
      for (const TensorLayout& layout : layouts) largest = std::max(largest, layout.bytes);
      for (TensorLayout& layout : layouts) layout.bytes = largest;
    }
    return layouts;
  }

  std::int64_t symbol_of(const std::vector<DeclaredTensor>& all, const DeclaredTensor& tensor,
                         const Side& side) {
    const auto matches = [&](std::int64_t index) {
      return index >= 0 && index < static_cast<std::int64_t>(side.symbols.size()) &&
             names_tensor(side.symbols[static_cast<std::size_t>(index)], tensor.name);
    };
    if (side.indices != nullptr && !side.symbols.empty()) {
      for (const std::int64_t index : *side.indices)
        if (matches(index)) return index;
    } else {
      for (std::size_t i = 0; i < side.symbols.size(); ++i)
        if (matches(static_cast<std::int64_t>(i))) return static_cast<std::int64_t>(i);
    }
    if (side.indices != nullptr && side.indices->size() == 1 && all.size() == 1)
      return side.indices->front();  // whatever it is called
    if (!side.symbols.empty())
      throw Error(fmt::format("the compiled program has no {} '{}'", side.name, tensor.name), {},
                  list(side.symbols));
    const auto before = std::count_if(all.begin(), all.end(), [&](const DeclaredTensor& other) {
      return other.name < tensor.name;
    });
    const bool listed = side.indices != nullptr && side.indices->size() == all.size();
    const std::int64_t index =
        listed ? (*side.indices)[static_cast<std::size_t>(before)] : side.first + before;
    if (all.size() > 1)
      assume(fmt::format("{} '{}' has index {}, alphabetically", side.name, tensor.name, index));
    return index;
  }

  // `only`: there is no other tensor on this side, so whatever it is called is this one.
  static const ReportedTensor* find_tensor(const DeclaredTensor& tensor, const Side& side,
                                           bool only) {
    if (side.tensors == nullptr) return nullptr;
    for (const ReportedTensor& entry : *side.tensors)
      if (names_tensor(entry.symbol, tensor.name) || names_tensor(entry.name, tensor.name))
        return &entry;
    return only && side.tensors->size() == 1 ? &side.tensors->front() : nullptr;
  }

  // Fills in strides and size; false where they follow from a rule.
  bool place(const DeclaredTensor& tensor, const Side& side, bool only, TensorLayout& layout) {
    const auto element = static_cast<std::int64_t>(dtype_size(tensor.type.dtype));
    const ReportedTensor* entry = find_tensor(tensor, side, only);
    if (entry != nullptr) check_entry(tensor, *entry, layout);
    const bool known = entry != nullptr && entry->row_stride > 0 && entry->plane_stride > 0;
    const auto& [batch, channels, height, width] = layout.dims;
    auto& strides = layout.strides;
    strides[3] = element;
    strides[2] = known ? entry->row_stride : round_up(width * element, kRowAlignment);
    strides[1] = known ? entry->plane_stride : height * strides[2];
    strides[0] = known && entry->batch_stride > 0 ? entry->batch_stride : channels * strides[1];
    layout.bytes = batch * strides[0];
    if (!known)
      assume(fmt::format("rows of {} '{}' have {} bytes, a multiple of {}", side.name, tensor.name,
                         strides[2], kRowAlignment));
    check_strides(tensor, layout, element);
    return known;
  }

  static void check_entry(const DeclaredTensor& tensor, const ReportedTensor& entry,
                          const TensorLayout& layout) {
    const auto agree = [](std::int64_t reported, std::int64_t expected) {
      return reported == 0 || reported == expected;
    };
    if (!agree(entry.batches, layout.dims[0]) || !agree(entry.channels, layout.dims[1]) ||
        !agree(entry.height, layout.dims[2]) || !agree(entry.width, layout.dims[3]) ||
        !agree(entry.depth, 1) || !agree(entry.interleave, 1))
      throw Error(
          fmt::format("the compiled program reports '{}' as batches {}, channels {}, height "
                      "{}, width {}, depth {}, interleave {}",
                      tensor.name, entry.batches, entry.channels, entry.height, entry.width,
                      entry.depth, entry.interleave),
          {}, tensor.type.to_string());
    const std::string_view type = reported_type_name(tensor.type.dtype);
    if (!entry.type.empty() && !type.empty() && entry.type != type)
      throw Error(fmt::format("the compiled program reports '{}' as {}", tensor.name, entry.type),
                  {}, tensor.type.to_string());
  }

  static void check_strides(const DeclaredTensor& tensor, const TensorLayout& layout,
                            std::int64_t element) {
    const auto& [batch, channels, height, width] = layout.dims;
    const auto& s = layout.strides;
    const bool whole = s[0] % element == 0 && s[1] % element == 0 && s[2] % element == 0;
    const bool apart = s[2] >= width * element && s[1] >= (height - 1) * s[2] + width * element &&
                       s[0] >= (channels - 1) * s[1] + (height - 1) * s[2] + width * element;
    constexpr std::int64_t kTooLarge = std::int64_t{1} << 40;
    if (whole && apart && s[0] < kTooLarge && layout.bytes < kTooLarge) return;
    throw Error(fmt::format("the compiled program reports strides of {}, {} and {} bytes for '{}'",
                            s[0], s[1], s[2], tensor.name),
                {}, "rows, planes and batches that do not overlap, for " + tensor.type.to_string());
  }

  const Reported& reported_;
  ModelLayout layout_;
};

}  // namespace

ModelLayout resolve_layout(const std::vector<DeclaredFunction>& functions,
                           const Reported& reported) {
  return LayoutResolver(reported).resolve(functions);
}

}  // namespace anemone::engine::ane
