// gemv_impl.h for AVX-512.
#include "anemone/kernels/gemv/gemv_impl.h"
