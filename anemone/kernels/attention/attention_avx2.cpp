// attention_impl.h for AVX2.
#include "anemone/kernels/attention/attention_impl.h"
