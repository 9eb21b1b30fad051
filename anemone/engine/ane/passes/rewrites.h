// Operations that a target refuses, or takes in one form only, spelled with others of the same
// meaning. A rewrite is a row of the table in rewrites.cpp and a function.
#pragma once

#include <span>
#include <string_view>

#include "anemone/engine/ane/passes/function_editor.h"
#include "anemone/engine/ane/passes/legal_pass.h"
#include "anemone/mil/op_def.h"

namespace anemone::engine::ane {

struct RewriteContext {
  const LegalContext& legal;
  FunctionEditor& editor;
  const mil::Operation& op;

  mil::Function& function() const { return editor.function(); }
  mil::Value argument(std::string_view param) const { return ane::argument(op, param); }
  const mil::Type& type(std::string_view param) const { return function().type(argument(param)); }
  mil::Value result() const { return op.results.front(); }
  // The result's name with a suffix, a wish for a new value's name.
  std::string name(std::string_view suffix) const;
};

struct Rewrite {
  int rule;
  mil::OpKind kind;
  bool (*is_taken)(const Takes& takes);  // the target needs no rewrite; null: every target does
  // Emits the same result otherwise; false: this application needs no rewrite, or has none.
  bool (*rewrite)(const RewriteContext& context);
  std::string_view note;
};
std::span<const Rewrite> rewrites();

// The same elements, or the same reference, under another shape.
mil::Constant reshaped(const mil::Constant& constant, const Shape& shape);

bool rewrite_silu(const RewriteContext& context);
bool rewrite_rsqrt(const RewriteContext& context);
bool rewrite_reduce_mean(const RewriteContext& context);
bool rewrite_conv_bias(const RewriteContext& context);
bool rewrite_input_slice(const RewriteContext& context);
bool rewrite_constant_matmul(const RewriteContext& context);
bool rewrite_matmul_rank(const RewriteContext& context);

}  // namespace anemone::engine::ane
