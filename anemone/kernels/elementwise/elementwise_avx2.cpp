// elementwise_impl.h for AVX2.
#include "anemone/kernels/elementwise/elementwise_impl.h"
