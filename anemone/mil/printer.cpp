// Writes programs token by token into one string: constants can be megabytes.
#include "anemone/mil/printer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/mil/blob_file.h"
#include "anemone/mil/op_def.h"
#include "anemone/mil/utf8.h"

namespace anemone::mil {
namespace {

template <class T>
void append_integer(std::string& out, const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  fmt::format_to(std::back_inserter(out), "{}", value);
}

void append_element(std::string& out, DType type, const std::byte* data) {
  switch (type) {
    case DType::boolean:
      out += load_element(type, data, 0) != 0 ? "true" : "false";
      return;
    case DType::fp16:
    case DType::bf16:
    case DType::fp32:
    case DType::fp64:
      out += print_float(load_element(type, data, 0), type);
      return;
    case DType::int8:
      return append_integer<std::int8_t>(out, data);
    case DType::int16:
      return append_integer<std::int16_t>(out, data);
    case DType::int32:
      return append_integer<std::int32_t>(out, data);
    case DType::int64:
      return append_integer<std::int64_t>(out, data);
    case DType::uint8:
      return append_integer<std::uint8_t>(out, data);
    case DType::uint16:
      return append_integer<std::uint16_t>(out, data);
    case DType::uint32:
      return append_integer<std::uint32_t>(out, data);
    case DType::uint64:
      return append_integer<std::uint64_t>(out, data);
    case DType::string:
      break;
  }
  ANEMONE_CHECK(false, "an element type of a constant's bytes");
}

class Printer {
 public:
  explicit Printer(std::string_view version) : bare_scalars_(version != "1.0") {}

  std::string run(const Program& program) {
    out_ = "program(" + program.version + ")\n";
    if (!program.attributes.empty()) {
      put_attributes(sorted(program.attributes), nullptr);
      out_ += "\n";
    }
    out_ += "{\n";
    for (const Function& function : program.functions) put_function(function);
    out_ += "}\n";
    return std::move(out_);
  }

 private:
  static std::vector<const NamedAttribute*> sorted(const std::vector<NamedAttribute>& attributes) {
    std::vector<const NamedAttribute*> pointers;
    for (const NamedAttribute& attribute : attributes) pointers.push_back(&attribute);
    std::stable_sort(pointers.begin(), pointers.end(),
                     [](const auto* a, const auto* b) { return a->name < b->name; });
    return pointers;
  }

  void put_type(const Type& type) {
    switch (type.kind) {
      case Type::Kind::tensor:
        if (type.shape.rank() == 0 && bare_scalars_) {
          out_ += dtype_name(type.dtype);
        } else {
          fmt::format_to(std::back_inserter(out_), "tensor<{}, {}>", dtype_name(type.dtype),
                         type.shape.to_string());
        }
        return;
      case Type::Kind::list:
        out_ += "list<";
        break;
      case Type::Kind::dict:
        out_ += "dict<";
        break;
      case Type::Kind::tuple:
        out_ += "tuple<";
        break;
      case Type::Kind::state:
        out_ += "state<";
        break;
    }
    for (std::size_t i = 0; i < type.elements.size(); ++i) {
      if (i > 0) out_ += ", ";
      put_type(type.elements[i]);
    }
    if (type.kind == Type::Kind::list) {
      out_ += type.length == Shape::kUnknown ? ", ?" : fmt::format(", {}", type.length);
    }
    out_ += ">";
  }

  void put_blob(const BlobRef& ref) {
    out_ += "BLOBFILE(path = ";
    put_type(Type::tensor(DType::string));
    out_ += "(" + quote(ref.path) + "), offset = ";
    put_type(Type::tensor(DType::uint64));
    fmt::format_to(std::back_inserter(out_), "({}))", ref.offset);
  }

  // Elements in nested brackets, one level per dimension; `next` counts the elements written.
  void put_elements(const Constant& constant, const Shape& shape, int level, std::size_t& next) {
    if (level == shape.rank()) {
      if (constant.has_strings()) {
        out_ += quote(constant.strings()[next]);
      } else {
        const DType dtype = constant.type().dtype;
        append_element(out_, dtype, constant.bytes().data() + next * dtype_size(dtype));
      }
      ++next;
      return;
    }
    out_ += "[";
    for (std::int64_t i = 0; i < shape[level]; ++i) {
      if (i > 0) out_ += ", ";
      put_elements(constant, shape, level + 1, next);
    }
    out_ += "]";
  }

  void put_literal(const Constant& constant) {
    if (const BlobRef* blob = constant.blob()) return put_blob(*blob);
    if (const WeightRef* weight = constant.weight()) {
      return put_blob({weight_path(*weight), kFirstBlobRecord});
    }
    std::size_t next = 0;
    const Shape shape = constant.type().is_tensor()
                            ? constant.type().shape
                            : Shape{static_cast<std::int64_t>(constant.strings().size())};
    put_elements(constant, shape, 0, next);
  }

  void put_constant(const Constant& constant) {
    put_type(constant.type());
    out_ += "(";
    put_literal(constant);
    out_ += ")";
  }

  void put_literal(const Attribute& attribute) {
    if (const auto* constant = std::get_if<Constant>(&attribute.value)) {
      return put_literal(*constant);
    }
    const auto& elements = std::get<std::vector<Attribute>>(attribute.value);
    const bool dict = attribute.type.kind == Type::Kind::dict;
    const std::string_view brackets = dict                                       ? "{}"
                                      : attribute.type.kind == Type::Kind::tuple ? "()"
                                                                                 : "[]";
    out_ += brackets[0];
    for (std::size_t i = 0; i < elements.size(); ++i) {
      const bool key = dict && i % 2 == 0;
      if (i > 0) out_ += ", ";
      if (key) out_ += "{";
      put_literal(elements[i]);
      if (dict && !key) out_ += "}";
    }
    out_ += brackets[1];
  }

  // [name = …], with the value of a const among them under its name `val`.
  void put_attributes(const std::vector<const NamedAttribute*>& attributes, const Constant* val) {
    std::string_view separator = "";
    const auto put_name = [&](std::string_view name) {
      fmt::format_to(std::back_inserter(out_), "{}{} = ", separator, name);
      separator = ", ";
    };
    const auto put_val = [&] {
      put_name("val");
      put_constant(*std::exchange(val, nullptr));
    };
    out_ += "[";
    for (const NamedAttribute* attribute : attributes) {
      if (val != nullptr && attribute->name > "val") put_val();
      put_name(attribute->name);
      put_type(attribute->value.type);
      out_ += "(";
      put_literal(attribute->value);
      out_ += ")";
    }
    if (val != nullptr) put_val();
    out_ += "]";
  }

  void put_operand(const Function& function, Value value) {
    const Operation* definition = function.definition(value);
    if (definition != nullptr && definition->immediate) {
      put_constant(*definition->constant);
    } else {
      out_ += function.name_of(value);
    }
  }

  void put_arguments(const Function& function, const Operation& op) {
    const auto params = op_def(op.kind).params;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < op.arguments.size(); ++i) {
      if (!op.arguments[i].empty()) order.push_back(i);
    }
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return params[a].name < params[b].name; });
    std::string_view separator = "";
    for (const std::size_t i : order) {
      const bool tuple = params[i].arity == Arity::variadic;
      fmt::format_to(std::back_inserter(out_), "{}{} = {}", separator, params[i].name,
                     tuple ? "(" : "");
      separator = ", ";
      for (std::size_t j = 0; j < op.arguments[i].size(); ++j) {
        if (j > 0) out_ += ", ";
        put_operand(function, op.arguments[i][j]);
      }
      if (tuple) out_ += ")";
    }
  }

  void put_operation(const Function& function, const Operation& op) {
    out_ += "            ";
    for (std::size_t i = 0; i < op.results.size(); ++i) {
      if (i > 0) out_ += ", ";
      put_type(function.type(op.results[i]));
      out_ += " " + function.name_of(op.results[i]);
    }
    if (!op.results.empty()) out_ += " = ";
    out_ += op_name(op.kind);
    out_ += "(";
    put_arguments(function, op);
    out_ += ")";
    if (!op.attributes.empty() || op.constant != nullptr) {
      put_attributes(sorted(op.attributes), op.constant.get());
    }
    out_ += ";\n";
  }

  void put_function(const Function& function) {
    out_ += "    func " + function.name + "<" + function.opset + ">(";
    for (std::size_t i = 0; i < function.inputs.size(); ++i) {
      if (i > 0) out_ += ", ";
      put_type(function.type(function.inputs[i]));
      out_ += " " + function.name_of(function.inputs[i]);
    }
    out_ += ") ";
    if (!function.attributes.empty()) {
      put_attributes(sorted(function.attributes), nullptr);
      out_ += " ";
    }
    out_ += "{\n";
    for (const Operation& op : function.ops) {
      if (!op.immediate) put_operation(function, op);
    }
    out_ += "        } -> (";
    for (std::size_t i = 0; i < function.outputs.size(); ++i) {
      if (i > 0) out_ += ", ";
      out_ += function.name_of(function.outputs[i]);
    }
    out_ += ");\n";
  }

  bool bare_scalars_;
  std::string out_;
};

}  // namespace

std::string print(const Program& program) { return Printer(program.version).run(program); }

// Every type's numbers are doubles, and a double shows in how many digits they need.
std::string print_float(double value, DType) {
  if (std::isnan(value)) return "nan";
  const std::string sign = std::signbit(value) ? "-" : "";
  if (std::isinf(value)) return sign + "inf";
  if (value == 0) return sign + "0x0p+0";
  int exponent = 0;
  const double significand = std::frexp(std::fabs(value), &exponent) * 2;  // 1 <= it < 2
  const std::uint64_t fraction = std::bit_cast<std::uint64_t>(significand) & 0xfffffffffffffull;
  std::string digits = fmt::format("{:013x}", fraction);
  digits.erase(digits.find_last_not_of('0') + 1);
  return fmt::format("{}0x1{}{}p{:+}", sign, digits.empty() ? "" : ".", digits, exponent - 1);
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (std::size_t i = 0; i < text.size();) {
    constexpr std::string_view kSpecial = "\"\\\n\r\t", kNames = "\"\\nrt";
    const char c = text[i];
    const std::size_t length = utf8_length(text.substr(i));
    const std::size_t special = kSpecial.find(c);
    if (special != std::string_view::npos) {
      quoted += {'\\', kNames[special]};
    } else if (length == 0 || (length == 1 && c < 0x20) || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += text.substr(i, length);
    }
    i += std::max<std::size_t>(length, 1);
  }
  return quoted + "\"";
}

std::string weight_path(const WeightRef& ref) {
  return "@model_path/weights/" + weight_file_stem(ref) + ".bin";
}

}  // namespace anemone::mil
