// What stands between the matrix products of attention: softmax and its derivative on blocks of
// scores while they are in the cache. The products themselves are the tiles of kernels/gemm;
// compute/attention.h puts both together.
//
// A block has a row for every key and a column for every query, so that each lane of a vector is a
// query of its own: sums over keys need no sums across lanes, and a block is at once a panel that
// the next product multiplies with. A hidden score is -inf.
#pragma once

#include <cstddef>

#include "anemone/base/cpu_features.h"
#include "anemone/kernels/table.h"

namespace anemone::kernels {

// `columns` is rounded up to whole vectors: as many floats exist in every row, and in the arrays
// with one number for each column.
struct ScoreBlock {
  float* values = nullptr;
  std::ptrdiff_t stride = 0;  // from one row to the next
  std::ptrdiff_t rows = 0;
  int columns = 0;
};

// max[j] = max over rows of factor · score and of what max[j] was. NaN is left out: 2^NaN is found
// in the sum.
using ScoreMaxFn = void(const ScoreBlock& scores, float factor, float* max) noexcept;

// score = 2^(factor · score - max[j]), correct to 2 ulp of what its exponent gives once fp32 has
// rounded product and difference, for exponents <= 0; sum[j] += the new ones, row by row.
using ScoreExpFn = void(const ScoreBlock& scores, float factor, const float* max,
                        float* sum) noexcept;

// sum[j] += Σ over rows of weight · value.
using ScoreDotFn = void(const ScoreBlock& weights, const ScoreBlock& values, float* sum) noexcept;

// p = weight · factor[j] takes the place of the weight, p · (gradient - mean[j]) that of the
// gradient: the derivative of a softmax with results p.
using ScoreGradientFn = void(const ScoreBlock& weights, const ScoreBlock& gradients,
                             const float* factor, const float* mean) noexcept;

// value = value · factor[j].
using ScoreScaleFn = void(const ScoreBlock& values, const float* factor) noexcept;

struct AttentionKernel {
  Isa isa;
  const char* name;
  ScoreMaxFn* max;
  ScoreExpFn* exp;
  ScoreDotFn* dot;
  ScoreGradientFn* gradient;
  ScoreScaleFn* scale;
};

KernelTable<AttentionKernel> attention_kernels();
inline const AttentionKernel& pick_attention(const CpuFeatures& features) {
  return attention_kernels().pick(features);
}

}  // namespace anemone::kernels
