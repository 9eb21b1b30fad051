// The operations by number; everything else about them is in their definitions (op_def.h, ops/).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace anemone::mil {

enum class OpKind : std::uint16_t {
#define OP(name) name,
#include "anemone/mil/ops/ops.inc"
#undef OP
};

std::string_view op_name(OpKind kind);                 // the name in MIL text
std::optional<OpKind> find_op(std::string_view name);  // by the name in MIL text

}  // namespace anemone::mil
