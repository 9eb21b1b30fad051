// The types of MIL text.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <span>

#include "anemone/base/nearest_name.h"
#include "anemone/mil/value_parser.h"

namespace anemone::mil {
namespace {

// No machine has more memory; sums and products of a few such sizes still fit 64 bits.
constexpr std::int64_t kMaxTensorBytes = std::int64_t{1} << 48;

constexpr std::size_t kCompoundTypes = 5;  // the first of them, which are made of other types
constexpr std::string_view kTypeNames[] = {"tensor",
                                           "list",
                                           "dict",
                                           "tuple",
                                           "state",
#define ANEMONE_NAME(name, text, bytes) text,
                                           ANEMONE_DTYPES(ANEMONE_NAME)
#undef ANEMONE_NAME
};

bool find_element_type(std::string_view name, DType& type) {
#define ANEMONE_FIND(element, text, bytes) \
  if (name == text) {                      \
    type = DType::element;                 \
    return true;                           \
  }
  ANEMONE_DTYPES(ANEMONE_FIND)
#undef ANEMONE_FIND
  return false;
}

bool is_compound(std::string_view name) {
  const auto compound = std::span(kTypeNames).first<kCompoundTypes>();
  return std::find(compound.begin(), compound.end(), name) != compound.end();
}

[[noreturn]] void unknown_type(TokenStream& tokens, const Token& word,
                               std::span<const std::string_view> candidates) {
  const std::string_view near = nearest_name(word.text, candidates);
  tokens.fail(word.location,
              fmt::format("unknown type {}{}", word.describe(),
                          near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

}  // namespace

DType ValueParser::parse_element_type() {
  const Token word = tokens_.expect_identifier("an element type");
  DType type{};
  if (is_compound(word.text)) {
    tokens_.fail(word.location,
                 fmt::format("a tensor of {} (expected an element type such as fp16 or int32)",
                             word.describe()));
  }
  if (!find_element_type(word.text, type)) {
    unknown_type(tokens_, word, std::span(kTypeNames).subspan<kCompoundTypes>());
  }
  return type;
}

std::int64_t ValueParser::parse_dim() {
  if (tokens_.accept("?")) return Shape::kUnknown;
  const Token token = tokens_.peek();
  if (token.kind != TokenKind::number) tokens_.expected("a dimension", {});
  std::int64_t dim = 0;
  const char* const last = token.text.data() + token.text.size();
  const auto [end, error] = std::from_chars(token.text.data(), last, dim);
  if (error != std::errc{} || end != last || dim < 0) {
    tokens_.fail(token.location,
                 fmt::format("a bad dimension {} (expected a count or '?')", token.describe()));
  }
  tokens_.take();
  return dim;
}

Type ValueParser::parse_tensor_type() {
  const SourceLocation location = tokens_.peek().location;
  tokens_.expect("<", "behind 'tensor'");
  const DType dtype = parse_element_type();
  tokens_.expect(",", "between element type and shape");
  tokens_.expect("[", "at the beginning of a shape");
  Shape shape;
  if (!tokens_.at("]")) {
    do {
      if (shape.rank() == Shape::kMaxRank) {
        tokens_.fail(tokens_.peek().location,
                     fmt::format("a tensor has at most {} dimensions", Shape::kMaxRank));
      }
      shape.push_back(parse_dim());
    } while (tokens_.accept(","));
  }
  tokens_.expect("]", "at the end of a shape");
  tokens_.expect(">", "at the end of a tensor type");
  // Unknown dimensions count as one: they become known by a limit of their own.
  std::int64_t bytes = std::max<std::int64_t>(1, static_cast<std::int64_t>(dtype_size(dtype)));
  for (const std::int64_t dim : shape) {
    if (dim > 0 && bytes > kMaxTensorBytes / dim) {
      tokens_.fail(location,
                   fmt::format("a tensor too large for any memory: {}", shape.to_string()));
    }
    if (dim > 0) bytes *= dim;
  }
  return Type::tensor(dtype, shape);
}

Type ValueParser::parse_compound_type(const Token& word, int depth) {
  Type type;
  tokens_.expect("<", fmt::format("behind '{}'", word.text));
  type.elements.push_back(parse_type(depth + 1));
  if (word.text == "list") {
    type.kind = Type::Kind::list;
    tokens_.expect(",", "between element type and length of a list");
    type.length = parse_dim();
  } else if (word.text == "dict") {
    type.kind = Type::Kind::dict;
    tokens_.expect(",", "between key and value type of a dict");
    type.elements.push_back(parse_type(depth + 1));
  } else if (word.text == "tuple") {
    type.kind = Type::Kind::tuple;
    while (tokens_.accept(",")) type.elements.push_back(parse_type(depth + 1));
  } else {
    type.kind = Type::Kind::state;
  }
  tokens_.expect(">", fmt::format("at the end of a {} type", word.text));
  return type;
}

Type ValueParser::parse_type(int depth) {
  if (depth >= kMaxNesting) {
    tokens_.fail(tokens_.peek().location, fmt::format("types nested deeper than {}", kMaxNesting));
  }
  const Token word = tokens_.expect_identifier("a type");
  if (word.text == "tensor") return parse_tensor_type();
  if (is_compound(word.text)) return parse_compound_type(word, depth);
  DType dtype{};
  if (!find_element_type(word.text, dtype)) unknown_type(tokens_, word, kTypeNames);
  return Type::tensor(dtype);
}

}  // namespace anemone::mil
