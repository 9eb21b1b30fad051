// gemv_impl.h for any processor.
#include "anemone/kernels/gemv/gemv_impl.h"
