// elementwise_impl.h for AVX-512.
#include "anemone/kernels/elementwise/elementwise_impl.h"
