// reduce_impl.h for AVX2.
#include "anemone/kernels/reduce/reduce_impl.h"
