// The steps of legalize(), one file each, in the order in which they run. All keep what a function
// computes; what cannot be kept is an Error.
#pragma once

#include <string>
#include <vector>

#include "anemone/engine/ane/legalize.h"
#include "anemone/engine/ane/target.h"
#include "anemone/mil/ir.h"

namespace anemone::engine::ane {

struct LegalContext {
  mil::Function& function;
  const Target& target;
  const LegalizeOptions& options;
  std::vector<LegalNote>& notes;

  std::string describe(const mil::Operation& op) const;  // "conv wq_x"
  void note(int rule, const mil::Operation& op, const std::string& text) const;
  // Throws Error: "l0.fwd_attn:14: conv wq_x: PROBLEM (rule 35) (expected HELP)".
  [[noreturn]] void reject(int rule, const mil::Operation& op, const std::string& problem,
                           const std::string& help) const;
  [[noreturn]] void reject(int rule, mil::Value port, const std::string& problem,
                           const std::string& help) const;
};

// fp32 inputs and outputs that the function casts at once become fp16, and the casts go.
void make_ports_fp16(LegalContext& context);

// Refuses what no rewrite can help: computed weights of conv, element types, ranks, sizes.
void check_function(const LegalContext& context);

// Spells operations otherwise that the target refuses (rewrites.cpp has the table).
void rewrite_operations(LegalContext& context);

// Gives every argument that has a default, and every argument as a const of its own with a name.
void name_arguments(LegalContext& context);

// Inputs become a_input0, a_input1, …, outputs z_output0, …: sorted and as declared they are the
// same. `tag` tells the functions of a program apart. Names that collide with words of the
// compiler get another one.
void name_values(LegalContext& context, const std::string& tag);

// Moves large constants to blob files; returns these.
std::vector<LegalBlob> place_constants(mil::Program& program, const Target& target,
                                       const LegalizeOptions& options,
                                       std::vector<LegalNote>& notes);

// program(…), opset and buildInfo.
void set_header(mil::Program& program, const Target& target);

}  // namespace anemone::engine::ane
