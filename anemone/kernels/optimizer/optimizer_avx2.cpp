// optimizer_impl.h for AVX2.
#include "anemone/kernels/optimizer/optimizer_impl.h"
