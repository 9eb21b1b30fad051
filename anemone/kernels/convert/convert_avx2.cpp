// convert_impl.h for AVX2.
#include "anemone/kernels/convert/convert_impl.h"
