// optimizer_impl.h for AVX-512.
#include "anemone/kernels/optimizer/optimizer_impl.h"
