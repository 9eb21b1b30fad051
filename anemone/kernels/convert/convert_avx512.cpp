// convert_impl.h for AVX-512.
#include "anemone/kernels/convert/convert_impl.h"
