// gemv_impl.h for NEON.
#include "anemone/kernels/gemv/gemv_impl.h"
