// attention_impl.h for AVX-512.
#include "anemone/kernels/attention/attention_impl.h"
