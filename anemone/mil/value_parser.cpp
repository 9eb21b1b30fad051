// Typed literals of MIL text.
#include "anemone/mil/value_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "anemone/base/counted.h"
#include "anemone/mil/number.h"

namespace anemone::mil {
namespace {

std::size_t count_types(const Type& type) {
  std::size_t count = 1;
  for (const Type& element : type.elements) count += count_types(element);
  return count;
}

bool is_list_of_strings(const Type& type) {
  return type.kind == Type::Kind::list && type.elements[0].is_scalar() &&
         type.elements[0].dtype == DType::string;
}

}  // namespace

// A tensor literal being read: elements so far, and the shape with `?` replaced as brackets close.
struct ValueParser::Elements {
  const Type& type;
  Shape shape;
  std::vector<std::byte> bytes;
  Constant::Strings strings;
};

void ValueParser::spend(const Type& type) {
  const std::size_t cost = count_types(type);
  if (cost > budget_) tokens_.fail(tokens_.peek().location, "too many values of large types");
  budget_ -= cost;
}

Attribute ValueParser::parse_value() {
  inside_blob_reference_ = false;
  return parse_typed_literal();
}

Attribute ValueParser::parse_typed_literal() {
  const Type type = parse_type();
  tokens_.expect("(", "behind the type of a value");
  Attribute value = parse_literal(type, 0);
  tokens_.expect(")", "behind a value");
  return value;
}

Constant ValueParser::parse_constant() {
  const SourceLocation location = tokens_.peek().location;
  return to_constant(parse_value(), location);
}

Constant ValueParser::to_constant(Attribute value, SourceLocation location) {
  if (auto* constant = std::get_if<Constant>(&value.value)) {
    if (!(constant->type() == value.type)) {
      tokens_.fail(location, "a constant of unknown shape: " + value.type.to_string());
    }
    return std::move(*constant);
  }
  if (!is_list_of_strings(value.type)) {
    tokens_.fail(location, fmt::format("a {} cannot be a constant (expected a tensor or a list of "
                                       "strings)",
                                       value.type.to_string()));
  }
  Constant::Strings strings;
  for (const Attribute& element : std::get<std::vector<Attribute>>(value.value)) {
    strings.push_back(std::get<Constant>(element.value).strings().front());
  }
  Type type = value.type;
  type.length = static_cast<std::int64_t>(strings.size());
  return {type, std::move(strings)};
}

Attribute ValueParser::parse_literal(const Type& type, int depth) {
  if (depth >= kMaxNesting) {
    tokens_.fail(tokens_.peek().location, fmt::format("values nested deeper than {}", kMaxNesting));
  }
  spend(type);
  switch (type.kind) {
    case Type::Kind::tensor:
      return {type, parse_tensor(type)};
    case Type::Kind::list:
      return parse_list(type, depth);
    case Type::Kind::dict:
      return parse_dict(type, depth);
    case Type::Kind::tuple:
      return parse_tuple(type, depth);
    case Type::Kind::state:
      break;
  }
  tokens_.fail(tokens_.peek().location, "a state has no literal value");
}

Attribute ValueParser::parse_list(const Type& type, int depth) {
  const SourceLocation location = tokens_.expect("[", "at the beginning of a list").location;
  std::vector<Attribute> elements;
  if (!tokens_.at("]")) {
    do {
      elements.push_back(parse_literal(type.elements[0], depth + 1));
    } while (tokens_.accept(","));
  }
  tokens_.expect("]", "at the end of a list");
  if (type.length != Shape::kUnknown && std::cmp_not_equal(type.length, elements.size())) {
    tokens_.fail(location, fmt::format("a list of {} values where the type says {}",
                                       elements.size(), type.length));
  }
  return {type, std::move(elements)};
}

Attribute ValueParser::parse_dict(const Type& type, int depth) {
  tokens_.expect("{", "at the beginning of a dict");
  std::vector<Attribute> entries;
  if (!tokens_.at("}")) {
    do {
      tokens_.expect("{", "at the beginning of a dict entry");
      entries.push_back(parse_literal(type.elements[0], depth + 1));
      tokens_.expect(",", "between key and value of a dict entry");
      entries.push_back(parse_literal(type.elements[1], depth + 1));
      tokens_.expect("}", "at the end of a dict entry");
    } while (tokens_.accept(","));
  }
  tokens_.expect("}", "at the end of a dict");
  return {type, std::move(entries)};
}

Attribute ValueParser::parse_tuple(const Type& type, int depth) {
  tokens_.expect("(", "at the beginning of a tuple");
  std::vector<Attribute> elements;
  for (std::size_t i = 0; i < type.elements.size(); ++i) {
    if (i > 0) tokens_.expect(",", "between the values of a tuple");
    elements.push_back(parse_literal(type.elements[i], depth + 1));
  }
  tokens_.expect(")", "at the end of a tuple");
  return {type, std::move(elements)};
}

Constant ValueParser::parse_tensor(const Type& type) {
  if (tokens_.at_word("BLOBFILE") && !inside_blob_reference_) return parse_blob_reference(type);
  Elements elements{type, type.shape, {}, {}};
  // Reserve what is declared, but never more than the text can still hold ("0," per element).
  std::size_t declared = 1;
  for (const std::int64_t dim : type.shape)
    declared *= static_cast<std::size_t>(std::max<std::int64_t>(1, dim));
  const std::size_t possible = tokens_.remaining_bytes() / 2 + 1;
  elements.bytes.reserve(std::min(declared, possible) * dtype_size(type.dtype));
  const bool bare = !tokens_.at("[") && type.shape.rank() > 0 && declared == 1 &&
                    type.shape.is_static() && type.shape.checked_elements() == 1;
  parse_elements(elements, bare ? type.shape.rank() : 0);
  for (int i = 0; i < elements.shape.rank(); ++i) {  // never reached: inside an empty dimension
    elements.shape[i] = std::max<std::int64_t>(0, elements.shape[i]);
  }
  const Type resolved = Type::tensor(type.dtype, elements.shape);
  if (type.dtype == DType::string) return {resolved, std::move(elements.strings)};
  elements.bytes.shrink_to_fit();
  return {resolved, std::move(elements.bytes)};
}

void ValueParser::parse_elements(Elements& elements, int level) {
  if (level == elements.shape.rank()) return parse_element(elements);
  const SourceLocation location = tokens_.peek().location;
  tokens_.expect("[", fmt::format("at the beginning of dimension {} of a {}", level,
                                  elements.type.to_string()));
  std::int64_t count = 0;
  const std::int64_t declared = elements.shape[level];
  if (!tokens_.at("]")) {
    do {
      ++count;
      parse_elements(elements, level + 1);
    } while (tokens_.accept(","));
  }
  if (!tokens_.at("]")) tokens_.expected("',' or ']'", "in a literal");
  if (declared != Shape::kUnknown && count != declared) {
    tokens_.fail(location, fmt::format("{} in dimension {} of a {} (expected {})",
                                       counted(static_cast<std::uint64_t>(count), "value"), level,
                                       elements.type.to_string(), declared));
  }
  elements.shape[level] = count;
  tokens_.take();
}

void ValueParser::parse_element(Elements& elements) {
  const Token& token = tokens_.peek();
  std::string problem;
  const bool is_string = elements.type.dtype == DType::string;
  if (is_string != (token.kind == TokenKind::string) || token.kind == TokenKind::end ||
      token.kind == TokenKind::punctuation) {
    tokens_.expected(
        is_string ? "a string" : fmt::format("a value of type {}", dtype_name(elements.type.dtype)),
        {});
  }
  if (is_string) {
    std::string text;
    if (unescape(token.text, text, problem)) elements.strings.push_back(std::move(text));
  } else {
    problem = append_number(token.text, elements.type.dtype, elements.bytes);
  }
  if (!problem.empty()) tokens_.fail(token.location, problem);
  tokens_.take();
}

Constant ValueParser::parse_blob_reference(const Type& type) {
  const Token word = tokens_.take();
  tokens_.expect("(", "behind BLOBFILE");
  std::optional<std::string> path;
  std::optional<std::uint64_t> offset;
  inside_blob_reference_ = true;
  do {
    const Token name = tokens_.expect_identifier("path or offset");
    tokens_.expect("=", "in BLOBFILE");
    const Attribute value = parse_typed_literal();
    if (name.text == "path" && !path && value.type == Type::tensor(DType::string)) {
      path = std::get<Constant>(value.value).strings().front();
    } else if (name.text == "offset" && !offset && value.type == Type::tensor(DType::uint64)) {
      offset.emplace();
      std::memcpy(&*offset, std::get<Constant>(value.value).bytes().data(), sizeof *offset);
    } else {
      tokens_.fail(name.location, "BLOBFILE takes one path = string(…) and one offset = uint64(…)");
    }
  } while (tokens_.accept(","));
  inside_blob_reference_ = false;
  tokens_.expect(")", "behind BLOBFILE");
  if (!path || !offset) {
    tokens_.fail(word.location, "BLOBFILE takes one path = string(…) and one offset = uint64(…)");
  }
  if (type.dtype == DType::string || !type.shape.is_static()) {
    tokens_.fail(word.location, fmt::format("a blob file cannot hold a {}", type.to_string()));
  }
  return {type, BlobRef{std::move(*path), *offset}};
}

}  // namespace anemone::mil
