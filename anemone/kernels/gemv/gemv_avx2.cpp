// gemv_impl.h for AVX2.
#include "anemone/kernels/gemv/gemv_impl.h"
