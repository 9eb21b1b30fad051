// Multiply-adds on registers alone: what a core can do at most.
#pragma once

#include <cstddef>
#include <cstdint>

#include "anemone/base/cpu_features.h"
#include "anemone/base/dtype.h"
#include "anemone/kernels/table.h"

namespace anemone::kernels {

// Runs `rounds` rounds of independent chains of multiply-adds. The result depends on all of them,
// so none is left out.
using PeakFn = float(std::int64_t rounds, float factor, float term) noexcept;

struct PeakKernel {
  Isa isa;
  const char* name;
  DType type;           // of the factors: fp32 or bf16
  int flops_per_round;  // a multiply-add counts 2
  PeakFn* run;
};

KernelTable<PeakKernel> peak_kernels();

}  // namespace anemone::kernels
