// Comparing and spelling types.
#include "anemone/mil/type.h"

namespace anemone::mil {

bool Type::operator==(const Type& other) const {
  if (kind != other.kind) return false;
  switch (kind) {
    case Kind::tensor:
      return dtype == other.dtype && shape == other.shape;
    case Kind::list:
      return length == other.length && elements == other.elements;
    case Kind::dict:
    case Kind::tuple:
    case Kind::state:
      return elements == other.elements;
  }
  return false;
}

std::string Type::to_string() const {
  const auto join = [this] {
    std::string text;
    for (const Type& element : elements) {
      if (!text.empty()) text += ", ";
      text += element.to_string();
    }
    return text;
  };
  switch (kind) {
    case Kind::tensor:
      if (shape.rank() == 0) return dtype_name(dtype);
      return std::string("tensor<") + dtype_name(dtype) + ", " + shape.to_string() + ">";
    case Kind::list:
      return "list<" + join() + ", " + (length == Shape::kUnknown ? "?" : std::to_string(length)) +
             ">";
    case Kind::dict:
      return "dict<" + join() + ">";
    case Kind::tuple:
      return "tuple<" + join() + ">";
    case Kind::state:
      return "state<" + join() + ">";
  }
  return "?";
}

}  // namespace anemone::mil
