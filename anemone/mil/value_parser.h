// Types and typed values of MIL text: `tensor<fp16, [1, 4]>`, `string("valid")`,
// `tensor<int32, [2]>([1, 1])`, `dict<string, string>({{"a", "b"}})`, BLOBFILE(…).
//
// Literals go straight into the bytes of a Constant. Memory stays proportional to the text whatever
// shapes it declares; nesting is limited to kMaxNesting.
#pragma once

#include <cstddef>

#include "anemone/mil/constant.h"
#include "anemone/mil/token_stream.h"
#include "anemone/mil/type.h"

namespace anemone::mil {

inline constexpr int kMaxNesting = 64;

class ValueParser {
 public:
  explicit ValueParser(TokenStream& tokens)
      : tokens_(tokens), budget_(4 * tokens.remaining_bytes() + 1024) {}

  Type parse_type() { return parse_type(0); }
  Attribute parse_value();
  // A value that an operation can take: a tensor or a list of strings.
  Constant parse_constant();
  Constant to_constant(Attribute value, SourceLocation location);

 private:
  Type parse_type(int depth);
  Type parse_tensor_type();
  Type parse_compound_type(const Token& word, int depth);
  std::int64_t parse_dim();
  DType parse_element_type();

  Attribute parse_typed_literal();
  Attribute parse_literal(const Type& type, int depth);
  Attribute parse_list(const Type& type, int depth);
  Attribute parse_dict(const Type& type, int depth);
  Attribute parse_tuple(const Type& type, int depth);
  Constant parse_tensor(const Type& type);
  Constant parse_blob_reference(const Type& type);
  struct Elements;
  void parse_elements(Elements& elements, int level);
  void parse_element(Elements& elements);
  void spend(const Type& type);

  TokenStream& tokens_;
  bool inside_blob_reference_ = false;  // whose path and offset are written out
  // Types that values may still hold in total: a short literal of a large type, repeated, would
  // otherwise make memory grow with the product.
  std::size_t budget_;
};

}  // namespace anemone::mil
