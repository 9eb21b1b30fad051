// reduce_impl.h for AVX-512.
#include "anemone/kernels/reduce/reduce_impl.h"
