// AVX512_BF16 adds no vectors of floats of its own: its sources use those of AVX-512.
#pragma once

#include "anemone/kernels/simd/simd_avx512.h"
