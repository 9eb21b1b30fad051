// AMX adds tiles (tiles.h) and no vectors of floats: its sources use those of AVX-512.
#pragma once

#include "anemone/kernels/simd/simd_avx512bf16.h"
